-- One row per spine row: the prices of the title's terms in the contracts of the same client, as
-- available at the request. The history of a client and term is built as in feat_term__prices.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

contracts as (

    select * from {{ ref('int_contract__facts') }}

),

terms as (

    select * from {{ ref('int_job__terms') }}

),

-- The terms are taken from the request, so a contract does not enter before the request does.
facts as (

    select
        contracts.client_id,
        terms.term,
        {{ greatest_known('contracts.enters_at', 'requests.entered_at') }} as enters_at,
        {{ leaves_at('contracts.superseded_at') }} as leaves_at,
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
        client_id,
        term,
        enters_at as as_of_at,
        1 as contract_count,
        price_log_e6
    from facts
    where leaves_at is null or enters_at < leaves_at
    union all
    select
        client_id,
        term,
        leaves_at as as_of_at,
        -1 as contract_count,
        -price_log_e6 as price_log_e6
    from facts
    where enters_at < leaves_at

),

deltas as (

    select
        client_id,
        term,
        as_of_at,
        sum(contract_count) as contract_count,
        sum(price_log_e6) as price_log_e6
    from moves
    group by client_id, term, as_of_at

),

prices as (

    select
        client_id,
        term,
        {{ available_at('as_of_at') }} as available_at,
        sum(contract_count) over running as contract_count,
        sum(price_log_e6) over running as price_log_e6
    from deltas
    window running as (
        partition by client_id, term
        order by as_of_at asc nulls last rows between unbounded preceding and current row
    )

),

request_terms as (

    select
        terms.job_id,
        terms.term,
        requests.client_id,
        requests.requested_at
    from terms
    inner join requests
        on terms.job_id = requests.job_id

),

priced_terms as (

    {{ pit_join('request_terms', 'prices', ['client_id', 'term'], [
        'contract_count',
        'price_log_e6',
    ]) }}

),

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
    where contract_count >= 1

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
        combined.contract_count as client_term_contract_count_all,
        {{ ratio('combined.price_log_e6', 'combined.contract_count * 1000000') }}
            as client_term_log_price_weighted_mean_all,
        {{ ratio('combined.mean_e6', 'combined.supported_count * 1000000') }}
            as client_term_log_price_mean_all,
        {{ ratio('combined.least_e6', '1000000') }} as client_term_log_price_min_all,
        {{ ratio('combined.most_e6', '1000000') }} as client_term_log_price_max_all,
        {{ ratio('combined.rarest_e6', '1000000') }} as client_term_rarest_log_price_mean_all
    from requests
    left join combined
        on requests.job_id = combined.job_id

)

select * from final
