{#- What seeds/load_clock.csv says of a raw table, as scalar expressions; NULL where no line of this
    warehouse names it. -#}
{% macro load_clock(table, column) -%}
    (
        select max(load_clock.{{ column }})
        from {{ ref('load_clock') }} as load_clock
        where
            load_clock.{{ adapter.quote('table') }} = '{{ table }}'
            and (load_clock.warehouse is null or load_clock.warehouse = '{{ var("warehouse") }}')
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
