{{ config(cluster_by=['job_id']) }}

-- One row per spine row: features of the posting, computed from the request alone.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

skills as (

    select * from {{ ref('int_job__skills') }}

),

skill_counts as (

    select
        job_id,
        count(*) as skill_count
    from skills
    where entered_at > {{ opened_at('entered_at') }}
    group by job_id

),

budgets as (

    select
        job_id,
        requested_at,
        entered_at,
        title,
        description,
        apply_deadline_at,
        budget_min_amount is null and budget_max_amount is null as is_budget_missing,
        {{ fixed_log('coalesce(budget_max_amount, budget_min_amount)') }} as budget_log_e6,
        {{ fixed_log('budget_max_amount') }}
        - {{ fixed_log('budget_min_amount') }} as budget_span_log_e6
    from requests
    where entered_at > {{ opened_at('entered_at') }}

),

final as (

    select
        budgets.job_id,
        budgets.requested_at,
        budgets.entered_at,
        length(budgets.title) as job_title_char_count,
        length(budgets.description) as job_description_char_count,
        {{ ratio('budgets.budget_log_e6', '1000000') }} as job_budget_log,
        {{ ratio('budgets.budget_span_log_e6', '1000000') }} as job_budget_span_log,
        cast(case when budgets.is_budget_missing then 1 else 0 end as bigint) as is_budget_missing,
        cast(case when budgets.description is null then 1 else 0 end as bigint)
            as is_description_missing,
        cast(case when budgets.apply_deadline_at is null then 1 else 0 end as bigint)
            as is_deadline_missing,
        {{ days_between('budgets.requested_at', 'budgets.apply_deadline_at') }}
            as job_deadline_days,
        {{ local_hour('budgets.requested_at') }} as job_posted_hour,
        {{ local_weekday('budgets.requested_at') }} as job_posted_weekday,
        coalesce(skill_counts.skill_count, 0) as job_skill_count
    from budgets
    left join skill_counts
        on budgets.job_id = skill_counts.job_id

)

select * from final
