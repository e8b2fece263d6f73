{{ config(cluster_by=['job_id']) }}

-- One row per spine row: the code and the agreed prices of the type of job, as available at the
-- request.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

prices as (

    select * from {{ ref('feat_job_type__prices') }}

),

codes as (

    select * from {{ ref('feat_job_type__codes') }}

),

spine as (

    select
        requests.job_id,
        {{ code_word('requests.job_type') }} as job_type,
        requests.requested_at,
        requests.entered_at
    from requests
    where requests.entered_at > {{ opened_at('entered_at') }}

),

with_prices as (

    {{ pit_join('spine', 'prices', 'job_type', [
        'job_type_contract_count_365d',
        'job_type_log_price_mean_365d',
    ]) }}

),

with_codes as (

    {{ pit_join('with_prices', 'codes', 'job_type', ['job_type_code']) }}

),

-- Without an as-of row, counts are 0, the code is 0 (unknown), and other values stay NULL.
final as (

    select
        job_id,
        requested_at,
        entered_at,
        coalesce(job_type_code, 0) as job_type_code,
        coalesce(job_type_contract_count_365d, 0) as job_type_contract_count_365d,
        job_type_log_price_mean_365d
    from with_codes

)

select * from final
