{{ config(
    materialized='incremental',
    unique_key=['contract_id', 'seen_at'],
    cluster_by=['contract_id']
) }}

-- One row per counted contract version, with the category of the contract's job as known when the
-- contract first entered; the category is then frozen. A contract enters when both the contract and
-- its job are known. A run processes the contracts that have a new version, whose job has a new
-- version, or that have not entered yet.
with contract_versions as (

    select * from {{ ref('int_contract__versions') }}

),

job_versions as (

    select * from {{ ref('int_job__versions') }}

),

-- Include the versions that are filtered out below, because such a version still ends the previous
-- version.
touches as (

    select contract_versions.contract_id
    from contract_versions
    where
        contract_versions.seen_at > {{ opened_at('seen_at') }}
        or contract_versions.enters_at > {{ opened_at('seen_at') }}
    union all
    select contract_versions.contract_id
    from contract_versions
    inner join job_versions
        on contract_versions.job_id = job_versions.job_id
    where job_versions.seen_at > {{ opened_at('seen_at') }}

),

touched_contracts as (

    select contract_id
    from touches
    group by contract_id

),

first_seen_jobs as (

    select
        job_versions.job_id,
        job_versions.first_seen_at
    from job_versions
    where job_versions.seen_at = job_versions.first_seen_at

),

counted_versions as (

    select
        contract_versions.contract_id,
        contract_versions.seen_at,
        contract_versions.superseded_at,
        contract_versions.job_id,
        contract_versions.client_id,
        contract_versions.freelancer_id,
        contract_versions.contracted_at,
        contract_versions.price_log_e6,
        case
            when first_seen_jobs.first_seen_at is not null
                then
                    {{ greatest_known(
                        'contract_versions.enters_at', 'first_seen_jobs.first_seen_at'
                    ) }}
        end as enters_at
    from contract_versions
    inner join touched_contracts
        on contract_versions.contract_id = touched_contracts.contract_id
    left join first_seen_jobs
        on contract_versions.job_id = first_seen_jobs.job_id
    where contract_versions.is_counted

),

first_entries as (

    select
        contract_id,
        seen_at,
        superseded_at,
        job_id,
        client_id,
        freelancer_id,
        contracted_at,
        price_log_e6,
        enters_at,
        min(case when superseded_at is null or enters_at < superseded_at then enters_at end)
            over (partition by contract_id) as first_enters_at
    from counted_versions

),

categorised as (

    {{ pit_join(
        'first_entries', 'job_versions', 'job_id', ['category_id'],
        spine_at='first_enters_at', features_at='seen_at'
    ) }}

),

final as (

    select
        contract_id,
        seen_at,
        enters_at,
        superseded_at,
        job_id,
        client_id,
        category_id,
        freelancer_id,
        contracted_at,
        price_log_e6
    from categorised

)

select * from final
