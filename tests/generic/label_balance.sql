{#- Fail if the share of ones among the labels of the last days (dbt var profile_days) is below
    `at_least` or above `at_most`. The labels are 0, 1 or NULL. The test passes with fewer labels
    than `at_least_rows` (dbt var profile_rows). -#}
{% test label_balance(model, column_name, at_least, at_most, at_least_rows=none) %}
{{ config(meta={
    'message': 'nearly all labels of the last weeks are the same',
    'fix': 'a model cannot learn from one class: check how the label is computed',
}) }}
{%- set needed_rows = at_least_rows or var('profile_rows') %}
with {{ compared_profiles(model, column_name, is_compared=false) }},

-- The sum of labels is a whole number, so it does not depend on the order of rows.
positives as (

    select sum(cast(round(total) as bigint)) as positive_count
    from sided
    where is_newest

),

counted as (

    select sum(case when bin >= 0 then newest_count else 0 end) as labels
    from profiles

),

shares as (

    select
        counted.labels,
        {{ ratio('positives.positive_count', 'counted.labels') }} as positive_share
    from counted
    cross join positives

)

select
    labels,
    positive_share
from shares
where
    labels >= {{ needed_rows }}
    and not (positive_share >= {{ at_least }} and positive_share <= {{ at_most }})
{% endtest %}
