{#-
Write a SELECT of all spine rows, each with the columns of the newest feature row of its key that
was available at the time of the spine row.

    pit_join(spine, features, key, columns, spine_at='requested_at', features_at='available_at')

`spine` and `features` are names of CTEs. `key` is a column of both, or a list of columns.
`features` has no NULL in the key, and one row per (key, features_at).
The SELECT returns all columns of the spine, then `columns`. Without a feature row, for example
because of a NULL in its key or time, a spine row gets NULLs. A feature row that is available
exactly at `spine_at` is used. A NULL in the newest feature row stays NULL. No spine row is lost or
duplicated.

DuckDB has an ASOF join, and BigQuery has none. On BigQuery both sides are put into one stream
ordered by time. Each feature row is packed in a struct, because a NULL in the newest row would
otherwise be replaced by an older value. A spine row without a time comes first in the stream,
before all feature rows. The stream carries the spine rows, so that nothing is joined back and
duplicate spine rows are kept. This form also runs on DuckDB, and the tests compare both.
-#}
{% macro pit_join(
    spine, features, key, columns, spine_at='requested_at', features_at='available_at'
) %}
    {{- return(adapter.dispatch('pit_join')(
        spine, features, key, columns, spine_at, features_at
    )) -}}
{% endmacro %}

{% macro duckdb__pit_join(spine, features, key, columns, spine_at, features_at) -%}
    {%- set keys = [key] if key is string else key -%}
    select
        {{ spine }}.*,
        {%- for column in columns %}
        {{ features }}.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ spine }}
    asof left join {{ features }}
        on {{ spine }}.{{ keys[0] }} = {{ features }}.{{ keys[0] }}
        {%- for column in keys[1:] %}
        and {{ spine }}.{{ column }} = {{ features }}.{{ column }}
        {%- endfor %}
        and {{ spine }}.{{ spine_at }} >= {{ features }}.{{ features_at }}
{%- endmacro %}

{% macro default__pit_join(spine, features, key, columns, spine_at, features_at) -%}
    {%- set keys = [key] if key is string else key -%}
    select
        spine_row.*,
        {%- for column in columns %}
        feature_row.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            stream.spine_row,
            stream.is_spine,
            last_value(stream.feature_row ignore nulls) over (
                partition by
                    {%- for column in keys %}
                    stream.join_key_{{ loop.index }}{{ ',' if not loop.last }}
                    {%- endfor %}
                order by stream.join_at asc nulls first, stream.is_spine asc nulls last
                rows between unbounded preceding and current row
            ) as feature_row
        from (
            select
                {%- for column in keys %}
                {{ features }}.{{ column }} as join_key_{{ loop.index }},
                {%- endfor %}
                {{ features }}.{{ features_at }} as join_at,
                0 as is_spine,
                {{ struct_of(columns, features) }} as feature_row,
                null as spine_row
            from {{ features }}
            where {{ features }}.{{ features_at }} is not null
            union all
            select
                {%- for column in keys %}
                {{ spine }}.{{ column }} as join_key_{{ loop.index }},
                {%- endfor %}
                {{ spine }}.{{ spine_at }} as join_at,
                1 as is_spine,
                null as feature_row,
                {{ spine }} as spine_row
            from {{ spine }}
        ) as stream
    ) as latest
    where is_spine = 1
{%- endmacro %}

{#- Write a struct of columns of a relation, under their own names. -#}
{% macro struct_of(columns, relation) %}
    {{- return(adapter.dispatch('struct_of')(columns, relation)) -}}
{% endmacro %}
{% macro default__struct_of(columns, relation) -%}
    struct(
        {%- for column in columns -%}
            {{ relation }}.{{ column }} as {{ column }}{{ ', ' if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}
{% macro duckdb__struct_of(columns, relation) -%}
    struct_pack(
        {%- for column in columns -%}
            {{ column }} := {{ relation }}.{{ column }}{{ ', ' if not loop.last }}
        {%- endfor -%}
    )
{%- endmacro %}
