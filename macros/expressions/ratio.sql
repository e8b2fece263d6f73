{#- The quotient of two whole numbers as a float: one division, correctly rounded; NULL if the
    divisor is 0. It must be the last step of a mean, share or log in millionths, because sums of
    floats depend on the order of rows. -#}
{% macro ratio(numerator, denominator) -%}
    cast({{ numerator }} as {{ type_double() }})
    / nullif(cast({{ denominator }} as {{ type_double() }}), 0)
{%- endmacro %}
