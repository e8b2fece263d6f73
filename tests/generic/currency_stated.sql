{#- Warns where neither relation says the currency of any row: the mart then takes all for its own.
-#}
{% test currency_stated(model, column_name, to) %}
{{ config(severity='warn', meta={
    'message': 'the raw tables do not say which currency; the mart takes them for '
        ~ var('currency') ~ ' (dbt var currency)',
    'fix': 'is that right? If not, set the var; if so, fill currency in jobs or contracts',
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
