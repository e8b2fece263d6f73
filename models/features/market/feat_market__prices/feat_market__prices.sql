{{ config(cluster_by=['market_id']) }}

-- One row per refresh at which the market as a whole changed: the prior of every rarer mean, and
-- since when events are known. The market is all that is paid in the mart's one currency.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

contract_versions as (

    select * from {{ ref('int_contract__versions') }}

),

job_versions as (

    select * from {{ ref('int_job__versions') }}

),

bounds as (

    select
        clock.as_of_at,
        {{ opened_at() }} as opened_at
    from clock

),

priced_facts as (

    select
        contract_versions.enters_at,
        {{ leaves_at('contract_versions.superseded_at') }} as leaves_at,
        contract_versions.price_log_e6
    from contract_versions
    where contract_versions.price_log_e6 is not null

),

open_facts as (

    select
        {{ greatest_known('priced_facts.enters_at', 'bounds.opened_at') }} as enters_at,
        case when priced_facts.leaves_at <= bounds.as_of_at then priced_facts.leaves_at end
            as leaves_at,
        priced_facts.price_log_e6
    from priced_facts
    cross join bounds
    where
        priced_facts.enters_at <= bounds.as_of_at
        and (
            priced_facts.leaves_at is null
            or (
                priced_facts.leaves_at > bounds.opened_at
                and priced_facts.enters_at < priced_facts.leaves_at
            )
        )

),

events as (

    select
        seen_at,
        posted_at as event_at
    from job_versions
    union all
    select
        seen_at,
        contracted_at as event_at
    from contract_versions

),

moves as (

    select
        enters_at as as_of_at,
        1 as contract_count,
        price_log_e6,
        cast(null as {{ type_instant() }}) as event_at
    from open_facts
    union all
    select
        leaves_at as as_of_at,
        -1 as contract_count,
        -price_log_e6 as price_log_e6,
        cast(null as {{ type_instant() }}) as event_at
    from open_facts
    where leaves_at is not null
    union all
    select
        {{ greatest_known('events.seen_at', 'bounds.opened_at') }} as as_of_at,
        0 as contract_count,
        0 as price_log_e6,
        events.event_at
    from events
    cross join bounds
    where events.seen_at <= bounds.as_of_at

),

deltas as (

    select
        as_of_at,
        sum(contract_count) as contract_count,
        sum(price_log_e6) as price_log_e6,
        min(event_at) as event_at
    from moves
    group by as_of_at

),

summed as (

    select
        as_of_at,
        cast(sum(contract_count) over running as bigint) as contract_count,
        cast(sum(price_log_e6) over running as bigint) as price_log_e6,
        min(event_at) over running as first_event_at
    from deltas
    window running as (
        order by as_of_at asc nulls last rows between unbounded preceding and current row
    )

),

states as (

    select
        {{ text_literal(var('currency')) }} as market_id,
        as_of_at,
        contract_count as market_contract_count_all,
        {{ ratio(fixed_ratio('price_log_e6', 'contract_count'), '1000000') }}
            as market_log_price_mean_all,
        first_event_at as market_first_event_at
    from summed

),

changes as (

    select
        market_id,
        as_of_at,
        market_contract_count_all,
        market_log_price_mean_all,
        market_first_event_at,
        {{ is_changed(
            counts=['market_contract_count_all'],
            values=['market_log_price_mean_all', 'market_first_event_at'],
            partition_by='market_id',
            order_by='as_of_at asc nulls last'
        ) }} as is_changed
    from states

),

final as (

    select
        changes.market_id,
        changes.as_of_at,
        {{ available_at('changes.as_of_at') }} as available_at,
        changes.market_contract_count_all,
        changes.market_log_price_mean_all,
        changes.market_first_event_at
    from changes
    cross join bounds
    where changes.is_changed and changes.as_of_at > bounds.opened_at

)

select * from final
