{#- Write the days from one timestamp to another, with fractions; negative if `later` is before
    `earlier`. The macro subtracts whole microseconds, because the engines define the boundary of a
    day differently. -#}
{% macro days_between(earlier, later) -%}
    cast({{ to_epoch_us(later) }} - {{ to_epoch_us(earlier) }} as {{ type_double() }})
    / 86400000000.0
{%- endmacro %}
