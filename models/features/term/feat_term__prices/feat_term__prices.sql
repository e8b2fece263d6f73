{{ config(cluster_by=['term']) }}
{%- set sums = [
    'term_contract_count_all',
    'term_log_price_sum_e6_all',
    'term_lift_count_all',
    'term_lift_sum_e6_all',
    'term_lift_square_sum_e6_all',
] -%}

-- One row per term and refresh at which the prices of the term's contracts changed.
with contracts as (

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

-- The terms are taken from the request, so a contract does not enter before the request does. The
-- lift is the log price minus the log price that was expected at the contract's request.
lifts as (

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

priced_contracts as (

    select
        job_id,
        enters_at,
        leaves_at,
        1 as term_contract_count_all,
        price_log_e6 as term_log_price_sum_e6_all,
        case when lift_e6 is null then 0 else 1 end as term_lift_count_all,
        lift_e6 as term_lift_sum_e6_all,
        {{ fixed_ratio('lift_e6 * lift_e6', '1000000') }} as term_lift_square_sum_e6_all
    from lifts

),

{{ running_sums('term', {'priced_contracts': sums}, bridge='terms', bridge_key='job_id') }},

{{ changed_rows('term', sums) }}

select * from final
