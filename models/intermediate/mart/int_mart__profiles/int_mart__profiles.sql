{{ config(
    materialized='incremental',
    full_refresh=false,
    unique_key=['measured_at', 'model_name', 'column_name', 'bin'],
    on_schema_change='append_new_columns'
) }}
{%- set profiled_tables = {
    'feat_job__category_at_request': 'entered_at',
    'feat_job__client_at_request': 'entered_at',
    'feat_job__client_category_at_request': 'entered_at',
    'feat_job__job_type_at_request': 'entered_at',
    'feat_job__market_at_request': 'entered_at',
    'feat_job__posting': 'entered_at',
    'feat_job__skills_at_request': 'entered_at',
    'feat_job__terms_at_request': 'entered_at',
    'feat_job__text': 'entered_at',
    'int_job__hire_label': 'label_known_at',
    'int_job__price_label': 'label_known_at',
} -%}
{%- set columns, bins = profiled_columns(profiled_tables) -%}
{%- set days_before = add_hours('clock.as_of_at', -24 * var('profile_days')) -%}
-- One row per (refresh, feature or label, bin): how the values of the rows of its last days were
-- spread. A full refresh keeps what former refreshes measured, with the definitions of their time;
-- where none measured the days before, they are measured now, so that there is always something to
-- compare with.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),
{%- for table in profiled_tables %}

{{ table }} as {{ inlined() }} (

    select * from {{ ref(table) }}

),
{%- endfor %}

{%- if is_incremental() %}

-- One row: the newest refresh that measured the days before, NULL where none did. An aggregate, not
-- `not exists`: BigQuery refuses one without an equality.
measured_before as (

    select max(built.measured_at) as measured_at
    from {{ this }} as built
    cross join clock
    where
        built.measured_at <= {{ days_before }}
        and built.measured_at > {{ add_hours(days_before, -24 * var('profile_days')) }}

),
{%- endif %}

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

final as (

    select
        measured_at,
        model_name,
        column_name,
        bin,
        count(*) as row_count,
        count(distinct cell) as distinct_count,
        min(cell) as least,
        max(cell) as greatest,
        -- allow float-sum: exact for a label, 0 or 1; of a feature nothing is worked out from it
        sum(cell) as total
    from binned
    group by measured_at, model_name, column_name, bin

)

select * from final
