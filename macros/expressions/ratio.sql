{#- A float quotient of two whole numbers: one division, correctly rounded, NULL where the divisor
    is 0. The outermost step of a mean, a share or a log in millionths; nothing is summed behind it.
-#}
{% macro ratio(numerator, denominator) -%}
    cast({{ numerator }} as {{ type_double() }})
    / nullif(cast({{ denominator }} as {{ type_double() }}), 0)
{%- endmacro %}
