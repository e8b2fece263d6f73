{{ config(unique_key='job_id', cluster_by=['job_id']) }}

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
        features.is_description_missing,
        features.job_deadline_days,
        features.is_deadline_missing,
        features.job_posted_hour,
        features.job_posted_weekday,
        features.job_skill_count,
        features.job_title_kanji_ratio,
        features.job_title_kana_ratio,
        features.job_title_latin_ratio,
        features.job_title_digit_ratio,
        features.job_text_character_quantity,
        features.job_text_item_quantity,
        features.job_text_page_quantity,
        features.job_text_hour_quantity,
        features.is_urgent,
        features.is_continuous,
        features.is_beginner_welcome,
        features.job_type_code,
        features.job_type_contract_count_365d,
        features.job_type_log_price_mean_365d,
        features.client_posting_count_90d,
        features.client_contract_count_365d,
        features.client_contract_count_all,
        features.client_log_price_mean_365d,
        features.client_cancelled_contract_ratio_all,
        features.client_last_contract_age_days,
        features.client_tenure_days,
        features.client_review_count_all,
        features.client_rating_mean_all,
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
        features.category_posting_count_90d,
        features.category_proposals_per_posting_90d,
        features.category_fill_ratio_90d,
        features.client_category_contract_count_all,
        features.client_category_log_price_mean_all,
        features.job_expected_price_log,
        features.skill_supported_count,
        features.skill_contract_count_all,
        features.skill_log_price_weighted_mean_all,
        features.skill_log_price_mean_all,
        features.skill_log_price_min_all,
        features.skill_log_price_max_all,
        features.skill_rarest_contract_count_all,
        features.skill_rarest_log_price_mean_all,
        features.skill_rarest_lift_all,
        features.skill_lift_weighted_mean_all,
        features.skill_lift_precise_mean_all,
        features.skill_lift_mean_all,
        features.skill_lift_min_all,
        features.skill_lift_max_all,
        features.skill_surest_lift_all,
        features.skill_surest_lift_variance_all,
        features.job_term_count,
        features.term_supported_count,
        features.term_contract_count_all,
        features.term_log_price_weighted_mean_all,
        features.term_log_price_mean_all,
        features.term_log_price_min_all,
        features.term_log_price_max_all,
        features.term_rarest_contract_count_all,
        features.term_rarest_log_price_mean_all,
        features.term_rarest_lift_all,
        features.term_lift_weighted_mean_all,
        features.term_lift_precise_mean_all,
        features.term_lift_mean_all,
        features.term_lift_min_all,
        features.term_lift_max_all,
        features.term_surest_lift_all,
        features.term_surest_lift_variance_all,
        features.market_contract_count_all,
        features.market_log_price_mean_all,
        features.is_client_window_short,
        features.is_category_window_short,
        features.is_job_type_window_short,
        features.is_demand_window_short,
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
