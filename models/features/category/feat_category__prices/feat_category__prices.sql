{{ config(cluster_by=['category_id']) }}
{%- set sums = ['contract_count', 'priced_count', 'price_log_e6'] -%}

-- One row per category and refresh at which the prices of the category changed. Counts and means
-- are running sums, distinct freelancers are counted in two steps, and quantiles come from the
-- counts per log-price bucket.
with contracts as (

    select * from {{ ref('int_contract__facts') }}

),

windows as (

    select 90 as window_days
    union all
    select 365 as window_days

),

windowed_contracts as (

    select
        contracts.category_id,
        windows.window_days,
        contracts.freelancer_id,
        {{ price_bucket('contracts.price_log_e6') }} as price_bucket,
        contracts.enters_at,
        {{ leaves_at('contracts.superseded_at', 'contracts.contracted_at', 'windows.window_days') }}
            as leaves_at,
        1 as contract_count,
        case when contracts.price_log_e6 is not null then 1 else 0 end as priced_count,
        contracts.price_log_e6
    from contracts
    cross join windows
    where
        contracts.category_id is not null
        and {{ is_recent('contracts.contracted_at', 365) }}

),

{{ fact_moves(
    'category_id',
    {'windowed_contracts': sums},
    details=['window_days', 'freelancer_id', 'price_bucket']
) }},

changed_categories as (

    select
        category_id,
        as_of_at
    from moves
    group by category_id, as_of_at

),

-- Number the refreshes at which anything changed in a category. The numbers run over all
-- categories, and the numbers of one category are consecutive, so that a value that stays equal is
-- stored as one range of numbers. The quantiles group millions of rows: grouping by the number
-- takes half the time of grouping by category and refresh.
changes as (

    select
        category_id,
        as_of_at,
        row_number()
            over (order by category_id asc nulls last, as_of_at asc nulls last)
            as change_number
    from changed_categories

),

last_changes as (

    select
        category_id,
        max(change_number) as last_number
    from changes
    group by category_id

),

count_deltas as (

    select
        category_id,
        window_days,
        as_of_at
        {%- for column in sums %},
        sum({{ column }}) as {{ column }}
        {%- endfor %}
    from moves
    group by category_id, window_days, as_of_at

),

freelancer_deltas as (

    select
        category_id,
        window_days,
        freelancer_id,
        as_of_at,
        cast(sum(contract_count) as bigint) as contract_count
    from moves
    where freelancer_id is not null
    group by category_id, window_days, freelancer_id, as_of_at

),

freelancer_counts as (

    select
        category_id,
        window_days,
        as_of_at,
        contract_count,
        cast(
            sum(contract_count) over (
                partition by category_id, window_days, freelancer_id
                order by as_of_at asc nulls last
                rows between unbounded preceding and current row
            ) as bigint
        ) as running_count
    from freelancer_deltas

),

-- A freelancer adds 1 at the refresh at which the freelancer's running count leaves 0, and -1 at
-- the refresh at which the count returns to 0.
active_deltas as (

    select
        category_id,
        window_days,
        as_of_at,
        sum(
            case
                when running_count > 0 and running_count - contract_count = 0 then 1
                when running_count = 0 and contract_count < 0 then -1
                else 0
            end
        ) as active_freelancer_count
    from freelancer_counts
    group by category_id, window_days, as_of_at

),

summed as (

    select
        changes.category_id,
        windows.window_days,
        changes.as_of_at,
        changes.change_number,
        {%- for column in sums %}
        cast(sum(coalesce(count_deltas.{{ column }}, 0)) over running as bigint) as {{ column }},
        {%- endfor %}
        cast(sum(coalesce(active_deltas.active_freelancer_count, 0)) over running as bigint)
            as active_freelancer_count
    from changes
    cross join windows
    left join count_deltas
        on
            changes.category_id = count_deltas.category_id
            and windows.window_days = count_deltas.window_days
            and changes.as_of_at = count_deltas.as_of_at
    left join active_deltas
        on
            changes.category_id = active_deltas.category_id
            and windows.window_days = active_deltas.window_days
            and changes.as_of_at = active_deltas.as_of_at
    window running as (
        partition by changes.category_id, windows.window_days
        order by changes.as_of_at asc nulls last
        rows between unbounded preceding and current row
    )

),

