{#- The one instant that a query finds as `found_at`, the epoch where it finds none. It is asked
    while compiling: against a literal DuckDB skips what was loaded before and BigQuery the
    partitions, against a subquery both read everything. -#}
{% macro scalar_instant(query) -%}
    {%- set found = 0 -%}
    {%- if execute and flags.INTROSPECT -%}
        {%- set found = run_query(
            'select coalesce(' ~ to_epoch_us('asked.found_at') ~ ', 0) as us '
            ~ 'from (' ~ query ~ ') as asked'
        ).columns[0].values()[0] -%}
    {%- endif -%}
    {{ from_epoch_us(found) }}
{%- endmacro %}

{#- Keeps a CTE that is read twice from being held in memory whole; BigQuery never does that. -#}
{% macro inlined() %}{{ return(adapter.dispatch('inlined')()) }}{% endmacro %}
{% macro default__inlined() %}{% endmacro %}
{% macro duckdb__inlined() -%}
    not materialized
{%- endmacro %}
