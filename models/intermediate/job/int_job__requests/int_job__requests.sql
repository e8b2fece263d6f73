{{ config(materialized='incremental') }}

-- The spine: one row per job, its first version as posted. These columns are the request schema:
-- what the online handler is given. A job enters at the first refresh at which it was known and had
-- been posted, and never changes after.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

jobs as (

    select * from {{ ref('stg_dwh__jobs') }}

),

-- Both bounds are refreshes, so a row enters after the opening exactly when it was known or posted
-- after it.
new_versions as (

    select
        jobs.job_id,
        jobs.known_at,
        jobs.loaded_at
    from jobs
    cross join clock
    {%- if is_incremental() %}
    left join {{ this }} as built
        on jobs.job_id = built.job_id
    {%- endif %}
    where
        jobs.known_at <= clock.as_of_at
        {%- if is_incremental() %}
        and built.job_id is null
        {%- endif %}

),

first_versions as (

    select
        job_id,
        known_at,
        loaded_at
    from new_versions
    qualify row_number()
        over (partition by job_id order by known_at asc nulls last, loaded_at asc nulls last)
        = 1

),

entered as (

    select
        jobs.job_id,
        jobs.client_id,
        jobs.category_id,
        jobs.title,
        jobs.description,
        jobs.job_type,
        jobs.budget_min_jpy,
        jobs.budget_max_jpy,
        jobs.apply_deadline_at,
        jobs.posted_at as requested_at,
        jobs.known_at,
        {{ enters_at(refresh_at('jobs.known_at'), 'jobs.posted_at') }} as entered_at,
        jobs.is_known_at_assumed
    from jobs
    inner join first_versions
        on
            jobs.job_id = first_versions.job_id
            and jobs.known_at = first_versions.known_at
            and jobs.loaded_at = first_versions.loaded_at

),

final as (

    select
        entered.job_id,
        entered.client_id,
        entered.category_id,
        entered.title,
        entered.description,
        entered.job_type,
        entered.budget_min_jpy,
        entered.budget_max_jpy,
        entered.apply_deadline_at,
        entered.requested_at,
        entered.known_at,
        entered.entered_at,
        entered.is_known_at_assumed
    from entered
    cross join clock
    where entered.entered_at <= clock.as_of_at

)

select * from final
