{#- Fails where too small or too great a share of the labels of the last days is 1; labels are 0, 1
    or NULL. Fewer labels than `at_least_rows` (dbt var profile_rows) say nothing. -#}
{% test label_balance(model, column_name, at_least, at_most, at_least_rows=none) %}
{{ config(meta={
    'message': 'nearly all labels of the last weeks are the same',
    'fix': 'nothing can be learned from one class: look at how the label is made',
}) }}
{%- set needed_rows = at_least_rows or var('profile_rows') %}
with {{ compared_profiles(model, column_name, is_compared=false) }},

-- A sum of labels is a whole number, so that no order of rows changes it.
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
