{%- set horizon_days = 14 -%}
{%- set price_group_count = 10 -%}
-- One row per label model and group of jobs by outcome: the number of jobs whose label is due, and
-- how many of these jobs the label model excludes. The outcome is taken from the newest contract
-- versions instead of the label model, so that excluded jobs have an outcome too.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

requests as (

    select * from {{ ref('int_job__requests') }}

),

contract_versions as (

    select * from {{ ref('int_contract__versions') }}

),

first_contracts as (

    select * from {{ ref('int_job__first_contracts') }}

),

price_labels as (

    select * from {{ ref('int_job__price_label') }}

),

hire_labels as (

    select * from {{ ref('int_job__hire_label') }}

),

newest_contracts as (

    select
        contract_id,
        job_id,
        contracted_at,
        agreed_price_amount,
        is_deleted
    from contract_versions
    where superseded_at is null

),

-- Jobs without a price have no group, because they cannot have a label.
priced_jobs as (

    select
        requests.job_id,
        newest_contracts.agreed_price_amount as outcome,
        count(*) over () as job_count,
        row_number() over (
            order by
                newest_contracts.agreed_price_amount asc nulls last,
                requests.job_id asc nulls last
        ) as price_rank
    from requests
    inner join first_contracts
        on requests.job_id = first_contracts.job_id
    inner join newest_contracts
        on first_contracts.contract_id = newest_contracts.contract_id
    cross join clock
    where
        newest_contracts.agreed_price_amount > 0
        and {{ refresh_at(
            add_hours('first_contracts.first_known_at', var('price_label_lag_days') * 24)
        ) }} <= clock.as_of_at

),

grouped_jobs as (

    select
        job_id,
        outcome,
        1 + {{ whole_quotient(
            '(price_rank - 1) * ' ~ price_group_count, 'nullif(job_count, 0)'
        ) }} as outcome_group
    from priced_jobs

),

due_jobs as (

    select
        requests.job_id,
        {{ add_hours('requests.requested_at', horizon_days * 24) }} as horizon_at
    from requests
    cross join clock
    where
        {{ refresh_at(
            add_hours(
                'requests.requested_at', (horizon_days + var('hire_label_lag_days')) * 24
            )
        ) }} <= clock.as_of_at

),

hired_jobs as (

    select
        due_jobs.job_id,
        max(
            case
                when
                    not newest_contracts.is_deleted
                    and newest_contracts.contracted_at <= due_jobs.horizon_at
                    then 1
                else 0
            end
        ) as outcome
    from due_jobs
    left join newest_contracts
        on due_jobs.job_id = newest_contracts.job_id
    group by due_jobs.job_id

),

judged as (

    select
        'int_job__price_label' as label_model,
        grouped_jobs.outcome_group,
        grouped_jobs.outcome,
        case
            when price_labels.job_id is null or price_labels.exclusion_reason is not null then 1
            else 0
        end as is_excluded
    from grouped_jobs
    left join price_labels
        on grouped_jobs.job_id = price_labels.job_id
    union all
    select
        'int_job__hire_label' as label_model,
        hired_jobs.outcome as outcome_group,
        hired_jobs.outcome,
        case
            when hire_labels.job_id is null or hire_labels.exclusion_reason is not null then 1
            else 0
        end as is_excluded
    from hired_jobs
    left join hire_labels
        on hired_jobs.job_id = hire_labels.job_id

),

counted as (

    select
        label_model,
        outcome_group,
        min(outcome) as least_outcome,
        max(outcome) as greatest_outcome,
        count(*) as known_count,
        sum(is_excluded) as excluded_count
    from judged
    group by label_model, outcome_group

),

final as (

    select
        label_model,
        cast(outcome_group as bigint) as outcome_group,
        cast(least_outcome as bigint) as least_outcome,
        cast(greatest_outcome as bigint) as greatest_outcome,
        cast(known_count as bigint) as known_count,
        cast(excluded_count as bigint) as excluded_count,
        {{ ratio('excluded_count', 'known_count') }} as excluded_share
    from counted

)

select * from final
