{#- Write a custom schema name unchanged, without dbt's prefix: the mart is in one schema, and the
    dbt snapshots are in another. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
