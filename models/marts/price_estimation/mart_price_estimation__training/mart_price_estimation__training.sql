{{ config(unique_key='job_id') }}

-- One row per spine row: its features, its label and, where it must not be trained on, why. A mart
-- only selects.
with features as (

    select * from {{ ref('mart_price_estimation__features') }}

),

labels as (

    select * from {{ ref('int_job__price_label') }}

),

final as (

    select
        features.job_id,
        features.requested_at,
        features.entered_at,
        features.job_title_char_count,
        features.job_description_char_count,
        features.job_budget_log,
        features.job_budget_span_log,
        features.is_budget_missing,
        features.job_deadline_days,
        features.job_posted_hour,
        features.job_posted_weekday,
        features.job_skill_count,
        features.client_posting_count_90d,
        features.client_contract_count_365d,
        features.client_contract_count_all,
        features.client_log_price_mean_365d,
        features.client_cancelled_contract_ratio_all,
        features.client_last_contract_age_days,
        features.client_tenure_days,
        features.category_code,
        features.category_contract_count_90d,
        features.category_log_price_mean_90d,
        features.category_log_price_p25_90d,
        features.category_log_price_p50_90d,
        features.category_log_price_p75_90d,
        features.category_active_freelancer_count_90d,
        features.category_contract_count_365d,
        features.category_log_price_mean_365d,
        features.category_log_price_p25_365d,
        features.category_log_price_p50_365d,
        features.category_log_price_p75_365d,
        features.category_active_freelancer_count_365d,
        labels.revised_at,
        labels.label_known_at,
        labels.price_log,
        labels.exclusion_reason
    from features
    inner join labels
        on features.job_id = labels.job_id
    where labels.revised_at > {{ opened_at('revised_at') }}

)

select * from final
