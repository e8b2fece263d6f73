{{ config(
    materialized='incremental',
    unique_key=['proposal_id', 'seen_at'],
    cluster_by=['proposal_id']
) }}

-- One row per proposal and refresh at which a version of the proposal was first seen. A run chains
-- the new versions of a proposal with the versions of the same proposal in the table, so that the
-- previous newest version gets its superseded_at.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

proposals as (

    select * from {{ ref('stg_dwh__proposals') }}

),

new_versions as (

    select
        proposals.proposal_id,
        proposals.job_id,
        proposals.proposed_at,
        proposals.is_deleted,
        proposals.known_at,
        proposals.loaded_at,
        {{ refresh_at('proposals.known_at') }} as seen_at
    from proposals
    cross join clock
    where proposals.known_at > {{ opened_at('seen_at') }} and proposals.known_at <= clock.as_of_at

),

-- If one refresh is the first to see several versions of a proposal, keep only the last version:
-- the others were never in force at a refresh.
last_new_versions as (

    select
        proposal_id,
        job_id,
        proposed_at,
        is_deleted,
        seen_at
    from new_versions
    qualify row_number() over (
            partition by proposal_id, seen_at
            order by known_at desc nulls last, loaded_at desc nulls last
        ) = 1

),

versions as (

    select
        proposal_id,
        job_id,
        proposed_at,
        is_deleted,
        seen_at
    from last_new_versions
    {%- if is_incremental() %}
    union all
    select
        built.proposal_id,
        built.job_id,
        built.proposed_at,
        built.is_deleted,
        built.seen_at
    from {{ this }} as built
    where built.proposal_id in (select last_new_versions.proposal_id from last_new_versions)
    {%- endif %}

),

final as (

    select
        proposal_id,
        seen_at,
        lead(seen_at) over (partition by proposal_id order by seen_at asc nulls last)
            as superseded_at,
        {{ enters_at('seen_at', 'proposed_at') }} as enters_at,
        job_id,
        proposed_at,
        is_deleted
    from versions

)

select * from final
