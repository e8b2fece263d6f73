{#- Fail if the share of NULLs among the rows of the last days (dbt var profile_days) is above
    `at_most`, or differs from the share in the days before by more than `at_most_change`. The test
    passes in a young warehouse, and if the last days or the days before have fewer than
    `at_least_rows` rows (dbt var profile_rows). -#}
{% test null_rate(
    model, column_name, at_most=none, at_most_change=none, at_least_rows=none
) %}
{{ config(meta={
    'message': 'the share of NULLs is too high or has changed',
    'fix': 'find what is no longer filled, from the column back to the raw table',
}) }}
{%- set needed_rows = at_least_rows or var('profile_rows') %}
with {{ compared_profiles(model, column_name) }},

shares as (

    select
        sum(newest_count) as newest_rows,
        sum(former_count) as former_rows,
        sum(case when bin = -1 then newest_count else 0 end)
        / nullif(sum(newest_count), 0) as newest_null_rate,
        sum(case when bin = -1 then former_count else 0 end)
        / nullif(sum(former_count), 0) as former_null_rate
    from profiles

)

select
    newest_rows,
    former_rows,
    newest_null_rate,
    former_null_rate
from shares
where
    newest_rows >= {{ needed_rows }}
    and former_rows >= {{ needed_rows }}
    and (
        {%- if at_most is not none %}
        newest_null_rate > {{ at_most }}
        {%- endif %}
        {%- if at_most is not none and at_most_change is not none %}
        or
        {%- endif %}
        {%- if at_most_change is not none %}
        abs(newest_null_rate - former_null_rate) > {{ at_most_change }}
        {%- endif %}
    )
{% endtest %}
