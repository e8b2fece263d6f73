-- One row per spine row: the quartiles of the log prices of the job's type, as available at the
-- request. A quartile is the midpoint of the lowest bucket up to which there are at least a
-- quarter, a half or three quarters of the contracts.
with contracts as (

    select * from {{ ref('int_contract__facts') }}

),

requests as (

    select * from {{ ref('int_job__requests') }}

),

facts as (

    select
        {{ code_word('requests.job_type') }} as job_type,
        {{ greatest_known('contracts.enters_at', 'requests.entered_at') }} as enters_at,
        {{ leaves_at('contracts.superseded_at') }} as leaves_at,
        {{ price_bucket('contracts.price_log_e6') }} as price_bucket
    from contracts
    inner join requests
        on contracts.job_id = requests.job_id
    where
        requests.job_type is not null
        and contracts.price_log_e6 is not null
        and contracts.enters_at is not null

),

moves as (

    select
        job_type,
        price_bucket,
        enters_at as as_of_at,
        1 as contract_count
    from facts
    where leaves_at is null or enters_at < leaves_at
    union all
    select
        job_type,
        price_bucket,
        leaves_at as as_of_at,
        -1 as contract_count
    from facts
    where enters_at < leaves_at

),

deltas as (

    select
        job_type,
        price_bucket,
        as_of_at,
        sum(contract_count) as contract_count
    from moves
    group by job_type, price_bucket, as_of_at

),

refreshes as (

    select
        job_type,
        as_of_at
    from deltas
    group by job_type, as_of_at

),

buckets as (

    select
        job_type,
        price_bucket
    from deltas
    group by job_type, price_bucket

),

-- One row per type, refresh and bucket. The table is small, because there are few types and few
-- buckets.
bucket_counts as (

    select
        refreshes.job_type,
        refreshes.as_of_at,
        buckets.price_bucket,
        sum(coalesce(deltas.contract_count, 0)) over (
            partition by refreshes.job_type, buckets.price_bucket
            order by refreshes.as_of_at asc nulls last
            rows between unbounded preceding and current row
        ) as contract_count
    from refreshes
    inner join buckets
        on refreshes.job_type = buckets.job_type
    left join deltas
        on
            refreshes.job_type = deltas.job_type
            and refreshes.as_of_at = deltas.as_of_at
            and buckets.price_bucket = deltas.price_bucket

),

ranked_buckets as (

    select
        job_type,
        as_of_at,
        price_bucket,
        sum(contract_count) over (
            partition by job_type, as_of_at
            order by price_bucket asc nulls last
            rows between unbounded preceding and current row
        ) as upto_count,
        sum(contract_count) over (partition by job_type, as_of_at) as all_count
    from bucket_counts

),

quartiles as (

    select
        job_type,
        {{ available_at('as_of_at') }} as available_at,
        min(case when upto_count * 4 >= all_count then price_bucket end) as p25_bucket,
        min(case when upto_count * 2 >= all_count then price_bucket end) as p50_bucket,
        min(case when upto_count * 4 >= all_count * 3 then price_bucket end) as p75_bucket
    from ranked_buckets
    where all_count > 0
    group by job_type, as_of_at

),

spine as (

    select
        job_id,
        {{ code_word('job_type') }} as job_type,
        requested_at
    from requests

),

joined as (

    {{ pit_join('spine', 'quartiles', 'job_type', ['p25_bucket', 'p50_bucket', 'p75_bucket']) }}

),

final as (

    select
        job_id,
        {{ price_bucket_midpoint('p25_bucket') }} as job_type_log_price_p25_all,
        {{ price_bucket_midpoint('p50_bucket') }} as job_type_log_price_p50_all,
        {{ price_bucket_midpoint('p75_bucket') }} as job_type_log_price_p75_all
    from joined

)

select * from final
