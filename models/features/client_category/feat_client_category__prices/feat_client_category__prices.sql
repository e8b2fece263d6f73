{{ config(cluster_by=['client_id', 'category_id']) }}

-- One row per client and category, and refresh at which the prices of the one's contracts in the
-- other changed. A run recounts the pairs of which something moves, and keeps what comes after the
-- opening.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

contracts as (

    select * from {{ ref('int_contract__facts') }}

),

bounds as (

    select
        clock.as_of_at,
        {{ opened_at() }} as opened_at
    from clock

),

facts as (

    select
        contracts.client_id,
        contracts.category_id,
        contracts.enters_at,
        {{ leaves_at('contracts.superseded_at') }} as leaves_at,
        contracts.price_log_e6
    from contracts
    where
        contracts.client_id is not null
        and contracts.category_id is not null
        and contracts.price_log_e6 is not null

),

open_facts as (

    select
        facts.client_id,
        facts.category_id,
        {{ greatest_known('facts.enters_at', 'bounds.opened_at') }} as enters_at,
        case when facts.leaves_at <= bounds.as_of_at then facts.leaves_at end as leaves_at,
        facts.price_log_e6
    from facts
    cross join bounds
    where
        facts.enters_at <= bounds.as_of_at
        and (
            facts.leaves_at is null
            or (facts.leaves_at > bounds.opened_at and facts.enters_at < facts.leaves_at)
        )

),

moves as (

    select
        client_id,
        category_id,
        enters_at as as_of_at,
        1 as contract_count,
        price_log_e6
    from open_facts
    union all
    select
        client_id,
        category_id,
        leaves_at as as_of_at,
        -1 as contract_count,
        -price_log_e6 as price_log_e6
    from open_facts
    where leaves_at is not null

),

deltas as (

    select
        client_id,
        category_id,
        as_of_at,
        sum(contract_count) as contract_count,
        sum(price_log_e6) as price_log_e6
    from moves
    group by client_id, category_id, as_of_at

),

-- Every column is a sum, so a refresh at which all deltas are 0 changed none.
summed as (

    select
        client_id,
        category_id,
        as_of_at,
        cast(sum(contract_count) over running as bigint) as client_category_contract_count_all,
        cast(sum(price_log_e6) over running as bigint) as client_category_log_price_sum_e6_all
    from deltas
    where contract_count <> 0 or price_log_e6 <> 0
    window running as (
        partition by client_id, category_id
        order by as_of_at asc nulls last rows between unbounded preceding and current row
    )

),

final as (

    select
        summed.client_id,
        summed.category_id,
        summed.as_of_at,
        {{ available_at('summed.as_of_at') }} as available_at,
        summed.client_category_contract_count_all,
        summed.client_category_log_price_sum_e6_all
    from summed
    cross join bounds
    where summed.as_of_at > bounds.opened_at

)

select * from final
