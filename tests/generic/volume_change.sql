{#- Fail if the number of rows of the last days (dbt var profile_days), divided by the number of
    rows of the days before, is below `at_least_ratio` or above `at_most_ratio`. The test passes in
    a young warehouse, and if the days before have fewer rows than `at_least_rows` (dbt var
    profile_rows). -#}
{% test volume_change(model, at_least_ratio, at_most_ratio, at_least_rows=none) %}
{{ config(meta={
    'message': 'far fewer or more rows than in the weeks before',
    'fix': 'check whether the raw tables were loaded completely, and only once',
}) }}
{%- set needed_rows = at_least_rows or var('profile_rows') %}
with {{ compared_profiles(model, none) }},

counted as (

    select
        sum(newest_count) as newest_rows,
        sum(former_count) as former_rows
    from profiles
    group by column_name

)

select
    newest_rows,
    former_rows,
    {{ ratio('newest_rows', 'former_rows') }} as ratio
from counted
where
    former_rows >= {{ needed_rows }}
    and not (
        newest_rows >= cast({{ at_least_ratio }} as {{ type_double() }}) * former_rows
        and newest_rows <= cast({{ at_most_ratio }} as {{ type_double() }}) * former_rows
    )
limit 1
{% endtest %}
