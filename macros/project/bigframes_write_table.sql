{#- Write dbt's script for a Python model on BigQuery, with the clustering of the table added. dbt
    omits the clustering, and each run would then read the whole table. -#}
{% macro bigframes_write_table(compiled_code, target_relation) -%}
    {%- set script = dbt.bigframes_write_table(compiled_code, target_relation) -%}
    {%- set columns = tojson(config.get('cluster_by')) -%}
    {%- set end = ', if_exists=' ~ tojson('replace') -%}
    {{- return(script | replace(end, end ~ ', clustering_columns=' ~ columns)) -}}
{%- endmacro %}
