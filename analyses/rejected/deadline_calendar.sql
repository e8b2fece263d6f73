-- One row per spine row: calendar features of the job's deadline, computed from the request alone,
-- such as the log of the days, the working days, and the weekday of the deadline.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

-- All columns are NULL if the deadline is missing or before the posting.
deadlines as (

    select
        job_id,
        {{ days_between('requested_at', 'apply_deadline_at') }} as deadline_days,
        {{ local_weekday('requested_at') }} as posted_weekday,
        {{ local_weekday('apply_deadline_at') }} as deadline_weekday,
        {{ local_hour('requested_at') }} as posted_hour,
        {{ local_hour('apply_deadline_at') }} as deadline_hour
    from requests
    where apply_deadline_at >= requested_at

),

-- The number of midnights from the request to the deadline. The hours ignore the minutes, an error
-- of less than an hour, which is removed by the rounding to days.
calendar as (

    select
        job_id,
        deadline_days,
        posted_weekday,
        deadline_weekday,
        cast(round(deadline_days + (posted_hour - deadline_hour) / 24.0) as bigint) as midnights
    from deadlines

),

-- Days are counted from the Monday of the request's week; each week has five working days.
counted as (

    select
        job_id,
        deadline_days,
        deadline_weekday,
        midnights,
        posted_weekday + midnights as deadline_number,
        case when posted_weekday > 5 then 5 else posted_weekday end as upto_posted
    from calendar

),

working_days as (

    select
        job_id,
        deadline_days,
        deadline_weekday,
        midnights,
        upto_posted,
        {{ whole_quotient('deadline_number', '7') }} * 5
        + case when mod(deadline_number, 7) > 5 then 5 else mod(deadline_number, 7) end
            as upto_deadline,
        case when deadline_weekday >= 6 then 1 else 0 end as is_on_weekend
    from counted

),

final as (

    select
        requests.job_id,
        {{ ratio(fixed_log('working_days.deadline_days'), '1000000') }} as job_deadline_days_log,
        working_days.midnights as job_deadline_midnight_count,
        working_days.upto_deadline - working_days.upto_posted as job_deadline_working_day_count,
        working_days.deadline_weekday as job_deadline_weekday,
        working_days.is_on_weekend as is_deadline_on_weekend
    from requests
    left join working_days
        on requests.job_id = working_days.job_id

)

select * from final
