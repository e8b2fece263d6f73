{#- Macros for the watermark of an incremental build and for the publish lag. -#}

{#- Write the newest refresh in this table, or 1970-01-01 in a full build: the watermark, after
    which rows are appended. The watermark may be earlier than the last build, because a build
    without changes writes no rows. -#}
{% macro opened_at(column='as_of_at') -%}
    {%- if is_incremental() -%}
        {{ scalar_instant(
            'select max(built.' ~ column ~ ') as found_at from ' ~ this ~ ' as built'
        ) }}
    {%- else -%}
        {{ instant('1970-01-01 00:00:00+00') }}
    {%- endif -%}
{%- endmacro %}

{#- Write the time from which an as-of row may be used: its refresh plus the publish lag. -#}
{% macro available_at(as_of_at) -%}
    {{ add_minutes(as_of_at, var('publish_lag_minutes')) }}
{%- endmacro %}
