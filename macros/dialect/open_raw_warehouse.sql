{#- The embedded engine reads the raw warehouse through one view a Parquet file, in the schema
    `dwh`. On BigQuery the raw dataset is simply there. -#}
{% macro open_raw_warehouse() %}
    {{- return(adapter.dispatch('open_raw_warehouse')()) -}}
{% endmacro %}

{% macro default__open_raw_warehouse() %}
    {{- return('') -}}
{% endmacro %}

{#- Columns that a file may lack come out as NULLs: `union all by name` fills them in. -#}
{% macro duckdb__open_raw_warehouse() %}
    {%- set folder = env_var('MART_DWH', '.mart/sample/dwh') -%}
    {%- set optional_columns = {
        'categories': ['loaded_at', 'is_deleted'],
        'clients': ['is_deleted'],
        'freelancers': ['is_deleted'],
        'jobs': ['is_deleted'],
        'job_skills': ['loaded_at', 'is_deleted'],
        'proposals': ['is_deleted'],
        'contracts': ['is_deleted'],
        'reviews': ['is_deleted'],
    } -%}
    {%- set nulls = {
        'loaded_at': 'cast(null as timestamptz)',
        'is_deleted': 'cast(null as boolean)',
    } -%}
    {%- set statements = ['create schema if not exists dwh'] -%}
    {%- for table, columns in optional_columns.items() -%}
        {%- set path = (folder ~ '/' ~ table ~ '.parquet') | replace("'", "''") -%}
        {%- set absent = [] -%}
        {%- for column in columns -%}
            {%- do absent.append(nulls[column] ~ ' as ' ~ column) -%}
        {%- endfor -%}
        {%- do statements.append(
            'create or replace view dwh.' ~ table
            ~ " as select * from read_parquet('" ~ path ~ "') "
            ~ 'union all by name select ' ~ absent | join(', ') ~ ' where false'
        ) -%}
    {%- endfor -%}
    {{- return(statements | join(';\n')) -}}
{% endmacro %}
