{#- Write CTEs that end with `grown`: the names whose share of hits has grown significantly.
    `observed` is a CTE with one row per observed row and name, and the columns `known_at`, `name`
    and `hit` (1 or 0). The rows of the last `share_days` days (dbt var) up to the refresh are used.
    For each name, two comparisons are made: the rows of the last `profile_days` days with the rows
    before these days, and the rows after the last miss with the rows up to the last miss.

    A share has grown if it rose by at least 0.1 and half the G statistic of the two-by-two table is
    at least 12. Half the G statistic is the natural logarithm of the likelihood ratio of two shares
    against one (Wilks, 1938; Woolf, 1957). The statistic needs only counts and no minimum number of
    rows, and is 0 if a side is empty. docs/quality.md shows how soon the bound 12 finds a fault.
    -#}
{% macro grown_shares(observed) -%}
clock as (

    select * from {{ ref('int_mart__clock') }}

),

recent as (

    select
        {{ observed }}.name,
        {{ observed }}.known_at,
        {{ observed }}.hit,
        {{ observed }}.known_at
        > {{ add_hours('clock.as_of_at', -24 * var('profile_days')) }} as is_newest
    from {{ observed }}
    cross join clock
    where
        {%- if var('as_of') %}
        {{ observed }}.known_at
        > {{ add_hours(instant(var('as_of')), -24 * (var('share_days') + 1)) }}
        and
        {%- endif %}
        {{ observed }}.known_at > {{ add_hours('clock.as_of_at', -24 * var('share_days')) }}
        and {{ observed }}.known_at <= clock.as_of_at

),

last_misses as (

    select
        name,
        max(case when hit = 0 then known_at end) as missed_at
    from recent
    group by name

),

counted as (

    select
        recent.name,
        count(*) as all_rows,
        sum(recent.hit) as all_hits,
        sum(case when recent.is_newest then 1 else 0 end) as newest_rows,
        sum(case when recent.is_newest then recent.hit else 0 end) as newest_hits,
        sum(case when recent.known_at > last_misses.missed_at then 1 else 0 end) as run_rows
    from recent
    inner join last_misses
        on recent.name = last_misses.name
    group by recent.name

),

sides as (

    select
        name,
        newest_hits as hits,
        newest_rows as of_rows,
        all_hits - newest_hits as hits_before,
        all_rows - newest_rows as of_rows_before
    from counted
    union all
    select
        name,
        run_rows as hits,
        run_rows as of_rows,
        all_hits - run_rows as hits_before,
        all_rows - run_rows as of_rows_before
    from counted

),

scored as (

    select
        name,
        hits,
        of_rows,
        hits_before,
        of_rows_before,
        {{ ratio('hits', 'of_rows') }} as share,
        {{ ratio('hits_before', 'of_rows_before') }} as share_before,
        {{ share_evidence('hits', 'of_rows', 'hits_before', 'of_rows_before') }} as evidence
    from sides

),

grown as (

    select
        name,
        hits,
        of_rows,
        hits_before,
        of_rows_before
    from scored
    -- Ignore a share of a single row, which is always 0 or 1.
    where of_rows >= 2 and evidence >= {{ evidence_bound() }} and share - share_before >= 0.1
    qualify row_number() over (
            partition by name
            order by evidence desc nulls last, of_rows desc nulls last, hits desc nulls last
        ) = 1

)
{%- endmacro %}

{#- Write the evidence that two shares of hits differ: half the G statistic of the two-by-two table,
    which is the natural logarithm of the likelihood ratio of two shares against one. The evidence
    is 0 if a side is empty. -#}
{% macro share_evidence(hits, of_rows, other_hits, other_rows) -%}
    {{ x_ln_x(hits) }}
        + {{ x_ln_x(of_rows ~ ' - ' ~ hits) }}
        + {{ x_ln_x(other_hits) }}
        + {{ x_ln_x(other_rows ~ ' - ' ~ other_hits) }}
        + {{ x_ln_x(of_rows ~ ' + ' ~ other_rows) }}
        - {{ x_ln_x(of_rows) }}
        - {{ x_ln_x(other_rows) }}
        - {{ x_ln_x(hits ~ ' + ' ~ other_hits) }}
        - {{ x_ln_x(of_rows ~ ' + ' ~ other_rows ~ ' - ' ~ hits ~ ' - ' ~ other_hits) }}
{%- endmacro %}

{#- Write the critical value: a difference between two shares is significant if its evidence, half
    the G statistic, is at least this value. docs/quality.md shows how soon it detects a fault at
    small volume. -#}
{% macro evidence_bound() -%}
    12
{%- endmacro %}

{#- Write x ln x of a whole number; 0 if the number is 0. -#}
{% macro x_ln_x(x) -%}
    {#- allow log: a statistic that is only compared with a bound, never summed further -#}
    case when {{ x }} > 0 then ({{ x }}) * ln({{ x }}) else 0 end
{%- endmacro %}
