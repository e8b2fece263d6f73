{{ config(cluster_by=['category_id']) }}

-- One row per category and refresh at which its demand changed: the jobs posted in it in the last
-- 90 days, what was offered for them, and how many of them were given away. All three facts leave
-- with their posting, so that the ratios are over one set of jobs. A run recounts the facts still
-- in the window, with those that entered before standing at the opening, and keeps what comes
-- after.
with clock as (

    select * from {{ ref('int_mart__clock') }}

),

requests as (

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

bounds as (

    select
        clock.as_of_at,
        {{ opened_at() }} as opened_at
    from clock

),

postings as (

    select
        requests.job_id,
        requests.category_id,
        requests.requested_at,
        requests.entered_at,
        {{ leaves_at('cast(null as ' ~ type_instant() ~ ')', 'requests.requested_at', 90) }}
            as leaves_at
    from requests
    where requests.category_id is not null and {{ is_recent('requests.requested_at', 90) }}
        and {{ is_recent('requests.entered_at', 90) }}

),

facts as (

    select
        category_id,
        entered_at as enters_at,
        leaves_at,
        1 as posting_count,
        0 as proposal_count,
        0 as fill_count
    from postings
    union all
    select
        postings.category_id,
        {{ greatest_known('proposal_versions.enters_at', 'postings.entered_at') }} as enters_at,
        {{ least_known('proposal_versions.superseded_at', 'postings.leaves_at') }} as leaves_at,
        0 as posting_count,
        1 as proposal_count,
        0 as fill_count
    from proposal_versions
    inner join postings
        on proposal_versions.job_id = postings.job_id
    where not proposal_versions.is_deleted
    union all
    -- Of a job's contracts the first known alone, so that a job is filled once.
    select
        postings.category_id,
        {{ greatest_known('contract_versions.enters_at', 'postings.entered_at') }} as enters_at,
        {{ least_known('contract_versions.superseded_at', 'postings.leaves_at') }} as leaves_at,
        0 as posting_count,
        0 as proposal_count,
        1 as fill_count
    from contract_versions
    inner join first_contracts
        on contract_versions.contract_id = first_contracts.contract_id
    inner join postings
        on first_contracts.job_id = postings.job_id
    where contract_versions.is_counted

),

open_facts as (

    select
        facts.category_id,
        {{ greatest_known('facts.enters_at', 'bounds.opened_at') }} as enters_at,
        case when facts.leaves_at <= bounds.as_of_at then facts.leaves_at end as leaves_at,
        facts.posting_count,
        facts.proposal_count,
        facts.fill_count
    from facts
    cross join bounds
    where
        facts.enters_at <= bounds.as_of_at
        and facts.leaves_at > bounds.opened_at
        and facts.enters_at < facts.leaves_at

),

moves as (

    select
        category_id,
        enters_at as as_of_at,
        posting_count,
        proposal_count,
        fill_count
    from open_facts
    union all
    select
        category_id,
        leaves_at as as_of_at,
        -posting_count as posting_count,
        -proposal_count as proposal_count,
        -fill_count as fill_count
    from open_facts
    where leaves_at is not null

),

deltas as (

    select
        category_id,
        as_of_at,
        sum(posting_count) as posting_count,
        sum(proposal_count) as proposal_count,
        sum(fill_count) as fill_count
    from moves
    group by category_id, as_of_at

),

summed as (

    select
        category_id,
        as_of_at,
        cast(sum(posting_count) over running as bigint) as posting_count,
        cast(sum(proposal_count) over running as bigint) as proposal_count,
        cast(sum(fill_count) over running as bigint) as fill_count
    from deltas
    window running as (
        partition by category_id
        order by as_of_at asc nulls last rows between unbounded preceding and current row
    )

),

states as (

    select
        category_id,
        as_of_at,
        posting_count as category_posting_count_90d,
        {{ ratio('proposal_count', 'posting_count') }} as category_proposals_per_posting_90d,
        {{ ratio('fill_count', 'posting_count') }} as category_fill_ratio_90d
    from summed

),

changes as (

    select
        category_id,
        as_of_at,
        category_posting_count_90d,
        category_proposals_per_posting_90d,
        category_fill_ratio_90d,
        {{ is_changed(
            counts=['category_posting_count_90d'],
            values=['category_proposals_per_posting_90d', 'category_fill_ratio_90d'],
            partition_by='category_id',
            order_by='as_of_at asc nulls last'
        ) }} as is_changed
    from states

),

final as (

    select
        changes.category_id,
        changes.as_of_at,
        {{ available_at('changes.as_of_at') }} as available_at,
        changes.category_posting_count_90d,
        changes.category_proposals_per_posting_90d,
        changes.category_fill_ratio_90d
    from changes
    cross join bounds
    where changes.is_changed and changes.as_of_at > bounds.opened_at

)

select * from final
