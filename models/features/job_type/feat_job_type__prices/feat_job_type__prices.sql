{{ config(cluster_by=['job_type']) }}

-- One row per type of job and refresh at which its prices changed. A run recounts the facts still
-- in the window, with those that entered before standing at the opening, and keeps what comes
-- after.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

contracts as (

    select * from {{ ref('int_contract__facts') }}

),

requests as (

    select * from {{ ref('int_job__requests') }}

),

bounds as (

    select
        clock.as_of_at,
        {{ opened_at() }} as opened_at
    from clock

),

-- The type is the spine row's, so the fact enters with it at the earliest.
facts as (

    select
        {{ code_word('requests.job_type') }} as job_type,
        {{ greatest_known('contracts.enters_at', 'requests.entered_at') }} as enters_at,
        {{ leaves_at('contracts.superseded_at', 'contracts.contracted_at', 365) }} as leaves_at,
        contracts.price_log_e6
    from contracts
    inner join requests
        on contracts.job_id = requests.job_id
    where
        requests.job_type is not null
        and contracts.price_log_e6 is not null
        and contracts.enters_at is not null
        and {{ is_recent('contracts.contracted_at', 365) }}

),

open_facts as (

    select
        facts.job_type,
        {{ greatest_known('facts.enters_at', 'bounds.opened_at') }} as enters_at,
        case when facts.leaves_at <= bounds.as_of_at then facts.leaves_at end as leaves_at,
        facts.price_log_e6
    from facts
    cross join bounds
    where
        facts.enters_at <= bounds.as_of_at
        and facts.leaves_at > bounds.opened_at
        and facts.enters_at < facts.leaves_at

),

moves as (

    select
        job_type,
        enters_at as as_of_at,
        1 as contract_count,
        price_log_e6
    from open_facts
    union all
    select
        job_type,
        leaves_at as as_of_at,
        -1 as contract_count,
        -price_log_e6 as price_log_e6
    from open_facts
    where leaves_at is not null

),

deltas as (

    select
        job_type,
        as_of_at,
        sum(contract_count) as contract_count,
        sum(price_log_e6) as price_log_e6
    from moves
    group by job_type, as_of_at

),

summed as (

    select
        job_type,
        as_of_at,
        cast(sum(contract_count) over running as bigint) as contract_count,
        cast(sum(price_log_e6) over running as bigint) as price_log_e6
    from deltas
    window running as (
        partition by job_type
        order by as_of_at asc nulls last rows between unbounded preceding and current row
    )

),

states as (

    select
        job_type,
        as_of_at,
        contract_count as job_type_contract_count_365d,
        {{ ratio('price_log_e6', 'contract_count * 1000000') }} as job_type_log_price_mean_365d
    from summed

),

changes as (

    select
        job_type,
        as_of_at,
        job_type_contract_count_365d,
        job_type_log_price_mean_365d,
        {{ is_changed(
            counts=['job_type_contract_count_365d'],
            values=['job_type_log_price_mean_365d'],
            partition_by='job_type',
            order_by='as_of_at asc nulls last'
        ) }} as is_changed
    from states

),

final as (

    select
        changes.job_type,
        changes.as_of_at,
        {{ available_at('changes.as_of_at') }} as available_at,
        changes.job_type_contract_count_365d,
        changes.job_type_log_price_mean_365d
    from changes
    cross join bounds
    where changes.is_changed and changes.as_of_at > bounds.opened_at

)

select * from final
