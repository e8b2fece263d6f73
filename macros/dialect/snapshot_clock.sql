{#- The time a dbt snapshot is taken at: dbt var snapshot_at, or the wall clock. Every row of one
    snapshot gets the same. -#}
{% macro duckdb__snapshot_get_time() -%}
    {%- if var('snapshot_at') -%}
        cast({{ instant(var('snapshot_at')) }} as timestamp)
    {%- else -%}
        cast({{ wall_clock() }} as timestamp)
    {%- endif -%}
{%- endmacro %}

{% macro bigquery__snapshot_get_time() -%}
    {%- if var('snapshot_at') -%}
        {{ instant(var('snapshot_at')) }}
    {%- else -%}
        {{ wall_clock() }}
    {%- endif -%}
{%- endmacro %}
