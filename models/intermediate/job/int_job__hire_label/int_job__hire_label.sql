{{ config(materialized='incremental', unique_key='job_id', cluster_by=['job_id']) }}

{%- set horizon_days = 14 -%}
-- One row per spine row: whether somebody was hired within 14 days of the request. The label is
-- read from the versions known when the 14 days and the lag have passed, for positives and
-- negatives alike, and is then frozen. A run processes the jobs that entered and the jobs whose
-- label became known.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

requests as (

    select * from {{ ref('int_job__requests') }}

),

job_versions as (

    select * from {{ ref('int_job__versions') }}

),

contract_versions as (

    select * from {{ ref('int_contract__versions') }}

),

due_requests as (

    select
        requests.job_id,
        requests.requested_at,
        requests.entered_at,
        {{ add_hours('requests.requested_at', horizon_days * 24) }} as horizon_at,
        {{ refresh_at(
            add_hours(
                'requests.requested_at', (horizon_days + var('hire_label_lag_days')) * 24
            )
        ) }} as label_known_at
    from requests
    -- Labels that were due before the watermark are final. The two extra days cover the time zone
    -- and the distance between refreshes.
    where
        requests.entered_at
        > {{ add_hours(
            opened_at('revised_at'),
            '-24 * ' ~ (horizon_days + var('hire_label_lag_days') + 2)
        ) }}

),

labelled as (

    select
        due_requests.job_id,
        due_requests.requested_at,
        due_requests.entered_at,
        due_requests.horizon_at,
        case
            when due_requests.label_known_at <= clock.as_of_at then due_requests.label_known_at
        end as label_known_at
    from due_requests
    cross join clock
    where
        due_requests.entered_at > {{ opened_at('revised_at') }}
        or (
            due_requests.label_known_at > {{ opened_at('revised_at') }}
            and due_requests.label_known_at <= clock.as_of_at
        )

),

job_contracts as (

    select
        labelled.job_id,
        labelled.requested_at,
        labelled.horizon_at,
        labelled.label_known_at,
        contract_versions.contract_id,
        min(contract_versions.first_known_at) as first_known_at
    from labelled
    inner join contract_versions
        on labelled.job_id = contract_versions.job_id
    where labelled.label_known_at is not null
    group by
        labelled.job_id,
        labelled.requested_at,
        labelled.horizon_at,
        labelled.label_known_at,
        contract_versions.contract_id

),

with_contracts as (

    {{ pit_join(
        'job_contracts', 'contract_versions', 'contract_id',
        ['contracted_at', 'status', 'is_deleted'],
        spine_at='label_known_at', features_at='seen_at'
    ) }}

),

contract_outcomes as (

    select
        job_id,
        requested_at,
        first_known_at,
        status is not null and status = 'void' as is_void,
        not is_deleted and contracted_at <= horizon_at as is_in_time
    from with_contracts

),

hires as (

    select
        job_id,
        max(case when is_in_time and not is_void then 1 else 0 end) as is_hired,
        max(case when is_in_time and is_void then 1 else 0 end) as is_voided,
        max(case when first_known_at <= requested_at then 1 else 0 end) as is_known_before
    from contract_outcomes
    group by job_id

),

with_jobs as (

    {{ pit_join(
        'labelled', 'job_versions', 'job_id', ['is_deleted'],
        spine_at='label_known_at', features_at='seen_at'
    ) }}

),

judged as (

    select
        with_jobs.job_id,
        with_jobs.entered_at,
        with_jobs.label_known_at,
        coalesce(hires.is_hired, 0) as is_hired,
        case
            when with_jobs.label_known_at is null then 'label_not_yet_known'
            when with_jobs.is_deleted then 'job_deleted'
            -- The outcome could be contained in the features of the job's own request.
            when hires.is_known_before = 1 then 'label_known_before_request'
            -- It is unknown whether a void contract was a hire.
            when hires.is_hired = 0 and hires.is_voided = 1 then 'void'
        end as exclusion_reason
    from with_jobs
    left join hires
        on with_jobs.job_id = hires.job_id

),

final as (

    select
        job_id,
        {{ greatest_known('entered_at', 'label_known_at') }} as revised_at,
        label_known_at,
        cast(case when exclusion_reason is null then is_hired end as bigint) as is_hired_within_14d,
        exclusion_reason
    from judged

)

select * from final
