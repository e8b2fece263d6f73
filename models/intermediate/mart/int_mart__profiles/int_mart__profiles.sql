{{ config(
    materialized='incremental',
    full_refresh=false,
    unique_key=['measured_at', 'model_name', 'column_name', 'bin'],
    on_schema_change='append_new_columns'
) }}
{%- set profiled_tables = profiled_tables() -%}
{%- set columns, bins = profiled_columns(profiled_tables) -%}
{%- set days_before = add_hours('clock.as_of_at', -24 * var('profile_days')) -%}
-- One row per refresh, feature or label, and bin: the distribution of the values in the rows of the
-- last profile_days days (dbt var). A full refresh keeps the measurements of earlier refreshes,
-- which were made with the feature definitions of that time. If no earlier refresh measured the
-- profile_days days before those days, this build measures both periods, so that every comparison
-- has two sides.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),
{%- for table in profiled_tables %}

{{ table }} as {{ inlined() }} (

    select * from {{ ref(table) }}

),
{%- endfor %}

{%- if is_incremental() %}

-- One row: the newest refresh that measured the days before the last profile_days days, NULL if
-- there is none. The query uses an aggregate instead of `not exists`, which BigQuery rejects
-- without an equality.
measured_before as (

    select max(built.measured_at) as measured_at
    from {{ this }} as built
    cross join clock
    where
        built.measured_at <= {{ days_before }}
        and built.measured_at > {{ add_hours(days_before, -24 * var('profile_days')) }}

),
{%- endif %}

-- One row per refresh: the number of jobs that entered at the refresh.
refresh_sizes as (

    select
        entered_at,
        count(*) as job_count
    from feat_job__posting
    group by entered_at

),

cumulated as (

    select
        entered_at,
        sum(job_count) over (
            order by entered_at asc nulls last
            rows between unbounded preceding and current row
        ) as job_count
    from refresh_sizes

),

-- The history begins at the first refresh with enough jobs for a comparison, not with a few old
-- rows.
opening as (

    select min(entered_at) as opened_at
    from cumulated
    where job_count >= {{ var('profile_rows') }}

),

instants as (

    select as_of_at as measured_at from clock
    union all
    select {{ days_before }} as measured_at
    from clock
    {%- if is_incremental() %}
    cross join measured_before
    where measured_before.measured_at is null
    {%- endif %}

),
{%- for table, known_at in profiled_tables.items() %}

{{ table }}_values as (

    select
        instants.measured_at,
        {%- for column in columns[table] %}
        cast(
            {{ table }}.{{ column }} as {{ type_double() }}
        ) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ table }}
    inner join instants
        on
            {%- if var('as_of') %}
            {{ table }}.{{ known_at }} > {{ add_hours(instant(var('as_of')), -24 * 2 * var('profile_days')) }}
            and
            {%- endif %}
            {{ table }}.{{ known_at }} <= instants.measured_at
            and {{ table }}.{{ known_at }}
            > {{ add_hours('instants.measured_at', -24 * var('profile_days')) }}

),
{%- endfor %}

cells as (
{% for table in profiled_tables %}
    select
        measured_at,
        '{{ table }}' as model_name,
        column_name,
        cell
    from {{ table }}_values
    unpivot include nulls (
        cell for column_name in (
            {{ columns[table] | join(',\n            ') }}
        )
    )
    {%- if not loop.last %}
    union all
    {%- endif %}
{%- endfor %}

),

binned as (

    select
        measured_at,
        model_name,
        column_name,
        cell,
        case
            when cell is null then -1
            {%- for column, edges in bins.items() %}
            when column_name = '{{ column }}'
                then
                    case
                        {%- for edge in edges %}
                        when cell < {{ edge }} then {{ loop.index0 }}
                        {%- endfor %}
                        else {{ edges | length }}
                    end
            {%- endfor %}
            else 0
        end as bin
    from cells

),

counted as (

    select
        measured_at,
        model_name,
        column_name,
        bin,
        count(*) as row_count,
        count(distinct cell) as distinct_count,
        min(cell) as least,
        max(cell) as greatest,
        -- Add whole millionths, because a sum of floats depends on the order of rows.
        cast(sum({{ fixed_point('cell') }}) as bigint) as total_e6
    from binned
    group by measured_at, model_name, column_name, bin

),

final as (

    select
        counted.measured_at,
        counted.model_name,
        counted.column_name,
        cast(counted.bin as bigint) as bin,
        counted.row_count,
        counted.distinct_count,
        counted.least,
        counted.greatest,
        {{ ratio('counted.total_e6', '1000000') }} as total,
        {{ days_between('opening.opened_at', 'counted.measured_at') }} as history_days
    from counted
    cross join opening

)

select * from final
