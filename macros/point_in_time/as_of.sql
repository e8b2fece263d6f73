{#- Bounds of one build. Every model of the history reads them from here and nowhere else. -#}

{#- The newest refresh that this table already holds, or the epoch when it is built in full: a safe
    low-water mark, since quiet days write no rows. Rows after it are appended; facts that entered
    before it stand at it. -#}
{% macro opened_at(column='as_of_at') -%}
    {%- if is_incremental() -%}
        {{ adapter.dispatch('newest_built')(column) }}
    {%- else -%}
        {{ instant('1970-01-01 00:00:00+00') }}
    {%- endif -%}
{%- endmacro %}

{% macro default__newest_built(column) -%}
    (
        select coalesce(max(built.{{ column }}), {{ instant('1970-01-01 00:00:00+00') }})
        from {{ this }} as built
    )
{%- endmacro %}

{#- Asked while compiling: against a literal DuckDB skips what was loaded before it, against a
    subquery it reads all. -#}
{% macro duckdb__newest_built(column) -%}
    {%- set newest = 0 -%}
    {%- if execute and flags.INTROSPECT -%}
        {%- set newest = run_query(
            'select coalesce(epoch_us(max(' ~ column ~ ')), 0) from ' ~ this
        ).columns[0].values()[0] -%}
    {%- endif -%}
    {{ from_epoch_us(newest) }}
{%- endmacro %}

{#- When an as-of row may be used: its refresh plus the time publishing takes. -#}
{% macro available_at(as_of_at) -%}
    {{ add_minutes(as_of_at, var('publish_lag_minutes')) }}
{%- endmacro %}
