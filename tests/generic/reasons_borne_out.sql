{#- Fail on excluded labels whose reason holds for no version of the job or of a contract that ever
    belonged to the job: such a label was excluded for another reason than the stated one. Other
    reasons than those in `judged` pass, because the test knows no condition for them. -#}
{% test reasons_borne_out(model) %}
{{ config(meta={
    'message': 'a label is excluded for a reason that no known version of the job confirms',
    'fix': 'give a new exclusion its own reason, and never exclude by the label',
    'shows_rows': true,
}) }}
with labels as (

    select * from {{ model }}

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

deleted_jobs as (

    select job_id
    from job_versions
    where is_deleted
    group by job_id

),

-- One row per job and contract that ever belonged to the job; a contract may move to another job.
job_contracts as (

    select
        job_id,
        contract_id
    from contract_versions
    group by job_id, contract_id

),

job_facts as (

    select
        job_contracts.job_id,
        min(contract_versions.first_known_at) as first_known_at,
        max(case when contract_versions.status = 'void' then 1 else 0 end) as is_void,
        max(case when contract_versions.status = 'cancelled' then 1 else 0 end) as is_cancelled,
        max(case when contract_versions.is_deleted then 1 else 0 end) as is_contract_deleted,
        max(
            case
                when
                    contract_versions.is_counted
                    and coalesce(contract_versions.agreed_price_amount, 0) > 0
                    then 0
                else 1
            end
        ) as is_price_missing
    from job_contracts
    inner join contract_versions
        on job_contracts.contract_id = contract_versions.contract_id
    group by job_contracts.job_id

),

judged as (

    select
        labels.job_id,
        labels.exclusion_reason,
        case labels.exclusion_reason
            when 'job_deleted' then deleted_jobs.job_id is not null
            when 'label_known_before_request' then job_facts.first_known_at <= requests.requested_at
            when 'contract_deleted' then job_facts.is_contract_deleted = 1
            when 'void' then job_facts.is_void = 1
            when 'cancelled' then job_facts.is_cancelled = 1
            when 'price_missing' then job_facts.is_price_missing = 1
            else true
        end as is_borne_out
    from labels
    left join requests on labels.job_id = requests.job_id
    left join deleted_jobs on labels.job_id = deleted_jobs.job_id
    left join job_facts on labels.job_id = job_facts.job_id
    where labels.exclusion_reason is not null

)

select
    job_id,
    exclusion_reason
from judged
where not coalesce(is_borne_out, false)
{% endtest %}
