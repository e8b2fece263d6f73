{#- Write the time of a dbt snapshot: dbt var snapshot_at, or else the wall clock. All rows of one
    snapshot get the same time. -#}
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
