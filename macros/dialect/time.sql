{#- Macros for timestamps. They never add an interval of days, because on DuckDB the length of a day
    depends on the session's time zone. -#}

{#- Write `at` plus a number of hours; `hours` may be an expression. -#}
{% macro add_hours(at, hours) %}
    {{- return(adapter.dispatch('add_hours')(at, hours)) -}}
{% endmacro %}
{% macro default__add_hours(at, hours) -%}
    timestamp_add({{ at }}, interval {{ hours }} hour)
{%- endmacro %}
{% macro duckdb__add_hours(at, hours) -%}
    ({{ at }} + to_hours({{ hours }}))
{%- endmacro %}

{#- Write `at` plus a number of minutes. -#}
{% macro add_minutes(at, minutes) %}
    {{- return(adapter.dispatch('add_minutes')(at, minutes)) -}}
{% endmacro %}
{% macro default__add_minutes(at, minutes) -%}
    timestamp_add({{ at }}, interval {{ minutes }} minute)
{%- endmacro %}
{% macro duckdb__add_minutes(at, minutes) -%}
    ({{ at }} + to_minutes({{ minutes }}))
{%- endmacro %}

{#- Convert a timestamp to microseconds since 1970-01-01 UTC, and microseconds to a timestamp. -#}
{% macro to_epoch_us(at) %}
    {{- return(adapter.dispatch('to_epoch_us')(at)) -}}
{% endmacro %}
{% macro default__to_epoch_us(at) -%}
    unix_micros({{ at }})
{%- endmacro %}
{% macro duckdb__to_epoch_us(at) -%}
    epoch_us({{ at }})
{%- endmacro %}

{% macro from_epoch_us(us) %}
    {{- return(adapter.dispatch('from_epoch_us')(us)) -}}
{% endmacro %}
{% macro default__from_epoch_us(us) -%}
    timestamp_micros({{ us }})
{%- endmacro %}
{% macro duckdb__from_epoch_us(us) -%}
    make_timestamptz({{ us }})
{%- endmacro %}

{#- Write the first refresh at or after `at`: the `refresh_hour` of a business day. One microsecond
    is subtracted before truncating, so that a refresh maps to itself. -#}
{% macro refresh_at(at) %}
    {{- return(adapter.dispatch('refresh_at')(at)) -}}
{% endmacro %}
{% macro default__refresh_at(at) -%}
    timestamp(
        datetime_add(
            datetime_trunc(
                datetime_sub(
                    datetime(
                        timestamp_sub({{ at }}, interval 1 microsecond),
                        {{ text_literal(var('business_timezone')) }}
                    ),
                    interval {{ var('refresh_hour') }} hour
                ),
                day
            ),
            interval {{ 24 + var('refresh_hour') }} hour
        ),
        {{ text_literal(var('business_timezone')) }}
    )
{%- endmacro %}
{#- If clocks are put back at the refresh hour, the hour occurs twice, and the second occurrence is
    the refresh. A timestamp between the two occurrences is before the refresh of that day. -#}
{% macro duckdb__refresh_at(at) -%}
    {%- set zone = text_literal(var('business_timezone')) -%}
    {%- set hours = 'to_hours(' ~ var('refresh_hour') ~ ')' -%}
    {%- set local = 'timezone(' ~ zone ~ ', ' ~ at ~ ' - to_microseconds(1))' -%}
    {%- set day = "date_trunc('day', " ~ local ~ ' - ' ~ hours ~ ')' -%}
    case
        when timezone({{ zone }}, {{ day }} + {{ hours }}) >= {{ at }}
            then timezone({{ zone }}, {{ day }} + {{ hours }})
        else timezone({{ zone }}, {{ day }} + to_hours({{ 24 + var('refresh_hour') }}))
    end
{%- endmacro %}

{#- Write the last refresh at or before `at`. -#}
{% macro refresh_before(at) %}
    {{- return(adapter.dispatch('refresh_before')(at)) -}}
{% endmacro %}
{% macro default__refresh_before(at) -%}
    timestamp(
        datetime_add(
            datetime_trunc(
                datetime_sub(
                    datetime({{ at }}, {{ text_literal(var('business_timezone')) }}),
                    interval {{ var('refresh_hour') }} hour
                ),
                day
            ),
            interval {{ var('refresh_hour') }} hour
        ),
        {{ text_literal(var('business_timezone')) }}
    )
{%- endmacro %}
{% macro duckdb__refresh_before(at) -%}
    {%- set zone = text_literal(var('business_timezone')) -%}
    {%- set hours = 'to_hours(' ~ var('refresh_hour') ~ ')' -%}
    {%- set day = "date_trunc('day', timezone(" ~ zone ~ ', ' ~ at ~ ') - ' ~ hours ~ ')' -%}
    case
        when timezone({{ zone }}, {{ day }} + {{ hours }}) <= {{ at }}
            then timezone({{ zone }}, {{ day }} + {{ hours }})
        else timezone({{ zone }}, {{ day }} - to_hours({{ 24 - var('refresh_hour') }}))
    end
{%- endmacro %}

{#- Write the hour of a timestamp in the business zone, 0 to 23. -#}
{% macro local_hour(at) %}
    {{- return(adapter.dispatch('local_hour')(at)) -}}
{% endmacro %}
{% macro default__local_hour(at) -%}
    extract(hour from {{ at }} at time zone {{ text_literal(var('business_timezone')) }})
{%- endmacro %}
{% macro duckdb__local_hour(at) -%}
    extract(hour from timezone({{ text_literal(var('business_timezone')) }}, {{ at }}))
{%- endmacro %}

{#- Write the business day of a timestamp as text, such as 2026-04-01. -#}
{% macro local_date(at) %}
    {{- return(adapter.dispatch('local_date')(at)) -}}
{% endmacro %}
{% macro default__local_date(at) -%}
    cast(date({{ at }}, {{ text_literal(var('business_timezone')) }}) as string)
{%- endmacro %}
{% macro duckdb__local_date(at) -%}
    {%- set zone = text_literal(var('business_timezone')) -%}
    cast(cast(timezone({{ zone }}, {{ at }}) as date) as string)
{%- endmacro %}

{#- Write the weekday of a timestamp in the business zone, from Monday (1) to Sunday (7). BigQuery
    counts from Sunday (1). -#}
{% macro local_weekday(at) %}
    {{- return(adapter.dispatch('local_weekday')(at)) -}}
{% endmacro %}
{% macro default__local_weekday(at) -%}
    {%- set zone = text_literal(var('business_timezone')) -%}
    mod(extract(dayofweek from {{ at }} at time zone {{ zone }}) + 5, 7) + 1
{%- endmacro %}
{% macro duckdb__local_weekday(at) -%}
    extract(isodow from timezone({{ text_literal(var('business_timezone')) }}, {{ at }}))
{%- endmacro %}

{#- Write the engine's current time. Only int_mart__clock and the dbt snapshots may use this macro,
    never a feature. -#}
{% macro wall_clock() -%}
    current_timestamp
{%- endmacro %}