bucket_deltas as (

    select
        moves.category_id,
        moves.window_days,
        moves.price_bucket,
        changes.change_number,
        cast(sum(moves.priced_count) as bigint) as bucket_count
    from moves
    inner join changes
        on
            moves.category_id = changes.category_id
            and moves.as_of_at = changes.as_of_at
    where moves.price_bucket is not null
    group by moves.category_id, moves.window_days, moves.price_bucket, changes.change_number

),

-- One row per bucket and range of change numbers over which the count of the bucket is constant.
bucket_runs as (

    select
        bucket_deltas.window_days,
        bucket_deltas.price_bucket,
        bucket_deltas.change_number as first_number,
        coalesce(
            lead(bucket_deltas.change_number) over (
                partition by
                    bucket_deltas.category_id,
                    bucket_deltas.window_days,
                    bucket_deltas.price_bucket
                order by bucket_deltas.change_number asc nulls last
            ) - 1,
            last_changes.last_number
        ) as last_number,
        cast(
            sum(bucket_deltas.bucket_count) over (
                partition by
                    bucket_deltas.category_id,
                    bucket_deltas.window_days,
                    bucket_deltas.price_bucket
                order by bucket_deltas.change_number asc nulls last
                rows between unbounded preceding and current row
            ) as bigint
        ) as bucket_count
    from bucket_deltas
    inner join last_changes
        on bucket_deltas.category_id = last_changes.category_id

),

filled_buckets as (

    select
        bucket_runs.window_days,
        bucket_runs.price_bucket,
        whole_number as change_number,
        bucket_runs.bucket_count
    from bucket_runs
    cross join {{ whole_numbers('bucket_runs.first_number', 'bucket_runs.last_number') }}
    where bucket_runs.bucket_count > 0

),

ranked_buckets as (

    select
        window_days,
        change_number,
        price_bucket,
        sum(bucket_count) over (
            partition by change_number, window_days
            order by price_bucket asc nulls last
            rows between unbounded preceding and current row
        ) as upto_count
    from filled_buckets

),

quantiles as (

    select
        ranked_buckets.window_days,
        ranked_buckets.change_number,
        {%- for quantile, parts, whole in [('p25', 1, 4), ('p50', 1, 2), ('p75', 3, 4)] %}
        min(
            case
                when
                    ranked_buckets.upto_count * {{ whole }} >= summed.priced_count * {{ parts }}
                    then ranked_buckets.price_bucket
            end
        ) as {{ quantile }}_bucket{{ ',' if not loop.last }}
        {%- endfor %}
    from ranked_buckets
    inner join summed
        on
            ranked_buckets.change_number = summed.change_number
            and ranked_buckets.window_days = summed.window_days
    group by ranked_buckets.window_days, ranked_buckets.change_number

),

wide as (

    select
        summed.category_id,
        summed.as_of_at,
        {%- for days in [90, 365] %}
        {%- for column in sums + ['active_freelancer_count'] %}
        max(case when summed.window_days = {{ days }} then summed.{{ column }} end)
            as {{ column }}_{{ days }}d,
        {%- endfor %}
        {%- set last_window = loop.last %}
        {%- for column in ['p25_bucket', 'p50_bucket', 'p75_bucket'] %}
        max(case when summed.window_days = {{ days }} then quantiles.{{ column }} end)
            as {{ column }}_{{ days }}d{{ ',' if not (loop.last and last_window) }}
        {%- endfor %}
        {%- endfor %}
    from summed
    left join quantiles
        on
            summed.change_number = quantiles.change_number
            and summed.window_days = quantiles.window_days
    group by summed.category_id, summed.as_of_at

),

states as (

    select
        category_id,
        as_of_at
        {%- for days in [90, 365] %},
        contract_count_{{ days }}d as category_contract_count_{{ days }}d,
        {{ ratio('price_log_e6_' ~ days ~ 'd', 'priced_count_' ~ days ~ 'd * 1000000') }}
            as category_log_price_mean_{{ days }}d,
        {%- for quantile in ['p25', 'p50', 'p75'] %}
        {{ price_bucket_midpoint(quantile ~ '_bucket_' ~ days ~ 'd') }}
            as category_log_price_{{ quantile }}_{{ days }}d,
        {%- endfor %}
        active_freelancer_count_{{ days }}d as category_active_freelancer_count_{{ days }}d
        {%- endfor %}
    from wide

),

{{ changed_rows('category_id', [
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
], 'states') }}

select * from final
