{#- Fails where the newest row lies more than so many days before the refresh that is built: by the
    mart's clock, not the wall's. A relation without rows fails as well. -#}
{% test freshness(model, column_name, at_most_days) %}
{{ config(meta={
    'message': 'no new row for too long',
    'fix': 'look whether the raw tables are still loaded',
}) }}
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

newest as (

    select max({{ column_name }}) as newest_at
    from {{ model }}

)

select
    clock.as_of_at,
    newest.newest_at
from newest
cross join clock
where
    not coalesce(
        newest.newest_at >= {{ add_hours('clock.as_of_at', -24 * at_most_days) }}, false
    )
{% endtest %}
