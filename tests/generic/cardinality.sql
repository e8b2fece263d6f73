{#- Fail if a column has fewer than `at_least` or more than `at_most` distinct values in the rows of
    the last days (dbt var profile_days). NULL does not count as a value. The test passes in a young
    warehouse, and if the last days or the days before have fewer than `at_least_rows` rows (dbt var
    profile_rows). -#}
{% test cardinality(model, column_name, at_least=1, at_most=none, at_least_rows=none) %}
{{ config(meta={
    'message': 'too few or too many distinct values',
    'fix': 'look for a default that replaced values, or for an id among the values',
}) }}
{%- set needed_rows = at_least_rows or var('profile_rows') %}
with {{ compared_profiles(model, column_name) }},

counted as (

    select
        sum(newest_count) as newest_rows,
        sum(former_count) as former_rows,
        sum(newest_distinct_count) as distinct_count
    from profiles

)

select
    newest_rows,
    former_rows,
    distinct_count
from counted
where
    newest_rows >= {{ needed_rows }}
    and former_rows >= {{ needed_rows }}
    and not coalesce(
        distinct_count >= {{ at_least }}
        {%- if at_most is not none %} and distinct_count <= {{ at_most }}{% endif %}, false
    )
{% endtest %}
