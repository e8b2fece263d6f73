{{ config(cluster_by=['job_type']) }}

-- One row per type of job and refresh at which the prices of the type changed.
with contracts as (

    select * from {{ ref('int_contract__facts') }}

),

requests as (

    select * from {{ ref('int_job__requests') }}

),

-- The type of job is taken from the request, so a contract does not enter before the request does.
priced_contracts as (

    select
        {{ code_word('requests.job_type') }} as job_type,
        {{ greatest_known('contracts.enters_at', 'requests.entered_at') }} as enters_at,
        {{ leaves_at('contracts.superseded_at', 'contracts.contracted_at', 365) }} as leaves_at,
        1 as contract_count,
        contracts.price_log_e6
    from contracts
    inner join requests
        on contracts.job_id = requests.job_id
    where
        contracts.price_log_e6 is not null
        and contracts.enters_at is not null
        and {{ is_recent('contracts.contracted_at', 365) }}

),

{{ running_sums('job_type', {'priced_contracts': ['contract_count', 'price_log_e6']}) }},

states as (

    select
        job_type,
        as_of_at,
        contract_count as job_type_contract_count_365d,
        {{ ratio('price_log_e6', 'contract_count * 1000000') }} as job_type_log_price_mean_365d
    from running_sums

),

{{ changed_rows('job_type', [
    'job_type_contract_count_365d', 'job_type_log_price_mean_365d',
], 'states') }}

select * from final
