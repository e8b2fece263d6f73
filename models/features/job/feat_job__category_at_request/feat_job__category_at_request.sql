{{ config(cluster_by=['job_id']) }}

-- One row per spine row: the prices, demand and code of the job's category, as available at the
-- request.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

prices as (

    select * from {{ ref('feat_category__prices') }}

),

demand as (

    select * from {{ ref('feat_category__demand') }}

),

codes as (

    select * from {{ ref('feat_category__codes') }}

),

spine as (

    select
        job_id,
        category_id,
        requested_at,
        entered_at
    from requests
    where entered_at > {{ opened_at('entered_at') }}

),

with_prices as (

    {{ pit_join('spine', 'prices', 'category_id', [
        'category_contract_count_90d',
        'category_log_price_mean_90d',
        'category_log_price_p25_90d',
        'category_log_price_p50_90d',
        'category_log_price_p75_90d',
        'category_active_freelancer_count_90d',
        'category_contract_count_365d',
        'category_log_price_mean_365d',
        'category_log_price_p25_365d',
        'category_log_price_p50_365d',
        'category_log_price_p75_365d',
        'category_active_freelancer_count_365d',
    ]) }}

),

with_demand as (

    {{ pit_join('with_prices', 'demand', 'category_id', [
        'category_posting_count_90d',
        'category_proposals_per_posting_90d',
        'category_fill_ratio_90d',
    ]) }}

),

with_codes as (

    {{ pit_join('with_demand', 'codes', 'category_id', ['category_code']) }}

),

-- Without an as-of row, counts are 0, the code is 0 (unknown), and other values stay NULL.
final as (

    select
        job_id,
        requested_at,
        entered_at,
        coalesce(category_code, 0) as category_code,
        coalesce(category_contract_count_90d, 0) as category_contract_count_90d,
        category_log_price_mean_90d,
        category_log_price_p25_90d,
        category_log_price_p50_90d,
        category_log_price_p75_90d,
        coalesce(category_active_freelancer_count_90d, 0) as category_active_freelancer_count_90d,
        coalesce(category_contract_count_365d, 0) as category_contract_count_365d,
        category_log_price_mean_365d,
        category_log_price_p25_365d,
        category_log_price_p50_365d,
        category_log_price_p75_365d,
        coalesce(category_active_freelancer_count_365d, 0) as category_active_freelancer_count_365d,
        coalesce(category_posting_count_90d, 0) as category_posting_count_90d,
        category_proposals_per_posting_90d,
        category_fill_ratio_90d
    from with_codes

)

select * from final
