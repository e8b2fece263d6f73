{{ config(cluster_by=['category_id']) }}

-- One row per category that ever had a known job, at most 64: the code of the category. Codes are
-- in the order in which the first jobs of the categories became known. The list is append-only, so
-- that a code never changes its meaning and is never reused.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

job_versions as (

    select * from {{ ref('int_job__versions') }}

),

first_jobs as (

    select
        category_id,
        min(known_at) as known_at
    from job_versions
    where category_id is not null
    group by category_id

),

numbered as (

    select
        category_id,
        known_at,
        {{ refresh_at('known_at') }} as as_of_at,
        row_number()
            over (order by known_at asc nulls last, category_id asc nulls last)
            as category_code
    from first_jobs

),

final as (

    select
        numbered.category_id,
        numbered.as_of_at,
        {{ available_at('numbered.as_of_at') }} as available_at,
        numbered.category_code
    from numbered
    cross join clock
    where
        numbered.category_code <= 64
        and numbered.as_of_at <= clock.as_of_at
        and numbered.as_of_at > {{ opened_at() }}

)

select * from final
