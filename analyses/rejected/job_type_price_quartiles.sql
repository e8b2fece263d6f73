-- One row per type of job and log-price bucket: how many contracts lie in it and up to it. The
-- quartiles of a type are the first buckets that reach a quarter, a half and three quarters.
with contracts as (

    select * from {{ ref('int_contract__facts') }}

),

requests as (

    select * from {{ ref('int_job__requests') }}

),

bucketed as (

    select
        {{ code_word('requests.job_type') }} as job_type,
        {{ price_bucket('contracts.price_log_e6') }} as price_bucket
    from contracts
    inner join requests
        on contracts.job_id = requests.job_id
    where contracts.price_log_e6 is not null and contracts.superseded_at is null

),

bucket_counts as (

    select
        job_type,
        price_bucket,
        count(*) as contract_count
    from bucketed
    group by job_type, price_bucket

),

final as (

    select
        job_type,
        {{ price_bucket_midpoint('price_bucket') }} as log_price,
        contract_count,
        sum(contract_count) over (
            partition by job_type
            order by price_bucket asc nulls last
            rows between unbounded preceding and current row
        ) as upto_count
    from bucket_counts

)

select * from final
