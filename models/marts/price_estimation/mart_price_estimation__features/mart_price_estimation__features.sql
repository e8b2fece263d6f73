-- One row per spine row: what the price model is given, in training and online alike. A mart only
-- selects.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

posting as (

    select * from {{ ref('feat_job__posting') }}

),

client as (

    select * from {{ ref('feat_job__client_at_request') }}

),

category as (

    select * from {{ ref('feat_job__category_at_request') }}

),

final as (

    select
        requests.job_id,
        requests.requested_at,
        requests.entered_at,
        posting.job_title_char_count,
        posting.job_description_char_count,
        posting.job_budget_log,
        posting.job_budget_span_log,
        posting.is_budget_missing,
        posting.job_deadline_days,
        posting.job_posted_hour,
        posting.job_posted_weekday,
        posting.job_skill_count,
        client.client_posting_count_90d,
        client.client_contract_count_365d,
        client.client_contract_count_all,
        client.client_log_price_mean_365d,
        client.client_cancelled_contract_ratio_all,
        client.client_last_contract_age_days,
        client.client_tenure_days,
        category.category_code,
        category.category_contract_count_90d,
        category.category_log_price_mean_90d,
        category.category_log_price_p25_90d,
        category.category_log_price_p50_90d,
        category.category_log_price_p75_90d,
        category.category_active_freelancer_count_90d,
        category.category_contract_count_365d,
        category.category_log_price_mean_365d,
        category.category_log_price_p25_365d,
        category.category_log_price_p50_365d,
        category.category_log_price_p75_365d,
        category.category_active_freelancer_count_365d
    from requests
    left join posting
        on requests.job_id = posting.job_id
    left join client
        on requests.job_id = client.job_id
    left join category
        on requests.job_id = category.job_id
    where requests.entered_at > {{ opened_at('entered_at') }}

)

select * from final
