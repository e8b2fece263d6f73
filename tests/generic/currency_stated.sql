{#- Warn if the currency of every row is NULL in both relations. All amounts then count as the
    mart's currency (dbt var currency), which may be wrong. -#}
{% test currency_stated(model, column_name, to) %}
{{ config(severity='warn', meta={
    'message': 'the raw tables do not state a currency; their amounts count as '
        ~ var('currency') ~ ' (dbt var currency)',
    'fix': 'if the currency is another, set the var; else fill currency in jobs or contracts',
}) }}
with stated as (

    select
        count(*) as counted_rows,
        count({{ column_name }}) as stated_count
    from {{ model }}
    union all
    select
        count(*) as counted_rows,
        count({{ column_name }}) as stated_count
    from {{ to }}

)

select sum(counted_rows) as row_count
from stated
having sum(stated_count) = 0 and sum(counted_rows) > 0
{% endtest %}
