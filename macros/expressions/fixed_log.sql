{#- Write the natural logarithm of a number in millionths, as a whole number. Log features are this
    number divided by 1e6. Unlike sums of floats, sums of these numbers do not depend on the order
    of rows. The result is NULL unless x > 0, because ln(0) is an error on BigQuery and -inf on
    DuckDB. -#}
{% macro fixed_log(x) -%}
    case
        when {{ x }} > 0
            then cast(round(ln(cast({{ x }} as {{ type_double() }})) * 1e6) as bigint)
    end
{%- endmacro %}
