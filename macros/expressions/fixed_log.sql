{#- Natural logarithm in millionths, as a whole number; log features are this number over 1e6.
    Unlike sums of floats, its sums do not depend on the order of rows. NULL unless x > 0: ln(0) is
    an error on BigQuery and -inf on DuckDB. -#}
{% macro fixed_log(x) -%}
    case
        when {{ x }} > 0
            then cast(round(ln(cast({{ x }} as {{ type_double() }})) * 1e6) as bigint)
    end
{%- endmacro %}
