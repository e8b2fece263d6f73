{{ config(materialized='incremental', unique_key='job_id', cluster_by=['job_id']) }}

-- One row per spine row: the log of the job's agreed price, read from the versions known when the
-- label became known, and then frozen; or the reason why there is no label. Only the contract that
-- was known first sets the label. A run processes the jobs that entered and the jobs whose label
-- became known.
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

contracts as (

    select * from {{ ref('int_job__first_contracts') }}

),

first_contracts as (

    select
        contracts.job_id,
        contracts.contract_id,
        contracts.first_known_at,
        {{ refresh_at(
            add_hours('contracts.first_known_at', var('price_label_lag_days') * 24)
        ) }} as label_known_at
    from contracts

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
        'labelled', 'contract_versions', 'contract_id', ['agreed_price_amount', 'status', 'is_deleted', 'is_counted'],
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
        agreed_price_amount,
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
        agreed_price_amount,
        case
            when label_known_at is null then 'label_not_yet_known'
            when is_deleted then 'job_deleted'
            -- The outcome could be contained in the features of the job's own request.
            when first_known_at <= requested_at then 'label_known_before_request'
            when is_contract_deleted then 'contract_deleted'
            when status = 'void' then 'void'
            when status = 'cancelled' then 'cancelled'
            when
                not is_counted or agreed_price_amount is null or agreed_price_amount <= 0
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
            when
                exclusion_reason is null
                then {{ ratio(fixed_log('agreed_price_amount'), '1000000') }}
        end as price_log,
        exclusion_reason
    from judged

)

select * from final
