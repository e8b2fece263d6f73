{#- Write the relation from which a raw table's rows are read: the table itself if it keeps every
    version of a row, or its dbt snapshot if it keeps only the present version (overwritten_sources
    in dbt_project.yml). -#}
{% macro raw_source(table) -%}
    {%- if table in var('overwritten_sources') -%}
        {{ ref('snap_dwh__' ~ table) }}
    {%- else -%}
        {{ source('dwh', table) }}
    {%- endif -%}
{%- endmacro %}

{#- Write the time at which a raw row became visible; NULL for a table without load times. For a dbt
    snapshot, this is the time of the snapshot. A snapshot taken after a refresh and within the
    publish lag counts as taken at the refresh, because no request uses the rows of the refresh
    before the lag has passed. -#}
{% macro raw_loaded_at(table) -%}
    {%- if table in var('overwritten_sources') -%}
        {%- set taken_at = 'cast(dbt_valid_from as ' ~ type_instant() ~ ')' -%}
        case
            when
                {{ taken_at }}
                <= {{ add_minutes(refresh_before(taken_at), var('publish_lag_minutes')) }}
                then {{ refresh_before(taken_at) }}
            else {{ taken_at }}
        end
    {%- else -%}
        {{ raw_column(table, 'loaded_at', type_instant()) }}
    {%- endif -%}
{%- endmacro %}

{#- Write a condition that is true if a row version records that the row was deleted. Any raw table
    may have the column `is_deleted`; a dbt snapshot sets `dbt_is_deleted`. -#}
{% macro raw_is_deleted(table) -%}
    {%- if table in var('overwritten_sources') -%}
        coalesce({{ raw_column(table, 'is_deleted', 'boolean') }}, false) or dbt_is_deleted = 'True'
    {%- else -%}
        coalesce({{ raw_column(table, 'is_deleted', 'boolean') }}, false)
    {%- endif -%}
{%- endmacro %}

{#- Write a column of a raw table, cast to a type, or a NULL of the type if the table does not have
    the column. On DuckDB the views of the raw tables always have the column. -#}
{% macro raw_column(table, column, type) %}
    {{- return(adapter.dispatch('raw_column')(table, column, type)) -}}
{% endmacro %}

{% macro duckdb__raw_column(table, column, type) -%}
    cast({{ column }} as {{ type }})
{%- endmacro %}

{% macro default__raw_column(table, column, type) -%}
    {#- Look up the columns of the raw table by its name, built from MART_DWH as in _sources.yml. In
        a unit test, source() is the fixture, and the graph has no sources. -#}
    {%- set found = [] -%}
    {%- if execute and flags.INTROSPECT -%}
        {%- set dataset = env_var('MART_DWH', 'dwh').split('.') -%}
        {%- set project = dataset[0] if dataset | length > 1 else target.database -%}
        {%- set raw = api.Relation.create(project, dataset[-1], table) -%}
        {%- for present in adapter.get_columns_in_relation(raw) -%}
            {%- do found.append(present.name | lower) -%}
        {%- endfor -%}
    {%- endif -%}
    cast({{ column if column in found or not found else 'null' }} as {{ type }})
{%- endmacro %}
