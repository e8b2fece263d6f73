{#- dbt's own script around a Python model on BigQuery, but for one thing: it leaves the clustering
    out, without which each run would read the table whole. -#}
{% macro bigframes_write_table(compiled_code, target_relation) -%}
    {%- set script = dbt.bigframes_write_table(compiled_code, target_relation) -%}
    {%- set columns = tojson(config.get('cluster_by')) -%}
    {%- set end = ', if_exists=' ~ tojson('replace') -%}
    {{- return(script | replace(end, end ~ ', clustering_columns=' ~ columns)) -}}
{%- endmacro %}
