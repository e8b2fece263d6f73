{#- A schema that is named is meant as it is named: the mart lives in one schema, the snapshots in
    one of their own. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
