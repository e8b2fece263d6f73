{{ config(
    materialized='incremental',
    unique_key=['contract_id', 'seen_at'],
    cluster_by=['contract_id']
) }}

-- One row per contract and refresh at which a version of the contract was first seen. A run chains
-- the new versions of a contract with the versions of the same contract in the table, so that the
-- previous newest version gets its superseded_at.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

contracts as (

    select * from {{ ref('stg_dwh__contracts') }}

),

new_versions as (

    select
        contracts.contract_id,
        contracts.job_id,
        contracts.client_id,
        contracts.freelancer_id,
        contracts.contracted_at,
        contracts.agreed_price_amount,
        contracts.status,
        contracts.is_deleted,
        contracts.known_at,
        contracts.loaded_at,
        {{ refresh_at('contracts.known_at') }} as seen_at,
        min(contracts.known_at) over (partition by contracts.contract_id) as first_known_at
    from contracts
    cross join clock
    where contracts.known_at > {{ opened_at('seen_at') }} and contracts.known_at <= clock.as_of_at

),

-- If one refresh is the first to see several versions of a contract, keep only the last version:
-- the others were never in force at a refresh.
last_new_versions as (

    select
        contract_id,
        job_id,
        client_id,
        freelancer_id,
        contracted_at,
        agreed_price_amount,
        status,
        is_deleted,
        known_at,
        first_known_at,
        seen_at
    from new_versions
    qualify row_number() over (
            partition by contract_id, seen_at
            order by known_at desc nulls last, loaded_at desc nulls last
        ) = 1

),

versions as (

    select
        contract_id,
        job_id,
        client_id,
        freelancer_id,
        contracted_at,
        agreed_price_amount,
        status,
        is_deleted,
        known_at,
        first_known_at,
        seen_at
    from last_new_versions
    {%- if is_incremental() %}
    union all
    select
        built.contract_id,
        built.job_id,
        built.client_id,
        built.freelancer_id,
        built.contracted_at,
        built.agreed_price_amount,
        built.status,
        built.is_deleted,
        built.known_at,
        built.first_known_at,
        built.seen_at
    from {{ this }} as built
    where built.contract_id in (select last_new_versions.contract_id from last_new_versions)
    {%- endif %}

),

judged_versions as (

    select
        contract_id,
        job_id,
        client_id,
        freelancer_id,
        contracted_at,
        agreed_price_amount,
        status,
        is_deleted,
        known_at,
        first_known_at,
        seen_at,
        not is_deleted and coalesce(status in ('active', 'completed'), false) as is_counted,
        not is_deleted and coalesce(status = 'cancelled', false) as is_cancelled
    from versions

),

final as (

    select
        contract_id,
        seen_at,
        lead(seen_at)
            over (partition by contract_id order by seen_at asc nulls last)
            as superseded_at,
        {{ enters_at('seen_at', 'contracted_at') }} as enters_at,
        min(first_known_at) over (partition by contract_id) as first_known_at,
        known_at,
        job_id,
        client_id,
        freelancer_id,
        contracted_at,
        agreed_price_amount,
        status,
        is_deleted,
        is_counted,
        is_cancelled,
        -- NULL unless the contract counts and has a price: a void or cancelled contract sets no
        -- price.
        case when is_counted then {{ fixed_log('agreed_price_amount') }} end as price_log_e6
    from judged_versions

)

select * from final
