{{ config(materialized='incremental', cluster_by=['job_id']) }}

-- One row per spine row and skill: the first known skill set of the job, as in the request. A set
-- that became known after the spine row entered does not belong to the request, and a later set
-- never replaces the first.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

job_skills as (

    select * from {{ ref('stg_dwh__job_skills') }}

),

-- Without a load time, a skill is known with the first version of its job.
known_skills as (

    select
        requests.job_id,
        requests.entered_at,
        job_skills.skill,
        job_skills.is_deleted,
        coalesce(job_skills.known_at, requests.known_at) as known_at
    from requests
    inner join job_skills
        on requests.job_id = job_skills.job_id
    where
        requests.entered_at > {{ opened_at('entered_at') }}
        and job_skills.skill is not null

),

first_known_skills as (

    select
        job_id,
        entered_at,
        skill,
        is_deleted,
        known_at,
        min(known_at) over (partition by job_id) as first_known_at
    from known_skills

),

final as (

    select
        job_id,
        skill,
        min(entered_at) as entered_at
    from first_known_skills
    where known_at = first_known_at and first_known_at <= entered_at and not is_deleted
    group by job_id, skill

)

select * from final
