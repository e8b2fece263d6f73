-- One row per client, term and refresh: what the client's own priced contracts with the term came
-- to, built as feat_term__prices is.
with contracts as (

    select * from {{ ref('int_contract__facts') }}

),

terms as (

    select * from {{ ref('int_job__terms') }}

),

moves as (

    select
        contracts.client_id,
        terms.term,
        contracts.enters_at as as_of_at,
        1 as contract_count,
        contracts.price_log_e6
    from contracts
    inner join terms
        on contracts.job_id = terms.job_id
    where
        contracts.price_log_e6 is not null
        and contracts.enters_at is not null
        and (contracts.superseded_at is null or contracts.enters_at < contracts.superseded_at)
    union all
    select
        contracts.client_id,
        terms.term,
        contracts.superseded_at as as_of_at,
        -1 as contract_count,
        -contracts.price_log_e6 as price_log_e6
    from contracts
    inner join terms
        on contracts.job_id = terms.job_id
    where contracts.price_log_e6 is not null and contracts.enters_at < contracts.superseded_at

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

final as (

    select
        client_id,
        term,
        as_of_at,
        sum(contract_count) over running as client_term_contract_count_all,
        sum(price_log_e6) over running as client_term_log_price_sum_e6_all
    from deltas
    window running as (
        partition by client_id, term
        order by as_of_at asc nulls last rows between unbounded preceding and current row
    )

)

select * from final
