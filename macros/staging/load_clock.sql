{#- What seeds/load_clock.csv says of a raw table, as scalar expressions; NULL where no line of this
    warehouse names it. -#}
{% macro load_clock(table, column) -%}
    (
        select max(load_clock.{{ column }})
        from {{ ref('load_clock') }} as load_clock
        where
            load_clock.{{ adapter.quote('table') }} = '{{ table }}'
            and (
                load_clock.warehouse is null
                or load_clock.warehouse = {{ text_literal(var('warehouse')) }}
            )
    )
{%- endmacro %}

{#- From when the table's `loaded_at` is to be trusted. -#}
{% macro trusted_from(table) -%}
    {{ load_clock(table, 'trusted_from') }}
{%- endmacro %}

{#- When a row loaded before that is assumed to have been known: its event time and the assumed lag.
-#}
{% macro assumed_known_at(table, event_at) -%}
    {{ add_hours(event_at, load_clock(table, 'assumed_lag_hours')) }}
{%- endmacro %}

{#- Whether a raw row was loaded before its table's clock is to be trusted. BigQuery is asked while
    compiling: without a line the branch reads nothing, with one only the partitions before it. -#}
{% macro is_untrusted(table) %}
    {{- return(adapter.dispatch('is_untrusted')(table)) -}}
{% endmacro %}
{% macro duckdb__is_untrusted(table) -%}
    loaded_at < {{ trusted_from(table) }}
{%- endmacro %}
{% macro default__is_untrusted(table) -%}
    {%- if model.resource_type == 'unit_test' -%}
        {#- There the load clock is a fixture, which cannot be asked beforehand. -#}
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
