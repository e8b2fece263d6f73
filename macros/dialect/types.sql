{#- Names of types that differ between the two engines. Both have `bigint`, `string` and `boolean`.
    -#}

{#- Return the type of a timestamp with a time zone. -#}
{% macro type_instant() %}
    {{- return(adapter.dispatch('type_instant')()) -}}
{% endmacro %}
{% macro default__type_instant() %}
    {{- return('timestamp') -}}
{% endmacro %}
{% macro duckdb__type_instant() %}
    {{- return('timestamptz') -}}
{% endmacro %}

{#- Return the type of a 64-bit float; dbt's own type_float is 32 bits on DuckDB. -#}
{% macro type_double() %}
    {{- return(adapter.dispatch('type_double')()) -}}
{% endmacro %}
{% macro default__type_double() %}
    {{- return('float64') -}}
{% endmacro %}
{% macro duckdb__type_double() %}
    {{- return('double') -}}
{% endmacro %}

{#- Return the type of a decimal with 9 places on both engines; DuckDB's plain numeric has 3 and
    rounds the rest. -#}
{% macro type_decimal() %}
    {{- return(adapter.dispatch('type_decimal')()) -}}
{% endmacro %}
{% macro default__type_decimal() %}
    {{- return('numeric') -}}
{% endmacro %}
{% macro duckdb__type_decimal() %}
    {{- return('decimal(38, 9)') -}}
{% endmacro %}

{#- Write a text as a string literal, whatever characters it contains. Values of dbt vars must be
    written into SQL by this macro, because a quote in a value would end the literal. DuckDB doubles
    the quote; BigQuery escapes it with a backslash and allows no line break. -#}
{% macro text_literal(value) %}
    {{- return(adapter.dispatch('text_literal')(value)) -}}
{% endmacro %}
{% macro default__text_literal(value) -%}
    {%- set escaped = value | string | replace('\\', '\\\\') | replace("'", "\\'") -%}
    '{{ escaped | replace('\n', '\\n') | replace('\r', '\\r') }}'
{%- endmacro %}
{% macro duckdb__text_literal(value) -%}
    '{{ value | string | replace("'", "''") }}'
{%- endmacro %}

{#- Write a timestamp as a literal with its UTC offset. -#}
{% macro instant(literal) -%}
    cast({{ text_literal(literal) }} as {{ type_instant() }})
{%- endmacro %}
