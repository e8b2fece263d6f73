with source as (

    select * from {{ raw_source('job_skills') }}

),

renamed as (

    select
        cast(job_id as string) as job_id,
        cast(skill as string) as skill,
        {{ raw_is_deleted('job_skills') }} as is_deleted,
        {{ raw_loaded_at('job_skills') }} as loaded_at
    from source

),

-- Exact duplicates count once. Rows with the same key and load time are the same in every column,
-- which is tested on the source.
deduplicated as (

    select
        job_id,
        skill,
        max(is_deleted) as is_deleted,
        loaded_at
    from renamed
    group by job_id, skill, loaded_at

),

-- Without a load time, a skill is known with the first version of its job: known_at is NULL here,
-- and int_job__skills fills it.
final as (

    select
        job_id,
        skill,
        is_deleted,
        loaded_at,
        loaded_at as known_at,
        false as is_known_at_assumed
    from deduplicated

)

select * from final
