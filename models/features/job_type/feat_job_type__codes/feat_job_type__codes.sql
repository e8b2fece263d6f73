{{ config(cluster_by=['job_type']) }}

-- One row per type of job that a spine row has, at most 64: the code of the type. Codes are in the
-- order in which the first jobs of the types entered. The list is append-only, so that a code never
-- changes its meaning and is never reused.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

typed_requests as (

    select
        {{ code_word('requests.job_type') }} as job_type,
        requests.entered_at
    from requests

),

first_jobs as (

    select
        job_type,
        min(entered_at) as as_of_at
    from typed_requests
    where job_type is not null
    group by job_type

),

numbered as (

    select
        job_type,
        as_of_at,
        row_number() over (order by as_of_at asc nulls last, job_type asc nulls last)
            as job_type_code
    from first_jobs

),

final as (

    select
        numbered.job_type,
        numbered.as_of_at,
        {{ available_at('numbered.as_of_at') }} as available_at,
        numbered.job_type_code
    from numbered
    where numbered.job_type_code <= 64 and numbered.as_of_at > {{ opened_at() }}

)

select * from final
