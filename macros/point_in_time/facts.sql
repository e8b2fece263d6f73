{#- A fact ENTERS at the first refresh at which its version was known and its event had happened,
    and LEAVES at the first at which it is superseded or its window is over. Facts whose enter is
    not before their leave are never seen. -#}

{#- `seen_at` is the version's first refresh. -#}
{% macro enters_at(seen_at, event_at) -%}
    {{ greatest_known(seen_at, refresh_at(event_at)) }}
{%- endmacro %}

{#- NULL: never. Without `window_days` the window has no end. -#}
{% macro leaves_at(superseded_at, event_at=none, window_days=none) -%}
    {%- if window_days is none -%}
        {{ superseded_at }}
    {%- else -%}
        {{ least_known(superseded_at, refresh_at(add_hours(event_at, window_days ~ ' * 24'))) }}
    {%- endif -%}
{%- endmacro %}

{#- Whether a fact of this window can still be in it at the opening: a cheap filter before the exact
    one, with two days for the zone and the rounding to refreshes. -#}
{% macro is_recent(event_at, window_days) -%}
    {{ event_at }} > {{ add_hours(opened_at(), '-24 * ' ~ (window_days + 2)) }}
{%- endmacro %}

{#- Whether an as-of row's state differs from the row before it: `counts` start at 0, `values` at
    NULL. Keeps an as-of table sparse, and the same whether it was built at once or day by day. -#}
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

{#- Whether any of these sums moves: a row in which all are 0 changes no running sum. -#}
{% macro is_moved(sums) -%}
    {%- for column in sums -%}
        {{ column }} <> 0{{ ' or ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
