{#- A float in millionths, as a whole number: half away from zero on both engines. -#}
{% macro fixed_point(x) -%}
    cast(round({{ x }} * 1e6) as bigint)
{%- endmacro %}

{#- The quotient of two whole numbers, rounded to a whole number, half away from zero: a mean or a
    shrunk mean of numbers in millionths stays in millionths, and sums of it do not depend on the
    order of rows. NULL where the divisor is 0. -#}
{% macro fixed_ratio(numerator, denominator) -%}
    cast(round({{ ratio(numerator, denominator) }}) as bigint)
{%- endmacro %}

{#- A variance in millionths, from the sum and sum of squares of numbers in millionths, shrunk to a
    prior variance that counts as `prior_count` more observations (the mean of the posterior of a
    normal's variance under its conjugate prior; Gelman et al., Bayesian Data Analysis, 2.6). Where
    the divisor is 0 or less, which needs a prior count below 2, it is the prior variance; and there
    alone can rounded squares add up to less than 0. -#}
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

{#- A mean in millionths, shrunk to a prior in millionths that counts as `prior_count` more
    observations (James and Stein 1961; as used for target encodings by Micci-Barreca 2001). With a
    prior count of 0 it is the mean, and the prior where there is no observation: what every count
    above 0 gives there. -#}
{% macro shrunk_mean(sum_e6, count, prior_e6, prior_count) -%}
    {%- if prior_count == 0 -%}
        case when {{ count }} = 0 then {{ prior_e6 }} else {{ fixed_ratio(sum_e6, count) }} end
    {%- else -%}
        {{ fixed_ratio(
            sum_e6 ~ ' + ' ~ prior_count ~ ' * ' ~ prior_e6, count ~ ' + ' ~ prior_count
        ) }}
    {%- endif -%}
{%- endmacro %}
