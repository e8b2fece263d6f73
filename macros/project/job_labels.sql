{#- Write the purpose of a query as JSON. dbt uses the JSON as labels of the query's job on BigQuery
    and as a comment in the query on DuckDB. dbt converts each label to BigQuery's rules: lower-case
    letters, digits, - and _, at most 63 characters. -#}
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
