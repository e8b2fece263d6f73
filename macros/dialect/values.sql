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

{#- A text without white space at its ends, as Unicode defines it. That is BigQuery's trim; DuckDB's
    leaves some of it, so there the characters are named. -#}
{% macro trimmed(text) %}
    {{- return(adapter.dispatch('trimmed')(text)) -}}
{% endmacro %}
{% macro default__trimmed(text) -%}
    trim({{ text }})
{%- endmacro %}
{% macro duckdb__trimmed(text) -%}
    trim(
        {{ text }},
        ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(133) || chr(160)
        || chr(5760) || chr(8192) || chr(8193) || chr(8194) || chr(8195) || chr(8196)
        || chr(8197) || chr(8198) || chr(8199) || chr(8200) || chr(8201) || chr(8202)
        || chr(8232) || chr(8233) || chr(8239) || chr(8287) || chr(12288)
    )
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

{#- Of a group's rows the value of the one that is least by two whole numbers from 0 to 2^31 - 1,
    which no two rows share; none of the three is ever NULL. DuckDB compares one number many times
    faster than a struct of two. -#}
{% macro value_of_least(value, first_by, then_by) %}
    {{- return(adapter.dispatch('value_of_least')(value, first_by, then_by)) -}}
{% endmacro %}
{% macro default__value_of_least(value, first_by, then_by) -%}
    {#- allow nulls: BigQuery takes no nulls last inside an aggregate, and there are none -#}
    array_agg({{ value }} order by {{ first_by }} asc, {{ then_by }} asc limit 1)[offset(0)]
{%- endmacro %}
{% macro duckdb__value_of_least(value, first_by, then_by) -%}
    arg_min({{ value }}, {{ first_by }} * 2147483648 + {{ then_by }})
{%- endmacro %}

{#- A row's hash as a whole number; comparable on one engine and version only, which is all that a
    seal needs. `bit_xor` of them is the hash of a set of distinct rows, whatever their order. -#}
{% macro row_hash(columns) %}
    {{- return(adapter.dispatch('row_hash')(columns)) -}}
{% endmacro %}
{% macro default__row_hash(columns) -%}
    farm_fingerprint(to_json_string(struct({{ columns | join(', ') }})))
{%- endmacro %}
{% macro duckdb__row_hash(columns) -%}
    {#- Hashed twice: one hash of several columns is a bit_xor of theirs, and a bit_xor over rows
        would not see two of them swap a value. -#}
    hash(hash({{ columns | join(', ') }}))
{%- endmacro %}

{#- Such a hash as hexadecimal digits, and back. -#}
{% macro hash_to_text(number) %}
    {{- return(adapter.dispatch('hash_to_text')(number)) -}}
{% endmacro %}
{% macro default__hash_to_text(number) -%}
    {#- By halves: FORMAT may refuse the hexadecimal digits of a negative number. -#}
    concat(
        format('%08x', ({{ number }} >> 32) & 4294967295),
        format('%08x', ({{ number }}) & 4294967295)
    )
{%- endmacro %}
{% macro duckdb__hash_to_text(number) -%}
    printf('%016x', {{ number }})
{%- endmacro %}

{% macro hash_from_text(text) %}
    {{- return(adapter.dispatch('hash_from_text')(text)) -}}
{% endmacro %}
{% macro default__hash_from_text(text) -%}
    {%- set high = "cast(concat('0x', substr(" ~ text ~ ", 1, 8)) as bigint)" -%}
    {%- set low = "cast(concat('0x', substr(" ~ text ~ ", 9, 8)) as bigint)" -%}
    (
        (case when {{ high }} >= 2147483648 then {{ high }} - 4294967296 else {{ high }} end)
        * 4294967296 + {{ low }}
    )
{%- endmacro %}
{% macro duckdb__hash_from_text(text) -%}
    cast('0x' || {{ text }} as ubigint)
{%- endmacro %}

{#- The hash of a group's rows, which must be distinct, in any order. -#}
{% macro order_free_hash(columns) -%}
    {{ hash_to_text('coalesce(bit_xor(' ~ row_hash(columns) ~ '), 0)') }}
{%- endmacro %}

{#- A relation of the whole numbers from `first` to `last`, one row each, for a join: `cross join {{
    … }}`. The number is `whole_number`, without a table's name: BigQuery has none for it. -#}
{% macro whole_numbers(first, last) %}
    {{- return(adapter.dispatch('whole_numbers')(first, last)) -}}
{% endmacro %}
{% macro default__whole_numbers(first, last) -%}
    unnest(generate_array({{ first }}, {{ last }})) as whole_number
{%- endmacro %}
{% macro duckdb__whole_numbers(first, last) -%}
    unnest(generate_series({{ first }}, {{ last }})) as whole_numbers (whole_number)
{%- endmacro %}
