{#- A fact enters at the first refresh at which its version was known and its event had happened. A
    fact leaves at the first refresh at which its version is superseded or its window is over. A
    fact that leaves at or before the refresh at which it enters never counts. -#}

{#- Write the refresh at which a fact enters; `seen_at` is the first refresh that contains the
    version of the fact. -#}
{% macro enters_at(seen_at, event_at) -%}
    {{ greatest_known(seen_at, refresh_at(event_at)) }}
{%- endmacro %}

{#- Write the refresh at which a fact leaves; NULL if it never leaves. Without `window_days` the
    window has no end. -#}
{% macro leaves_at(superseded_at, event_at=none, window_days=none) -%}
    {%- if window_days is none -%}
        {{ superseded_at }}
    {%- else -%}
        {{ least_known(superseded_at, refresh_at(add_hours(event_at, window_days ~ ' * 24'))) }}
    {%- endif -%}
{%- endmacro %}

{#- Write a filter that is true if a fact can still be in its window at opened_at. The filter is
    cheap and precedes the exact filter. Two extra days cover the time zone and the rounding to
    refreshes. -#}
{% macro is_recent(event_at, window_days) -%}
    {{ event_at }} > {{ add_hours(opened_at(), '-24 * ' ~ (window_days + 2)) }}
{%- endmacro %}

{#- Write a condition that is true if the state of an as-of row differs from the state of the
    previous row. Before the first row, `counts` are 0 and `values` are NULL. The condition keeps an
    as-of table sparse, and a full build gives the same rows as daily incremental builds. -#}
{% macro is_changed(counts, values, partition_by, order_by) -%}
    {%- set window = 'over (partition by ' ~ partition_by ~ ' order by ' ~ order_by ~ ')' -%}
    (
        {%- for column in counts %}
        {% if not loop.first %}or {% endif -%}
        {{ column }} is distinct from coalesce(lag({{ column }}) {{ window }}, 0)
        {%- endfor %}
        {%- for column in values %}
        or {{ column }} is distinct from lag({{ column }}) {{ window }}
        {%- endfor %}
    )
{%- endmacro %}

{#- Write a condition that is true if any of these sums is not 0. A row in which all sums are 0
    changes no running sum. -#}
{% macro is_moved(sums) -%}
    {%- for column in sums -%}
        {{ column }} <> 0{{ ' or ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
