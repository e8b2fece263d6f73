{#- Write the timestamp that a query returns as `found_at`, or 1970-01-01 if it returns NULL. The
    query runs at compile time, so that the model contains a literal. With a literal, DuckDB skips
    older row groups and BigQuery older partitions; with a subquery, both read everything. -#}
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

{#- Write `not materialized` on DuckDB, which would otherwise materialize a CTE that is read twice;
    BigQuery never does. -#}
{% macro inlined() %}{{ return(adapter.dispatch('inlined')()) }}{% endmacro %}
{% macro default__inlined() %}{% endmacro %}
{% macro duckdb__inlined() -%}
    not materialized
{%- endmacro %}
