{#- Write a SELECT of the periods in which the load times of a raw table are wrong, one per row, as
    listed in seeds/load_clock.csv. The result is empty if no line of this warehouse names the
    table. Periods do not overlap (assert_load_clock__periods_are_apart). -#}
{% macro untrusted_periods(table) -%}
    select
        load_clock.untrusted_from,
        load_clock.trusted_from,
        load_clock.assumed_lag_hours
    from {{ ref('load_clock') }} as load_clock
    where {{ is_line_of(table) }}
{%- endmacro %}

{#- Write a condition that is true if a line of the load clock names the table, and either names
    this warehouse or applies to all warehouses. -#}
{% macro is_line_of(table) -%}
    load_clock.{{ adapter.quote('table') }} = '{{ table }}'
    and coalesce(load_clock.warehouse, '') in ('', {{ text_literal(var('warehouse')) }})
{%- endmacro %}

{#- Write the time from which all load times of the table are correct, as a scalar expression; NULL
    if no line names the table. -#}
{% macro trusted_from(table) -%}
    (
        select max(load_clock.trusted_from)
        from {{ ref('load_clock') }} as load_clock
        where {{ is_line_of(table) }}
    )
{%- endmacro %}

{#- Write a condition that is true if a load time is in a period: at or after the start of the
    period, if the start is not NULL, and before the end. -#}
{% macro is_untrusted(loaded_at, period) -%}
    {{ loaded_at }} < {{ period }}.trusted_from
    and ({{ period }}.untrusted_from is null or {{ loaded_at }} >= {{ period }}.untrusted_from)
{%- endmacro %}

{#- Write the time at which a key that was first loaded in a period is assumed known: its event time
    plus the lag of the period. -#}
{% macro assumed_known_at(event_at, period) -%}
    {{ add_hours(event_at, period ~ '.assumed_lag_hours') }}
{%- endmacro %}

{#- Write a condition that is true if a raw row was loaded before the end of the table's last
    period. Only such a row can be the first of a key that was first loaded in a period. On BigQuery
    the end is queried at compile time: if no line names the table, the condition is false and the
    query reads no partition; else the query reads only the partitions before the end. -#}
{% macro is_before_trusted(table) %}
    {{- return(adapter.dispatch('is_before_trusted')(table)) -}}
{% endmacro %}
{% macro duckdb__is_before_trusted(table) -%}
    loaded_at < {{ trusted_from(table) }}
{%- endmacro %}
{% macro default__is_before_trusted(table) -%}
    {%- if model.resource_type == 'unit_test' -%}
        {#- In a unit test the load clock is a fixture, which cannot be queried at compile time. -#}
        loaded_at < {{ trusted_from(table) }}
    {%- else -%}
        {%- set found = none -%}
        {%- if execute and flags.INTROSPECT -%}
            {%- set found = run_query(
                'select ' ~ to_epoch_us(trusted_from(table)) ~ ' as us'
            ).columns[0].values()[0] -%}
        {%- endif -%}
        {{ 'false' if found is none else 'loaded_at < ' ~ from_epoch_us(found) }}
    {%- endif -%}
{%- endmacro %}
