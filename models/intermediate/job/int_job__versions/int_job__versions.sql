{{ config(materialized='incremental', unique_key=['job_id', 'seen_at'], cluster_by=['job_id']) }}

-- One row per job and refresh at which a version of the job was first seen. A run chains the new
-- versions of a job with the versions of the same job in the table, so that the previous newest
-- version gets its superseded_at.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

jobs as (

    select * from {{ ref('stg_dwh__jobs') }}

),

new_versions as (

    select
        jobs.job_id,
        jobs.client_id,
        jobs.category_id,
        jobs.posted_at,
        jobs.is_deleted,
        jobs.known_at,
        jobs.loaded_at,
        {{ refresh_at('jobs.known_at') }} as seen_at
    from jobs
    cross join clock
    where jobs.known_at > {{ opened_at('seen_at') }} and jobs.known_at <= clock.as_of_at

),

-- Keep the values of a job's first version, which may be superseded before a refresh sees it.
first_new_versions as (

    select
        job_id,
        known_at as first_known_at,
        loaded_at as first_loaded_at,
        posted_at as first_posted_at
    from new_versions
    qualify row_number() over (
            partition by job_id order by known_at asc nulls last, loaded_at asc nulls last
        ) = 1

),

-- If one refresh is the first to see several versions of a job, keep only the last version: the
-- others were never in force at a refresh.
last_new_versions as (

    select
        job_id,
        client_id,
        category_id,
        posted_at,
        is_deleted,
        known_at,
        seen_at
    from new_versions
    qualify row_number() over (
            partition by job_id, seen_at
            order by known_at desc nulls last, loaded_at desc nulls last
        ) = 1

),

versions as (

    select
        last_new_versions.job_id,
        last_new_versions.client_id,
        last_new_versions.category_id,
        last_new_versions.posted_at,
        last_new_versions.is_deleted,
        last_new_versions.known_at,
        last_new_versions.seen_at,
        first_new_versions.first_known_at,
        first_new_versions.first_loaded_at,
        first_new_versions.first_posted_at
    from last_new_versions
    inner join first_new_versions
        on last_new_versions.job_id = first_new_versions.job_id
    {%- if is_incremental() %}
    union all
    select
        built.job_id,
        built.client_id,
        built.category_id,
        built.posted_at,
        built.is_deleted,
        built.known_at,
        built.seen_at,
        built.first_known_at,
        built.first_loaded_at,
        built.first_posted_at
    from {{ this }} as built
    where built.job_id in (select first_new_versions.job_id from first_new_versions)
    {%- endif %}

),

final as (

    select
        job_id,
        seen_at,
        lead(seen_at) over (partition by job_id order by seen_at asc nulls last) as superseded_at,
        min(seen_at) over (partition by job_id) as first_seen_at,
        {{ enters_at('seen_at', 'posted_at') }} as enters_at,
        known_at,
        client_id,
        category_id,
        posted_at,
        is_deleted,
        first_value(first_known_at) over first_seen as first_known_at,
        first_value(first_loaded_at) over first_seen as first_loaded_at,
        first_value(first_posted_at) over first_seen as first_posted_at
    from versions
    window first_seen as (
        partition by job_id order by seen_at asc nulls last
        rows between unbounded preceding and unbounded following
    )

)

select * from final
