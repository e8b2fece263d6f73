{#- Fail if the newest row is more than `at_most_days` days before the refresh that is built, or if
    there are no rows. The wall clock does not matter. An archive gets no new rows: `if_an_archive`
    is the command that builds the archive as of the last refresh that passes. -#}
{% test freshness(model, column_name, at_most_days) %}
{{ config(meta={
    'message': 'there are no new rows',
    'fix': 'check that the raw tables are still loaded; for an archive, run the command below',
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
    newest.newest_at,
    'mart build --as-of '
    || {{ local_date(refresh_before(add_hours('newest.newest_at', 24 * at_most_days))) }}
        as if_an_archive
from newest
cross join clock
where
    not coalesce(
        newest.newest_at >= {{ add_hours('clock.as_of_at', -24 * at_most_days) }}, false
    )
{% endtest %}
