{#- Write a float in millionths, as a whole number, rounded half away from zero on both engines. -#}
{% macro fixed_point(x) -%}
    cast(round({{ x }} * 1e6) as bigint)
{%- endmacro %}

{#- Write the quotient of two whole numbers, rounded to a whole number, half away from zero; NULL if
    the divisor is 0. A mean or shrunk mean of numbers in millionths stays in millionths, and sums
    of such means do not depend on the order of rows. -#}
{% macro fixed_ratio(numerator, denominator) -%}
    cast(round({{ ratio(numerator, denominator) }}) as bigint)
{%- endmacro %}

{#- Write a variance in millionths, from the sum and the sum of squares of numbers in millionths.
    The variance is shrunk towards a prior variance that counts as `prior_count` more observations
    (the posterior mean of the variance of a normal distribution under its conjugate prior; Gelman
    et al., Bayesian Data Analysis, 2.6). If the divisor is 0 or less, which needs a prior count
    below 2, the result is the prior variance. If the prior count is below 2, rounded squares can
    also make the variance negative; the result is then 0. -#}
{% macro shrunk_variance(square_sum_e6, sum_e6, count, prior_e6, prior_count) -%}
    {%- set variance -%}
    cast(
        round(
            (
                cast({{ square_sum_e6 }} as {{ type_double() }})
                - coalesce({{ ratio(sum_e6, count) }} * {{ sum_e6 }}, 0) / 1e6
                + {{ prior_count }} * {{ prior_e6 }}
            ) / nullif(cast({{ count }} - 1 + {{ prior_count }} as {{ type_double() }}), 0)
        ) as bigint
    )
    {%- endset -%}
    {%- if prior_count < 2 -%}
    case
        when {{ count }} - 1 + {{ prior_count }} <= 0 then {{ prior_e6 }}
        when {{ variance }} < 0 then 0
        else {{ variance }}
    end
    {%- else -%}
    {{ variance }}
    {%- endif -%}
{%- endmacro %}

{#- Write a mean in millionths, shrunk towards a prior in millionths that counts as `prior_count`
    more observations (James and Stein 1961; for target encodings: Micci-Barreca 2001). With a prior
    count of 0 the result is the plain mean. Without observations the result is the prior, for every
    prior count. -#}
{% macro shrunk_mean(sum_e6, count, prior_e6, prior_count) -%}
    {%- if prior_count == 0 -%}
        case when {{ count }} = 0 then {{ prior_e6 }} else {{ fixed_ratio(sum_e6, count) }} end
    {%- else -%}
        {{ fixed_ratio(
            sum_e6 ~ ' + ' ~ prior_count ~ ' * ' ~ prior_e6, count ~ ' + ' ~ prior_count
        ) }}
    {%- endif -%}
{%- endmacro %}
