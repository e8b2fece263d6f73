{{ config(cluster_by=['term']) }}

-- One row per term and refresh at which the prices of contracts with it changed. A run recounts the
-- terms of which something moves, and keeps what comes after the opening.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

contracts as (

    select * from {{ ref('int_contract__facts') }}

),

requests as (

    select * from {{ ref('int_job__requests') }}

),

terms as (

    select * from {{ ref('int_job__terms') }}

),

expected_prices as (

    select * from {{ ref('feat_job__client_category_at_request') }}

),

bounds as (

    select
        clock.as_of_at,
        {{ opened_at() }} as opened_at
    from clock

),

-- The terms are those of the spine row, so the fact enters with it at the earliest. Its lift is
-- over the price that was expected at its own request.
facts as (

    select
        contracts.job_id,
        {{ greatest_known('contracts.enters_at', 'requests.entered_at') }} as enters_at,
        {{ leaves_at('contracts.superseded_at') }} as leaves_at,
        contracts.price_log_e6,
        contracts.price_log_e6 - {{ fixed_point('expected_prices.job_expected_price_log') }}
            as lift_e6
    from contracts
    inner join requests
        on contracts.job_id = requests.job_id
    left join expected_prices
        on contracts.job_id = expected_prices.job_id
    where contracts.price_log_e6 is not null and contracts.enters_at is not null

),

open_facts as (

    select
        facts.job_id,
        {{ greatest_known('facts.enters_at', 'bounds.opened_at') }} as enters_at,
        case when facts.leaves_at <= bounds.as_of_at then facts.leaves_at end as leaves_at,
        facts.price_log_e6,
        facts.lift_e6
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
        job_id,
        enters_at as as_of_at,
        1 as contract_count,
        price_log_e6,
        case when lift_e6 is null then 0 else 1 end as lift_count,
        coalesce(lift_e6, 0) as lift_e6,
        coalesce({{ fixed_ratio('lift_e6 * lift_e6', '1000000') }}, 0) as lift_square_e6
    from open_facts
    union all
    select
        job_id,
        leaves_at as as_of_at,
        -1 as contract_count,
        -price_log_e6 as price_log_e6,
        case when lift_e6 is null then 0 else -1 end as lift_count,
        -coalesce(lift_e6, 0) as lift_e6,
        -coalesce({{ fixed_ratio('lift_e6 * lift_e6', '1000000') }}, 0) as lift_square_e6
    from open_facts
    where leaves_at is not null

),

{% if is_incremental() -%}
-- A term of which nothing moves after the opening has no row to add.
moving_terms as (

    select terms.term
    from moves
    inner join terms
        on moves.job_id = terms.job_id
    cross join bounds
    where moves.as_of_at > bounds.opened_at
    group by terms.term

),

{% endif -%}
deltas as (

    select
        terms.term,
        moves.as_of_at,
        sum(moves.contract_count) as contract_count,
        sum(moves.price_log_e6) as price_log_e6,
        sum(moves.lift_count) as lift_count,
        sum(moves.lift_e6) as lift_e6,
        sum(moves.lift_square_e6) as lift_square_e6
    from moves
    inner join terms
        on moves.job_id = terms.job_id
    {%- if is_incremental() %}
    where terms.term in (select moving_terms.term from moving_terms)
    {%- endif %}
    group by terms.term, moves.as_of_at

),

-- Every column is a sum, so a refresh at which all deltas are 0 changed none.
summed as (

    select
        term,
        as_of_at,
        cast(sum(contract_count) over running as bigint) as term_contract_count_all,
        cast(sum(price_log_e6) over running as bigint) as term_log_price_sum_e6_all,
        cast(sum(lift_count) over running as bigint) as term_lift_count_all,
        cast(sum(lift_e6) over running as bigint) as term_lift_sum_e6_all,
        cast(sum(lift_square_e6) over running as bigint) as term_lift_square_sum_e6_all
    from deltas
    where
        contract_count <> 0
        or price_log_e6 <> 0
        or lift_count <> 0
        or lift_e6 <> 0
        or lift_square_e6 <> 0
    window running as (
        partition by term
        order by as_of_at asc nulls last rows between unbounded preceding and current row
    )

),

final as (

    select
        summed.term,
        summed.as_of_at,
        {{ available_at('summed.as_of_at') }} as available_at,
        summed.term_contract_count_all,
        summed.term_log_price_sum_e6_all,
        summed.term_lift_count_all,
        summed.term_lift_sum_e6_all,
        summed.term_lift_square_sum_e6_all
    from summed
    cross join bounds
    where summed.as_of_at > bounds.opened_at

)

select * from final
