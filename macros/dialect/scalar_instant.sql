{#- The one instant that a query finds as `found_at`, the epoch where it finds none. DuckDB is asked
    while compiling: against a literal it skips what was loaded before, against a subquery it reads
    everything. -#}
{% macro scalar_instant(query) %}
    {{- return(adapter.dispatch('scalar_instant')(query)) -}}
{% endmacro %}

{% macro default__scalar_instant(query) -%}
    coalesce(({{ query }}), {{ instant('1970-01-01 00:00:00+00') }})
{%- endmacro %}

{% macro duckdb__scalar_instant(query) -%}
    {%- set found = 0 -%}
    {%- if execute and flags.INTROSPECT -%}
        {%- set found = run_query(
            'select coalesce(epoch_us(asked.found_at), 0) as us from (' ~ query ~ ') as asked'
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
