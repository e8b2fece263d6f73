{#- Where a raw table's rows come from: the table itself, where it keeps every version of a row, or
    the dbt snapshot of it, where it holds the present only (dbt_project.yml, overwritten_sources).
-#}
{% macro raw_source(table) -%}
    {%- if table in var('overwritten_sources') -%}
        {{ ref('snap_dwh__' ~ table) }}
    {%- else -%}
        {{ source('dwh', table) }}
    {%- endif -%}
{%- endmacro %}

{#- When a raw row became visible. Of a snapshot it is the time it was taken; one taken between a
    refresh and its publish lag counts as taken at that refresh, since nothing reads it sooner. NULL
    for a table without load times. -#}
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

{#- Whether this version says that the row is gone. Any table may carry `is_deleted`; a snapshot
    notes a vanished row itself. -#}
{% macro raw_is_deleted(table) -%}
    {%- if table in var('overwritten_sources') -%}
        coalesce({{ raw_column(table, 'is_deleted', 'boolean') }}, false) or dbt_is_deleted = 'True'
    {%- else -%}
        coalesce({{ raw_column(table, 'is_deleted', 'boolean') }}, false)
    {%- endif -%}
{%- endmacro %}

{#- A column that a raw table may lack: cast, or a NULL of that type. On DuckDB the raw views hold
    it in any case. -#}
{% macro raw_column(table, column, type) %}
    {{- return(adapter.dispatch('raw_column')(table, column, type)) -}}
{% endmacro %}

{% macro duckdb__raw_column(table, column, type) -%}
    cast({{ column }} as {{ type }})
{%- endmacro %}

{% macro default__raw_column(table, column, type) -%}
    {#- Of the table itself, named as _sources.yml does: in a unit test source() is its fixture,
        which has the same columns, and the graph has no sources. -#}
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
