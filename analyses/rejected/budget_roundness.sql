-- One row per spine row: how round the job's budget is, by the number of trailing zeros and the
-- first digit. The columns are computed from the request alone.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

budgets as (

    select
        job_id,
        coalesce(budget_max_amount, budget_min_amount) as budget_amount
    from requests

),

-- Ignore budgets of zero or less, because the number of trailing zeros of 0 is undefined.
zeros as (

    select
        job_id,
        budget_amount,
        case
            {%- for power in range(8, 0, -1) %}
            when mod(budget_amount, {{ 10 ** power }}) = 0 then {{ power }}
            {%- endfor %}
            else 0
        end as zero_count
    from budgets
    where budget_amount > 0

),

scaled as (

    select
        job_id,
        budget_amount,
        zero_count,
        case
            {%- for power in range(11, 0, -1) %}
            when budget_amount >= {{ 10 ** power }}
                then {{ whole_quotient('budget_amount', 10 ** power) }}
            {%- endfor %}
            else budget_amount
        end as first_digit
    from zeros

),

rounded as (

    select
        job_id,
        zero_count,
        first_digit,
        case when first_digit in (1, 5) then 1 else 0 end as is_of_one_or_five,
        case when zero_count >= 4 then 1 else 0 end as is_in_ten_thousands
    from scaled

),

final as (

    select
        requests.job_id,
        rounded.zero_count as job_budget_zero_count,
        rounded.first_digit as job_budget_first_digit,
        rounded.is_of_one_or_five as is_budget_of_one_or_five,
        rounded.is_in_ten_thousands as is_budget_in_ten_thousands
    from requests
    left join rounded
        on requests.job_id = rounded.job_id

)

select * from final
