{#- Fail with one row for each reason that excludes a larger share of the recently known labels than
    of earlier labels, by the rule of grown_shares(). -#}
{% test steady_exclusions(model, column_name, known_at='label_known_at') %}
{{ config(meta={
    'message': 'a larger share of the newest labels is excluded than before',
    'fix': 'find the cause of the reason, from the label back to the raw table',
    'shows_rows': true,
}) }}
with tested as (

    select * from {{ model }}

),

labels as (

    select
        {{ known_at }} as known_at,
        {{ column_name }} as reason
    from tested
    where {{ known_at }} is not null

),

reasons as (

    select reason as name
    from labels
    where reason is not null
    group by reason

),

observed as (

    select
        labels.known_at,
        reasons.name,
        case when labels.reason = reasons.name then 1 else 0 end as hit
    from labels
    cross join reasons

),

{{ grown_shares('observed') }}

select
    name as reason,
    hits as excluded_count,
    of_rows as row_count,
    hits_before as excluded_count_before,
    of_rows_before as row_count_before
from grown
{% endtest %}
