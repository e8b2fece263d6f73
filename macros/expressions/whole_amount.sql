{#- Money in whole units of the mart's currency (dbt var currency), rounded half away from zero. The
    cast to a decimal comes first because a cast of the float 2.5 gives 3 on BigQuery and 2 on
    DuckDB. -#}
{% macro whole_amount(price) -%}
    cast(round(cast({{ price }} as {{ type_decimal() }}), 0) as bigint)
{%- endmacro %}
