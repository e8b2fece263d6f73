{#- Column types in YAML have BigQuery's names: string, int64, float64, timestamp. DuckDB has no
    float64, and its timestamp has no time zone. -#}

{#- Return the engine's name of a type in YAML. An unknown name is returned unchanged. -#}
{% macro column_type(name) %}
    {{- return(adapter.dispatch('column_type')(name)) -}}
{% endmacro %}
{% macro default__column_type(name) %}
    {{- return(name) -}}
{% endmacro %}
{% macro duckdb__column_type(name) %}
    {%- set names = {'float64': type_double(), 'timestamp': type_instant()} -%}
    {{- return(names.get(name | trim | lower, name)) -}}
{% endmacro %}

{#- Return a copy of the columns of a contract with the engine's types. dbt's own columns keep the
    types in YAML. -#}
{% macro typed_columns(columns) %}
    {%- set typed = {} -%}
    {%- for name, column in columns.items() -%}
        {%- set copy = dict(column) -%}
        {%- if copy.get('data_type') -%}
            {%- do copy.update({'data_type': column_type(copy.data_type)}) -%}
        {%- endif -%}
        {%- do typed.update({name: copy}) -%}
    {%- endfor -%}
    {{- return(typed) -}}
{% endmacro %}

{#- On DuckDB, dbt calls the first of the next three macros to compare a contract with the query,
    the second to create the table of a contract, and the third to create the table of a seed. -#}
{% macro duckdb__get_empty_schema_sql(columns) %}
    {{- return(dbt.default__get_empty_schema_sql(typed_columns(columns))) -}}
{% endmacro %}

{% macro duckdb__get_table_columns_and_constraints() -%}
    {%- set columns = typed_columns(model['columns']) -%}
    {%- set own = adapter.render_raw_columns_constraints(raw_columns=columns) -%}
    {%- set others = adapter.render_raw_model_constraints(raw_constraints=model['constraints']) -%}
    ({{ (own + others) | join(', ') }})
{%- endmacro %}

{% macro duckdb__create_csv_table(model, agate_table) %}
    {%- set types = {} -%}
    {%- for name, type in model['config'].get('column_types', {}).items() -%}
        {%- do types.update({name: column_type(type)}) -%}
    {%- endfor -%}
    {%- do model['config'].update({'column_types': types}) -%}
    {{- return(dbt.default__create_csv_table(model, agate_table)) -}}
{% endmacro %}
