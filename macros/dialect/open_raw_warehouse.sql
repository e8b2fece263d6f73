{#- The embedded engine reads the raw warehouse through one view a Parquet file, in the schema `dwh`.
    On BigQuery the raw dataset is simply there. -#}
{% macro open_raw_warehouse() %}
    {{- return(adapter.dispatch('open_raw_warehouse')()) -}}
{% endmacro %}

{% macro default__open_raw_warehouse() %}
    {{- return('') -}}
{% endmacro %}

{% macro duckdb__open_raw_warehouse() %}
    {%- set folder = env_var('MART_DWH', '.mart/sample/dwh') -%}
    {%- set tables = [
        'categories', 'clients', 'freelancers', 'jobs', 'job_skills', 'proposals', 'contracts', 'reviews',
    ] -%}
    {%- set statements = ['create schema if not exists dwh'] -%}
    {%- for table in tables -%}
        {%- set path = (folder ~ '/' ~ table ~ '.parquet') | replace("'", "''") -%}
        {%- do statements.append(
            "create or replace view dwh." ~ table ~ " as select * from read_parquet('" ~ path ~ "')"
        ) -%}
    {%- endfor -%}
    {{- return(statements | join(';\n')) -}}
{% endmacro %}
