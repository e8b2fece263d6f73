{{ config(materialized='incremental', unique_key=['contract_id', 'seen_at']) }}

-- One row per counted contract version, with the category it counts for: that of its job as known
-- when the contract first entered, frozen. A contract is a fact of two rows, its own and its job's,
-- so it enters when the last of them is known. A run takes again the contracts with a new version,
-- those whose job has one, and those still to enter.
with contract_versions as (

    select * from {{ ref('int_contract__versions') }}

),

job_versions as (

    select * from {{ ref('int_job__versions') }}

),

first_seen_jobs as (

    select
        job_versions.job_id,
        max(job_versions.seen_at) as last_seen_at,
        min(job_versions.first_seen_at) as first_seen_at
    from job_versions
    group by job_versions.job_id

),

-- A version that is itself filtered out below still ends the one before it, so that one is taken
-- again too.
chained_versions as (

    select
        contract_id,
        seen_at,
        superseded_at,
        enters_at,
        job_id,
        freelancer_id,
        contracted_at,
        price_log_e6,
        is_counted,
        max(seen_at) over (partition by contract_id) as last_seen_at
    from contract_versions

),

counted_versions as (

    select
        chained_versions.contract_id,
        chained_versions.seen_at,
        chained_versions.superseded_at,
        chained_versions.job_id,
        chained_versions.freelancer_id,
        chained_versions.contracted_at,
        chained_versions.price_log_e6,
        first_seen_jobs.last_seen_at as job_last_seen_at,
        chained_versions.last_seen_at,
        case
            when first_seen_jobs.first_seen_at is not null
                then
                    {{ greatest_known(
                        'chained_versions.enters_at', 'first_seen_jobs.first_seen_at'
                    ) }}
        end as enters_at
    from chained_versions
    left join first_seen_jobs
        on chained_versions.job_id = first_seen_jobs.job_id
    where chained_versions.is_counted

),

first_entries as (

    select
        contract_id,
        seen_at,
        superseded_at,
        job_id,
        freelancer_id,
        contracted_at,
        price_log_e6,
        job_last_seen_at,
        last_seen_at,
        enters_at,
        min(case when superseded_at is null or enters_at < superseded_at then enters_at end)
            over (partition by contract_id) as first_enters_at
    from counted_versions

),

touched as (

    select
        contract_id,
        seen_at,
        superseded_at,
        job_id,
        freelancer_id,
        contracted_at,
        price_log_e6,
        enters_at,
        first_enters_at
    from first_entries
    where
        last_seen_at > {{ opened_at('seen_at') }}
        or job_last_seen_at > {{ opened_at('seen_at') }}
        or first_enters_at > {{ opened_at('seen_at') }}

),

categorised as (

    {{ pit_join(
        'touched', 'job_versions', 'job_id', ['category_id'],
        spine_at='first_enters_at', features_at='seen_at'
    ) }}

),

final as (

    select
        contract_id,
        seen_at,
        enters_at,
        superseded_at,
        category_id,
        freelancer_id,
        contracted_at,
        price_log_e6
    from categorised

)

select * from final
