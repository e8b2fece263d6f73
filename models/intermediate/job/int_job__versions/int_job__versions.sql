{{ config(materialized='incremental', unique_key=['job_id', 'seen_at']) }}

-- One row per job and refresh at which a version of it was first seen. A run chains again the jobs
-- that have a new version, whole, so that the former newest learns by which it was superseded.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

jobs as (

    select * from {{ ref('stg_dwh__jobs') }}

),

changed_jobs as (

    select jobs.job_id
    from jobs
    cross join clock
    where jobs.known_at > {{ opened_at('seen_at') }} and jobs.known_at <= clock.as_of_at
    group by jobs.job_id

),

seen_versions as (

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
    inner join changed_jobs
        on jobs.job_id = changed_jobs.job_id
    cross join clock
    where jobs.known_at <= clock.as_of_at

),

-- Of the versions that one refresh first sees, only the last was ever in force at one.
last_seen_versions as (

    select
        job_id,
        client_id,
        category_id,
        posted_at,
        is_deleted,
        known_at,
        seen_at
    from seen_versions
    qualify row_number() over (
            partition by job_id, seen_at
            order by known_at desc nulls last, loaded_at desc nulls last
        ) = 1

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
        is_deleted
    from last_seen_versions

)

select * from final
