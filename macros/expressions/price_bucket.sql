{#- Macros for the buckets of log prices from which quantiles are computed. A bucket is 0.05 wide,
    about 5% of the price. -#}

{#- Write the number of the bucket of a log price in millionths. -#}
{% macro price_bucket(price_log_e6) -%}
    {{ whole_quotient(price_log_e6, 50000) }}
{%- endmacro %}

{#- Write the log price at the midpoint of a bucket. -#}
{% macro price_bucket_midpoint(bucket) -%}
    {{ ratio('(' ~ bucket ~ ' * 50000 + 25000)', '1000000') }}
{%- endmacro %}
