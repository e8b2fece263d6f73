{{ config(cluster_by=['job_id']) }}
{%- set opening = opened_at('entered_at') -%}
-- One row per spine row: the inputs of the hiring model, in training and online. A mart only
-- selects columns.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

posting as (

    select * from {{ ref('feat_job__posting') }}

),

texts as (

    select * from {{ ref('feat_job__text') }}

),

job_type as (

    select * from {{ ref('feat_job__job_type_at_request') }}

),

client as (

    select * from {{ ref('feat_job__client_at_request') }}

),

category as (

    select * from {{ ref('feat_job__category_at_request') }}

),

client_category as (

    select * from {{ ref('feat_job__client_category_at_request') }}

),

market as (

    select * from {{ ref('feat_job__market_at_request') }}

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
        posting.is_description_missing,
        posting.job_deadline_days,
        posting.is_deadline_missing,
        posting.job_posted_hour,
        posting.job_posted_weekday,
        posting.job_skill_count,
        texts.job_title_kanji_ratio,
        texts.job_title_kana_ratio,
        texts.job_title_latin_ratio,
        texts.job_title_digit_ratio,
        texts.job_text_character_quantity,
        texts.job_text_item_quantity,
        texts.job_text_page_quantity,
        texts.job_text_hour_quantity,
        texts.is_urgent,
        texts.is_continuous,
        texts.is_beginner_welcome,
        job_type.job_type_code,
        job_type.job_type_contract_count_365d,
        job_type.job_type_log_price_mean_365d,
        client.client_posting_count_90d,
        client.client_contract_count_365d,
        client.client_contract_count_all,
        client.client_log_price_mean_365d,
        client.client_cancelled_contract_ratio_all,
        client.client_last_contract_age_days,
        client.client_tenure_days,
        client.client_review_count_all,
        client.client_rating_mean_all,
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
        category.category_active_freelancer_count_365d,
        category.category_posting_count_90d,
        category.category_proposals_per_posting_90d,
        category.category_fill_ratio_90d,
        client_category.client_category_contract_count_all,
        client_category.client_category_log_price_mean_all,
        client_category.job_expected_price_log,
        market.market_contract_count_all,
        market.market_log_price_mean_all,
        market.is_client_window_short,
        market.is_category_window_short,
        market.is_job_type_window_short,
        market.is_demand_window_short
    from requests
    left join posting
        on
            requests.job_id = posting.job_id
            and posting.entered_at > {{ opening }}
    left join texts
        on
            requests.job_id = texts.job_id
            and texts.entered_at > {{ opening }}
    left join job_type
        on
            requests.job_id = job_type.job_id
            and job_type.entered_at > {{ opening }}
    left join client
        on
            requests.job_id = client.job_id
            and client.entered_at > {{ opening }}
    left join category
        on
            requests.job_id = category.job_id
            and category.entered_at > {{ opening }}
    left join client_category
        on
            requests.job_id = client_category.job_id
            and client_category.entered_at > {{ opening }}
    left join market
        on
            requests.job_id = market.job_id
            and market.entered_at > {{ opening }}
    where requests.entered_at > {{ opening }}

)

select * from final
