{{ config(materialized='incremental', unique_key='job_id') }}

-- One row per spine row: the price its job was agreed at, as read from the versions known once the
-- label was, and frozen then; or why there is none. A job's second contract is no label. A run
-- takes the jobs that entered and those whose label became known.
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

-- A day more than the lag, for the rounding to refreshes.
touches as (

    select requests.job_id
    from requests
    where requests.entered_at > {{ opened_at('revised_at') }}
    union all
    select contract_versions.job_id
    from contract_versions
    where
        contract_versions.first_known_at
        > {{ add_hours(opened_at('revised_at'), '-24 * ' ~ (var('price_label_lag_days') + 1)) }}

),

touched_jobs as (

    select job_id
    from touches
    group by job_id

),

job_contracts as (

    select
        contract_versions.job_id,
        contract_versions.contract_id,
        min(contract_versions.first_known_at) as first_known_at
    from contract_versions
    inner join touched_jobs
        on contract_versions.job_id = touched_jobs.job_id
    group by contract_versions.job_id, contract_versions.contract_id

),

first_contracts as (

    select
        job_id,
        contract_id,
        first_known_at,
        {{ refresh_at(add_hours('first_known_at', var('price_label_lag_days') ~ ' * 24')) }}
            as label_known_at
    from job_contracts
    qualify row_number() over (
            partition by job_id order by first_known_at asc nulls last, contract_id asc nulls last
        ) = 1

),

labelled as (

    select
        requests.job_id,
        requests.requested_at,
        requests.entered_at,
        first_contracts.contract_id,
        first_contracts.first_known_at,
        case
            when
                first_contracts.label_known_at <= clock.as_of_at
                then first_contracts.label_known_at
        end
            as label_known_at
    from requests
    inner join touched_jobs
        on requests.job_id = touched_jobs.job_id
    cross join clock
    left join first_contracts
        on requests.job_id = first_contracts.job_id
    where
        requests.entered_at > {{ opened_at('revised_at') }}
        or (
            first_contracts.label_known_at > {{ opened_at('revised_at') }}
            and first_contracts.label_known_at <= clock.as_of_at
        )

),

with_contracts as (

    {{ pit_join(
        'labelled', 'contract_versions', 'contract_id', ['agreed_price_jpy', 'status', 'is_deleted', 'is_counted'],
        spine_at='label_known_at', features_at='seen_at'
    ) }}

),

contract_outcomes as (

    select
        job_id,
        requested_at,
        entered_at,
        first_known_at,
        label_known_at,
        agreed_price_jpy,
        status,
        is_deleted as is_contract_deleted,
        is_counted
    from with_contracts

),

outcomes as (

    {{ pit_join(
        'contract_outcomes', 'job_versions', 'job_id', ['is_deleted'],
        spine_at='label_known_at', features_at='seen_at'
    ) }}

),

judged as (

    select
        job_id,
        entered_at,
        label_known_at,
        agreed_price_jpy,
        case
            when label_known_at is null then 'label_not_yet_known'
            when is_deleted then 'job_deleted'
            -- Its own outcome could stand in the features of its own request.
            when first_known_at <= requested_at then 'label_known_before_request'
            when is_contract_deleted then 'contract_deleted'
            when status = 'void' then 'void'
            when status = 'cancelled' then 'cancelled'
            when
                not is_counted or agreed_price_jpy is null or agreed_price_jpy <= 0
                then 'price_missing'
        end as exclusion_reason
    from outcomes

),

final as (

    select
        job_id,
        {{ greatest_known('entered_at', 'label_known_at') }} as revised_at,
        label_known_at,
        case
            when exclusion_reason is null then {{ ratio(fixed_log('agreed_price_jpy'), '1000000') }}
        end as price_log,
        exclusion_reason
    from judged

)

select * from final
