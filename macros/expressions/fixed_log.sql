{#- Natural logarithm in millionths, as a whole number: log features are this over 1e6. Sums of it
    do not depend on the order of rows, which sums of floats do. NULL unless x > 0: ln(0) is an
    error on BigQuery and -inf on DuckDB. -#}
{% macro fixed_log(x) -%}
    case
        when {{ x }} > 0
            then cast(round(ln(cast({{ x }} as {{ type_double() }})) * 1e6) as bigint)
    end
{%- endmacro %}
