-- One row per term and refresh: the priced contracts of the last 365 days and the sum of their log
-- prices, built as feat_job_type__prices is.
with clock as (

    select * from {{ ref('int_mart__clock') }}

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
        contracts.enters_at,
        {{ leaves_at('contracts.superseded_at', 'contracts.contracted_at', 365) }} as leaves_at,
        contracts.price_log_e6
    from contracts
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

final as (

    select
        term,
        as_of_at,
        sum(contract_count) over running as term_contract_count_365d,
        sum(price_log_e6) over running as term_log_price_sum_e6_365d
    from deltas
    window running as (
        partition by term
        order by as_of_at asc nulls last rows between unbounded preceding and current row
    )

)

select * from final
