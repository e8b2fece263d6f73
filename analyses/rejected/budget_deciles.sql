-- One row per spine row: the decile, from 0 to 9, of the job's budget among the budgets known at
-- the last refresh available at the request, and the number of these budgets.
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

-- One row per refresh and bucket of budgets. A bucket is 0.05 wide in logs.
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

-- Ten times the number of lower budgets, where half of the budgets in the same bucket count as
-- lower. Divided by the number of all budgets, this is the decile.
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

-- A budget above all known budgets is in the last decile.
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
