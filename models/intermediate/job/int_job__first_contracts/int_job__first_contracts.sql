{{ config(materialized='incremental', cluster_by=['job_id']) }}

-- One row per job with a known contract: the contract that was known first; ties go to the lowest
-- id. The row never changes, because a contract that is added later is known later. A run adds the
-- jobs that had no contract.
with contract_versions as (

    select * from {{ ref('int_contract__versions') }}

),

new_contracts as (

    select
        contract_versions.job_id,
        contract_versions.contract_id,
        contract_versions.first_known_at,
        contract_versions.seen_at as first_seen_at
    from contract_versions
    where
        contract_versions.seen_at > {{ opened_at('first_seen_at') }}
        and contract_versions.seen_at = {{ refresh_at('contract_versions.first_known_at') }}

),

first_new_contracts as (

    select
        job_id,
        contract_id,
        first_known_at,
        first_seen_at
    from new_contracts
    qualify row_number() over (
            partition by job_id order by first_known_at asc nulls last, contract_id asc nulls last
        ) = 1

),

final as (

    select
        first_new_contracts.job_id,
        first_new_contracts.contract_id,
        first_new_contracts.first_known_at,
        first_new_contracts.first_seen_at
    from first_new_contracts
    {%- if is_incremental() %}
    left join {{ this }} as built
        on first_new_contracts.job_id = built.job_id
    where built.job_id is null
    {%- endif %}

)

select * from final
