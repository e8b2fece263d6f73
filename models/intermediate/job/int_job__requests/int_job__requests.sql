{{ config(materialized='incremental', cluster_by=['job_id']) }}

{%- set first_to_enter -%}
select coalesce(min(job_versions.first_known_at), {{ opened_at('entered_at') }}) as found_at
from {{ ref('int_job__versions') }} as job_versions
where
    job_versions.first_seen_at > {{ opened_at('entered_at') }}
    or job_versions.first_posted_at > {{ opened_at('entered_at') }}
{%- endset -%}

-- The spine: one row per job, with its first version as posted. These columns are the schema of an
-- online request. A job enters at the first refresh at which it was known and posted, and never
-- changes afterwards.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

jobs as (

    select * from {{ ref('stg_dwh__jobs') }}

),

job_versions as (

    select * from {{ ref('int_job__versions') }}

),

first_versions as (

    select
        job_versions.job_id,
        job_versions.first_known_at,
        job_versions.first_loaded_at,
        {{ enters_at('job_versions.first_seen_at', 'job_versions.first_posted_at') }} as entered_at
    from job_versions
    where
        job_versions.seen_at = job_versions.first_seen_at
        and (
            job_versions.first_seen_at > {{ opened_at('entered_at') }}
            or job_versions.first_posted_at > {{ opened_at('entered_at') }}
        )

),

entering as (

    select
        first_versions.job_id,
        first_versions.first_known_at,
        first_versions.first_loaded_at,
        first_versions.entered_at
    from first_versions
    cross join clock
    where
        first_versions.entered_at > {{ opened_at('entered_at') }}
        and first_versions.entered_at <= clock.as_of_at

),

-- A job that is announced in advance is known before the watermark and posted after the watermark.
-- An incremental run therefore reads from the earliest known_at of the jobs that have not entered,
-- not from the watermark.
entered as (

    select
        jobs.job_id,
        jobs.client_id,
        jobs.category_id,
        jobs.title,
        jobs.description,
        jobs.job_type,
        jobs.budget_min_amount,
        jobs.budget_max_amount,
        jobs.apply_deadline_at,
        jobs.posted_at as requested_at,
        jobs.known_at,
        entering.entered_at,
        jobs.is_known_at_assumed
    from jobs
    inner join entering
        on
            jobs.job_id = entering.job_id
            and jobs.known_at = entering.first_known_at
            and jobs.loaded_at = entering.first_loaded_at
    {%- if is_incremental() %}
    where jobs.known_at >= {{ scalar_instant(first_to_enter) }}
    {%- endif %}

),

final as (

    select
        entered.job_id,
        entered.client_id,
        entered.category_id,
        entered.title,
        entered.description,
        entered.job_type,
        entered.budget_min_amount,
        entered.budget_max_amount,
        entered.apply_deadline_at,
        entered.requested_at,
        entered.known_at,
        entered.entered_at,
        entered.is_known_at_assumed
    from entered

)

select * from final
