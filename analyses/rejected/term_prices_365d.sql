-- One row per spine row: the prices of the title's terms over the last 365 days, as available at
-- the request. The history of a term is built as in feat_job_type__prices.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

requests as (

    select * from {{ ref('int_job__requests') }}

),

contracts as (

    select * from {{ ref('int_contract__facts') }}

),

terms as (

    select * from {{ ref('int_job__terms') }}

),

facts as (

    select
        terms.term,
        {{ greatest_known('contracts.enters_at', 'requests.entered_at') }} as enters_at,
        {{ leaves_at('contracts.superseded_at', 'contracts.contracted_at', 365) }} as leaves_at,
        contracts.price_log_e6
    from contracts
    inner join requests
        on contracts.job_id = requests.job_id
    inner join terms
        on contracts.job_id = terms.job_id
    where contracts.price_log_e6 is not null and contracts.enters_at is not null

),

moves as (

    select
        term,
        enters_at as as_of_at,
        1 as contract_count,
        price_log_e6
    from facts
    where enters_at < leaves_at
    union all
    select
        term,
        leaves_at as as_of_at,
        -1 as contract_count,
        -price_log_e6 as price_log_e6
    from facts
    where enters_at < leaves_at

),

deltas as (

    select
        moves.term,
        moves.as_of_at,
        sum(moves.contract_count) as contract_count,
        sum(moves.price_log_e6) as price_log_e6
    from moves
    cross join clock
    where moves.as_of_at <= clock.as_of_at
    group by moves.term, moves.as_of_at

),

prices as (

    select
        term,
        {{ available_at('as_of_at') }} as available_at,
        sum(contract_count) over running as contract_count,
        sum(price_log_e6) over running as price_log_e6
    from deltas
    window running as (
        partition by term
        order by as_of_at asc nulls last rows between unbounded preceding and current row
    )

),

request_terms as (

    select
        terms.job_id,
        terms.term,
        requests.requested_at
    from terms
    inner join requests
        on terms.job_id = requests.job_id

),

priced_terms as (

    {{ pit_join('request_terms', 'prices', 'term', ['contract_count', 'price_log_e6']) }}

),

-- As in feat_job__terms_at_request, terms with fewer than three contracts are ignored.
supported_terms as (

    select
        job_id,
        term,
        contract_count,
        price_log_e6,
        {{ fixed_ratio('price_log_e6', 'contract_count') }} as mean_e6,
        row_number() over (
            partition by job_id order by contract_count asc nulls last, term asc nulls last
        ) as rarity
    from priced_terms
    where contract_count >= 3

),

combined as (

    select
        job_id,
        sum(contract_count) as contract_count,
        sum(price_log_e6) as price_log_e6,
        count(*) as supported_count,
        sum(mean_e6) as mean_e6,
        min(mean_e6) as least_e6,
        max(mean_e6) as most_e6,
        max(case when rarity = 1 then mean_e6 end) as rarest_e6
    from supported_terms
    group by job_id

),

final as (

    select
        requests.job_id,
        combined.contract_count as term_contract_count_365d,
        {{ ratio('combined.price_log_e6', 'combined.contract_count * 1000000') }}
            as term_log_price_weighted_mean_365d,
        {{ ratio('combined.mean_e6', 'combined.supported_count * 1000000') }}
            as term_log_price_mean_365d,
        {{ ratio('combined.least_e6', '1000000') }} as term_log_price_min_365d,
        {{ ratio('combined.most_e6', '1000000') }} as term_log_price_max_365d,
        {{ ratio('combined.rarest_e6', '1000000') }} as term_rarest_log_price_mean_365d
    from requests
    left join combined
        on requests.job_id = combined.job_id

)

select * from final
