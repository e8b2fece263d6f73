{#- Macros for operations that the engines write or evaluate differently. -#}

{#- Write the lesser or the greater of two values, ignoring NULL: the lesser of x and NULL is x.
    DuckDB's least() and greatest() do the same; BigQuery's return NULL. -#}
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

{#- Write a text without Unicode white space at either end. BigQuery's trim removes all white space
    characters; DuckDB's trim needs a list of them. -#}
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

{#- Write a text in lower case, each character by itself: İ becomes i, and Σ becomes σ. BigQuery's
    lower would add a combining dot to the i, and write a sigma at the end of a word as ς. -#}
{% macro lowered(text) %}
    {{- return(adapter.dispatch('lowered')(text)) -}}
{% endmacro %}
{% macro default__lowered(text) -%}
    lower(replace(replace({{ text }}, 'İ', 'i'), 'Σ', 'σ'))
{%- endmacro %}
{% macro duckdb__lowered(text) -%}
    lower({{ text }})
{%- endmacro %}

{#- Write the quotient of two non-negative whole numbers, rounded down. -#}
{% macro whole_quotient(a, b) %}
    {{- return(adapter.dispatch('whole_quotient')(a, b)) -}}
{% endmacro %}
{% macro default__whole_quotient(a, b) -%}
    div({{ a }}, {{ b }})
{%- endmacro %}
{% macro duckdb__whole_quotient(a, b) -%}
    ({{ a }} // {{ b }})
{%- endmacro %}

{#- Write an aggregate that returns the value of the row with the least pair of whole numbers, each
    from 0 to 2^31 - 1. No two rows of a group have the same pair, and no argument is NULL. DuckDB
    compares one number many times faster than a struct of two numbers, so the macro for DuckDB
    combines the pair into one number. -#}
{% macro value_of_least(value, first_by, then_by) %}
    {{- return(adapter.dispatch('value_of_least')(value, first_by, then_by)) -}}
{% endmacro %}
{% macro default__value_of_least(value, first_by, then_by) -%}
    {#- allow nulls: BigQuery rejects nulls last inside an aggregate, and there are no NULLs -#}
    array_agg({{ value }} order by {{ first_by }} asc, {{ then_by }} asc limit 1)[offset(0)]
{%- endmacro %}
{% macro duckdb__value_of_least(value, first_by, then_by) -%}
    arg_min({{ value }}, {{ first_by }} * 2147483648 + {{ then_by }})
{%- endmacro %}

{#- Write the hash of a row as a whole number. The hash is comparable only on one version of one
    engine, which is enough for a seal. The `bit_xor` of such hashes is a hash of a set of distinct
    rows that does not depend on the order of the rows. -#}
{% macro row_hash(columns) %}
    {{- return(adapter.dispatch('row_hash')(columns)) -}}
{% endmacro %}
{% macro default__row_hash(columns) -%}
    farm_fingerprint(to_json_string(struct({{ columns | join(', ') }})))
{%- endmacro %}
{% macro duckdb__row_hash(columns) -%}
    {#- Hash twice: the hash of several columns is the bit_xor of the hashes of the columns, and a
        bit_xor over rows would not detect that two rows swapped a value. -#}
    hash(hash({{ columns | join(', ') }}))
{%- endmacro %}

{#- Convert a hash of row_hash() to hexadecimal digits, and the digits to the hash. -#}
{% macro hash_to_text(number) %}
    {{- return(adapter.dispatch('hash_to_text')(number)) -}}
{% endmacro %}
{% macro default__hash_to_text(number) -%}
    {#- Convert in halves: FORMAT may reject the hexadecimal digits of a negative number. -#}
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

{#- Write an aggregate that returns a hash of a group's rows, which must be distinct. The hash does
    not depend on the order of the rows. -#}
{% macro order_free_hash(columns) -%}
    {{ hash_to_text('coalesce(bit_xor(' ~ row_hash(columns) ~ '), 0)') }}
{%- endmacro %}

{#- Write a relation of the whole numbers from `first` to `last`, one per row, to join by `cross
    join {{ … }}`. Refer to the number as `whole_number`, without a table name, because the relation
    has no name on BigQuery. -#}
{% macro whole_numbers(first, last) %}
    {{- return(adapter.dispatch('whole_numbers')(first, last)) -}}
{% endmacro %}
{% macro default__whole_numbers(first, last) -%}
    unnest(generate_array({{ first }}, {{ last }})) as whole_number
{%- endmacro %}
{% macro duckdb__whole_numbers(first, last) -%}
    unnest(generate_series({{ first }}, {{ last }})) as whole_numbers (whole_number)
{%- endmacro %}
