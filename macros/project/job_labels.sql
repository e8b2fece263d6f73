{#- What a query is for, as JSON: labels of its job on BigQuery, a comment on DuckDB. A label has
    lower-case letters, digits, - and _, 63 at most; dbt sees to that. -#}
{% macro job_labels(node) -%}
    {%- set labels = {
        'app': 'feature_mart',
        'target': target.name,
        'model': node.name if node else 'none',
        'run': env_var('MART_RUN_LABEL', 'by_hand'),
        'commit': env_var('MART_COMMIT_LABEL', 'unknown'),
    } -%}
    {{- return(tojson(labels)) -}}
{%- endmacro %}
