{#- Bounds of one build. Every model of the history reads them from here and nowhere else. -#}

{#- The newest refresh that this table already holds, or the epoch when it is built in full: a safe
    low-water mark, since quiet days write no rows. Rows after it are appended; facts that entered
    before it stand at it. -#}
{% macro opened_at(column='as_of_at') -%}
    {%- if is_incremental() -%}
        {{ scalar_instant(
            'select max(built.' ~ column ~ ') as found_at from ' ~ this ~ ' as built'
        ) }}
    {%- else -%}
        {{ instant('1970-01-01 00:00:00+00') }}
    {%- endif -%}
{%- endmacro %}

{#- When an as-of row may be used: its refresh plus the time publishing takes. -#}
{% macro available_at(as_of_at) -%}
    {{ add_minutes(as_of_at, var('publish_lag_minutes')) }}
{%- endmacro %}
