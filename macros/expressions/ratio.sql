{#- Write the quotient of two whole numbers as a float, from one division that is correctly rounded;
    NULL if the divisor is 0. The division must be the last step of a mean, share or log in
    millionths, because sums of floats depend on the order of rows. -#}
{% macro ratio(numerator, denominator) -%}
    cast({{ numerator }} as {{ type_double() }})
    / nullif(cast({{ denominator }} as {{ type_double() }}), 0)
{%- endmacro %}
