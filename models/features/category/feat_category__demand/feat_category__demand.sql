{{ config(cluster_by=['category_id']) }}

-- One row per category and refresh at which the demand of the category changed: the jobs posted in
-- the last 90 days, the proposals for these jobs, and the number of jobs that were filled.
-- Proposals and fills leave with the job's posting at the latest, so that both ratios are over the
-- same jobs.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

proposal_versions as (

    select * from {{ ref('int_proposal__versions') }}

),

contract_versions as (

    select * from {{ ref('int_contract__versions') }}

),

first_contracts as (

    select * from {{ ref('int_job__first_contracts') }}

),

postings as (

    select
        requests.job_id,
        requests.category_id,
        requests.entered_at as enters_at,
        {{ leaves_at('cast(null as ' ~ type_instant() ~ ')', 'requests.requested_at', 90) }}
            as leaves_at,
        1 as posting_count
    from requests
    where requests.category_id is not null and {{ is_recent('requests.requested_at', 90) }}
        and {{ is_recent('requests.entered_at', 90) }}

),

proposals as (

    select
        postings.category_id,
        {{ greatest_known('proposal_versions.enters_at', 'postings.enters_at') }} as enters_at,
        {{ least_known('proposal_versions.superseded_at', 'postings.leaves_at') }} as leaves_at,
        1 as proposal_count
    from proposal_versions
    inner join postings
        on proposal_versions.job_id = postings.job_id
    where not proposal_versions.is_deleted

),

-- Only the first known contract of a job counts, because a job is filled once.
fills as (

    select
        postings.category_id,
        {{ greatest_known('contract_versions.enters_at', 'postings.enters_at') }} as enters_at,
        {{ least_known('contract_versions.superseded_at', 'postings.leaves_at') }} as leaves_at,
        1 as fill_count
    from contract_versions
    inner join first_contracts
        on contract_versions.contract_id = first_contracts.contract_id
    inner join postings
        on first_contracts.job_id = postings.job_id
    where contract_versions.is_counted

),

{{ running_sums('category_id', {
    'postings': ['posting_count'],
    'proposals': ['proposal_count'],
    'fills': ['fill_count'],
}) }},

states as (

    select
        category_id,
        as_of_at,
        posting_count as category_posting_count_90d,
        {{ ratio('proposal_count', 'posting_count') }} as category_proposals_per_posting_90d,
        {{ ratio('fill_count', 'posting_count') }} as category_fill_ratio_90d
    from running_sums

),

{{ changed_rows('category_id', [
    'category_posting_count_90d', 'category_proposals_per_posting_90d', 'category_fill_ratio_90d',
], 'states') }}

select * from final
