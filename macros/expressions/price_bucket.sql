{#- Log-price buckets for quantiles: 0.05 of a log wide, about 5% of the price. -#}

{#- The bucket of a log price in millionths. -#}
{% macro price_bucket(price_log_e6) -%}
    {{ whole_quotient(price_log_e6, 50000) }}
{%- endmacro %}

{#- The log price at a bucket's midpoint. -#}
{% macro price_bucket_midpoint(bucket) -%}
    {{ ratio('(' ~ bucket ~ ' * 50000 + 25000)', '1000000') }}
{%- endmacro %}
