-- One row per spine row: the tenth of all budgets known by then in which its budget lies, and the
-- number of those budgets. The edges are those of the last refresh available at the request.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

logs as (

    select
        job_id,
        requested_at,
        entered_at,
        {{ fixed_log('coalesce(budget_max_amount, budget_min_amount)') }} as budget_log_e6
    from requests

),

budgets as (

    select
        job_id,
        requested_at,
        entered_at,
        {{ price_bucket('budget_log_e6') }} as budget_bucket
    from logs
    where budget_log_e6 is not null

),

entries as (

    select
        budget_bucket,
        entered_at as as_of_at,
        count(*) as budget_count
    from budgets
    group by budget_bucket, entered_at

),

refreshes as (

    select entered_at as as_of_at
    from budgets
    group by entered_at

),

buckets as (

    select budget_bucket
    from budgets
    group by budget_bucket

),

-- Every bucket of budgets at every refresh; a bucket is 0.05 of a log wide.
bucket_counts as (

    select
        refreshes.as_of_at,
        buckets.budget_bucket,
        sum(coalesce(entries.budget_count, 0)) over (
            partition by buckets.budget_bucket
            order by refreshes.as_of_at asc nulls last
            rows between unbounded preceding and current row
        ) as budget_count
    from refreshes
    cross join buckets
    left join entries
        on
            refreshes.as_of_at = entries.as_of_at
            and buckets.budget_bucket = entries.budget_bucket

),

-- The budgets below, and half of those in the same bucket, in tenths of all.
places as (

    select
        budget_bucket,
        {{ available_at('as_of_at') }} as available_at,
        10 * sum(budget_count) over (
            partition by as_of_at
            order by budget_bucket asc nulls last
            rows between unbounded preceding and current row
        ) - 5 * budget_count as tenfold_below_count,
        sum(budget_count) over (partition by as_of_at) as known_count
    from bucket_counts

),

placed as (

    {{ pit_join('budgets', 'places', 'budget_bucket', ['tenfold_below_count', 'known_count']) }}

),

tenths as (

    select
        job_id,
        known_count,
        {{ whole_quotient('tenfold_below_count', 'nullif(known_count, 0)') }} as tenth
    from placed

),

-- A budget above all known ones is in the last tenth.
final as (

    select
        requests.job_id,
        case when tenths.tenth > 9 then 9 else tenths.tenth end as job_budget_decile,
        tenths.known_count as job_budget_known_count
    from requests
    left join tenths
        on requests.job_id = tenths.job_id

)

select * from final
