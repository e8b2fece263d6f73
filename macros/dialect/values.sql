{#- Values that the engines treat differently. -#}

{#- The lesser, or greater, of two values, where NULL means "none" and loses: least(x, NULL) is x.
    BigQuery answers NULL, DuckDB ignores it; this is the second on both. -#}
{% macro least_known(a, b) -%}
    case
        when {{ a }} is null then {{ b }}
        when {{ b }} is null or {{ a }} <= {{ b }} then {{ a }}
        else {{ b }}
    end
{%- endmacro %}
{% macro greatest_known(a, b) -%}
    case
        when {{ a }} is null then {{ b }}
        when {{ b }} is null or {{ a }} >= {{ b }} then {{ a }}
        else {{ b }}
    end
{%- endmacro %}

{#- Whole quotient of two non-negative integers. -#}
{% macro whole_quotient(a, b) %}
    {{- return(adapter.dispatch('whole_quotient')(a, b)) -}}
{% endmacro %}
{% macro default__whole_quotient(a, b) -%}
    div({{ a }}, {{ b }})
{%- endmacro %}
{% macro duckdb__whole_quotient(a, b) -%}
    ({{ a }} // {{ b }})
{%- endmacro %}

{#- Order-free hash of a group's rows as 16 hexadecimal digits; the rows must be distinct.
    Comparable on one engine and version only, which is all a seal needs. -#}
{% macro order_free_hash(columns) %}
    {{- return(adapter.dispatch('order_free_hash')(columns)) -}}
{% endmacro %}
{% macro default__order_free_hash(columns) -%}
    format(
        '%016x',
        coalesce(bit_xor(farm_fingerprint(to_json_string(struct({{ columns | join(', ') }})))), 0)
    )
{%- endmacro %}
{% macro duckdb__order_free_hash(columns) -%}
    printf('%016x', coalesce(bit_xor(hash({{ columns | join(', ') }})), 0))
{%- endmacro %}

{#- A relation of the whole numbers from `first` to `last`, one row each, for a join: `cross join {{
    … }}`. The number is `numbers.n`. -#}
{% macro whole_numbers(first, last) %}
    {{- return(adapter.dispatch('whole_numbers')(first, last)) -}}
{% endmacro %}
{% macro default__whole_numbers(first, last) -%}
    unnest(generate_array({{ first }}, {{ last }})) as n
{%- endmacro %}
{% macro duckdb__whole_numbers(first, last) -%}
    unnest(generate_series({{ first }}, {{ last }})) as numbers (n)
{%- endmacro %}
