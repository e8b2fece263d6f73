{#- Days from one instant to another, with fractions; negative when `later` is the earlier. Whole
    microseconds are subtracted, so neither engine's idea of a day's boundary matters. -#}
{% macro days_between(earlier, later) -%}
    cast({{ to_epoch_us(later) }} - {{ to_epoch_us(earlier) }} as {{ type_double() }})
    / 86400000000.0
{%- endmacro %}
