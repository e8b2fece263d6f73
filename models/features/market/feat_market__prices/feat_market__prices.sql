{{ config(cluster_by=['market_id']) }}

-- One row per refresh at which the market as a whole changed: the mean towards which means of few
-- contracts are shrunk, and the time of the first known event. The market is all contracts in the
-- mart's one currency.
with priced_contracts as (

    select
        {{ text_literal(var('currency')) }} as market_id,
        enters_at,
        {{ leaves_at('superseded_at') }} as leaves_at,
        1 as contract_count,
        price_log_e6
    from {{ ref('int_contract__versions') }}
    where price_log_e6 is not null

),

events as (

    select
        seen_at,
        posted_at as event_at
    from {{ ref('int_job__versions') }}
    union all
    select
        seen_at,
        contracted_at as event_at
    from {{ ref('int_contract__versions') }}

),

-- An event never leaves, even if it is cancelled or deleted later.
first_events as (

    select
        {{ text_literal(var('currency')) }} as market_id,
        seen_at as enters_at,
        cast(null as {{ type_instant() }}) as leaves_at,
        min(event_at) as first_event_at
    from events
    group by seen_at

),

{{ running_sums('market_id', {
    'priced_contracts': ['contract_count', 'price_log_e6'],
    'first_events': ['first_event_at'],
}, earliest=['first_event_at']) }},

states as (

    select
        market_id,
        as_of_at,
        contract_count as market_contract_count_all,
        {{ ratio(fixed_ratio('price_log_e6', 'contract_count'), '1000000') }}
            as market_log_price_mean_all,
        first_event_at as market_first_event_at
    from running_sums

),

{{ changed_rows('market_id', [
    'market_contract_count_all', 'market_log_price_mean_all', 'market_first_event_at',
], 'states') }}

select * from final
