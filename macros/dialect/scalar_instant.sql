{#- The timestamp that a query returns as `found_at`, or the epoch if it returns none. The query
    runs at compile time, so that the model contains a literal: with a literal DuckDB skips older
    row groups and BigQuery older partitions; with a subquery both read everything. -#}
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

{#- Keeps DuckDB from materializing a CTE that is read twice; BigQuery never does. -#}
{% macro inlined() %}{{ return(adapter.dispatch('inlined')()) }}{% endmacro %}
{% macro default__inlined() %}{% endmacro %}
{% macro duckdb__inlined() -%}
    not materialized
{%- endmacro %}
