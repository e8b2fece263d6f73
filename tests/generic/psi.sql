{#- Fail if the population stability index of a column, between the last days (dbt var profile_days)
    and the days before, is above `at_most`. The index is the sum of (p - q) ln(p / q) over the
    column's `bins` and NULL, where p and q are the shares of the last days and of the days before.
    A share below `epsilon` is replaced by `epsilon`, so that the term of an empty bin is finite.
    Below 0.1 a distribution is stable, above 0.25 it has shifted (Siddiqi, Credit Risk Scorecards,
    2006). -#}
{% test psi(model, column_name, at_most=0.25, epsilon=0.0001, at_least_rows=none) %}
{{ config(meta={
    'message': 'the distribution of values differs from the weeks before',
    'fix': 'look for a season, a new definition or a fault of the source: docs/quality.md',
}) }}
{%- set needed_rows = at_least_rows or var('profile_rows') %}
with {{ compared_profiles(model, column_name) }},

shares as (

    select
        sum(newest_count) over () as newest_rows,
        sum(former_count) over () as former_rows,
        newest_count / nullif(sum(newest_count) over (), 0) as newest_share,
        former_count / nullif(sum(former_count) over (), 0) as former_share
    from profiles

),

floored as (

    select
        newest_rows,
        former_rows,
        case when newest_share > {{ epsilon }} then newest_share else {{ epsilon }} end as p,
        case when former_share > {{ epsilon }} then former_share else {{ epsilon }} end as q
    from shares

),

indexed as (

    select
        newest_rows,
        former_rows,
        -- allow log, float-sum: a statistic that is compared with a bound, and never summed
        sum((p - q) * ln(p / nullif(q, 0))) as psi
    from floored
    where newest_rows >= {{ needed_rows }} and former_rows >= {{ needed_rows }}
    group by newest_rows, former_rows

)

select
    newest_rows,
    former_rows,
    psi
from indexed
where psi > {{ at_most }}
{% endtest %}
