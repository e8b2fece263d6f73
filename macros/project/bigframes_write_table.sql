{#- Write dbt's script for a Python model on BigQuery with one change: the clustering of the table.
    dbt omits it, and then each run reads the whole table. -#}
{% macro bigframes_write_table(compiled_code, target_relation) -%}
    {%- set script = dbt.bigframes_write_table(compiled_code, target_relation) -%}
    {%- set columns = tojson(config.get('cluster_by')) -%}
    {%- set end = ', if_exists=' ~ tojson('replace') -%}
    {{- return(script | replace(end, end ~ ', clustering_columns=' ~ columns)) -}}
{%- endmacro %}
