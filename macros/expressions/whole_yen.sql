{#- Money as whole yen, half away from zero; the cast to a decimal comes first because a cast of the
    float 2.5 gives 3 on BigQuery and 2 on DuckDB. -#}
{% macro whole_yen(price) -%}
    cast(round(cast({{ price }} as {{ type_decimal() }}), 0) as bigint)
{%- endmacro %}
