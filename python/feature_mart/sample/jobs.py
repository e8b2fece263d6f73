"""Build the SQL of the sample's job postings: facts about each job, and the tables jobs and job_skills."""

from __future__ import annotations

from itertools import chain

from feature_mart.sample.draws import (
    DAY,
    HOUR,
    bell,
    below,
    chance,
    copies,
    is_shown,
    number_list,
    row_seed,
    second_of_day,
    seconds_of,
    shown_load,
    streamed_load,
    uniform,
    waiting,
    word_list,
)
from feature_mart.sample.members import client_count, client_id, client_of, members_there
from feature_mart.sample.shares import DAYS, ENDS_AT, FIRST_WEEKDAY, SHARES
from feature_mart.sample.titles import description, title
from feature_mart.sample.words import FIELDS, MONTHLY_HOURS, PARTS, PREFIXES

WORKS = [work for field in FIELDS for work in field.works]
#: At the end there are 1 + _GROWTH times as many postings a day as at the start.
_GROWTH = 2.0
_NOISE = 0.42


def facts(jobs: int) -> str:
    """Return the SELECT of facts about jobs, one row per job, from which the other tables are drawn.

    Times are in seconds since `STARTS_AT`, durations in seconds. The log price is the sum of noise and of the effects
    of category, quantity, number of parts, skills, prefix of the title, client and trend.
    """
    quantities = number_list(list(chain.from_iterable(work.quantities for work in WORKS)))
    usual = number_list([work.quantities[3] for work in WORKS])
    effects = number_list([effect for field in FIELDS for _, effect in field.skills])
    skills = " + ".join(
        f"case when skill_count > {n} then {effects}[1 + category // 4 * 8 + (first_skill + {3 * n}) % 8] else 0 end"
        for n in range(4)
    )
    return f"""
    with numbered as (
        select i, {row_seed("i", "job")} as h from range({jobs}) as numbers (i)
    ),
    dated as (
        -- The number of postings until the fraction x of the days is proportional to x + growth x² / 2.
        -- This expression is the inverse function.
        select i, h, least({DAYS - 1}, floor({DAYS} * (sqrt(1 + (i + {uniform("posted")}) / {jobs}
            * {_GROWTH * (2 + _GROWTH)}) - 1) / {_GROWTH}))::bigint as day
        from numbered
    ),
    timed as (
        -- Move most postings that fall on a weekend to the Friday before.
        select i, h, case
            when (day + {FIRST_WEEKDAY}) % 7 < 5 or not {chance("weekday", 0.7)} then day
            when day < 2 then day + 2
            else day - ((day + {FIRST_WEEKDAY}) % 7 - 4) end * {DAY} as midnight
        from dated
    ),
    posted as (
        select i, h, greatest(0, midnight + case
            when {chance("at midnight", SHARES["posted_at_midnight"])} then 0
            else {second_of_day("posted", SHARES["posted_round_midnight"])} end) as posted
        from timed
    ),
    met as (
        select i, h, posted, {members_there(client_count(jobs), f"posted // {DAY}")} as there from posted
    ),
    owned as (
        select i, h, posted, {client_of("there")} as client from met
    ),
    known as (
        select *, {row_seed("client", "client")} as client_h from owned
    ),
    sorted as (
        -- 5 and 32 are coprime, so the factor 5 spreads the popular categories over all parents.
        select *, 5 * floor(32 * power(case when {chance("at home", 0.6)} then {uniform("home", "client_h")}
            else {uniform("category")} end, 1.4))::bigint % 32 as category,
            {chance("hourly", SHARES["job_hourly"])} as is_hourly,
            {below("prefix", len(PREFIXES))} as prefix,
            least(4, floor(5 * {uniform("skills")}))::bigint as skill_count,
            {below("first skill", 8)} as first_skill,
            {below("quantity", 8)} as size
        from known
    ),
    sized as (
        select *, case when is_hourly then {number_list(MONTHLY_HOURS)}[1 + size]
                else {quantities}[1 + category * 8 + size] end as quantity,
            case when is_hourly or not {[work.has_parts for work in WORKS]}[1 + category] then 1
                else {number_list(PARTS)}[1 + {below("parts", 8)}] end as parts
        from sorted
    ),
    expected as (
        select *,
            ln({number_list([work.yen for work in WORKS])}[1 + category])
            + 0.75 * ln((quantity + 0.0) / case when is_hourly then 40 else {usual}[1 + category] end)
            + 0.85 * ln(parts + 0.0)
            + {skills}
            + {number_list([effect for _, effect in PREFIXES])}[1 + prefix]
            + 0.60 * {bell("pays", "client_h")}
            + ({number_list([work.trend for work in WORKS])}[1 + category] + 0.03) * (posted / {365.25 * DAY})
                as expected_log,
            {_NOISE} * {bell("noise")} as noise_log,
            case when not {chance("no deadline", SHARES["deadline_missing"])}
                then (posted // {DAY} + 3 + {below("deadline", 26)}) * {DAY} + {DAY - 1} end as deadline,
            {uniform("budget kind")} as budget_kind,
            least(15, floor(3.5 * {waiting("offers")}))::bigint as offers
        from sized
    ),
    hired as (
        select * exclude (client_h), case when {uniform("contracted")} < least(0.95, greatest(0.10,
                {SHARES["job_contracted"]} + 0.15 * {bell("hires", "client_h")}
                - case when budget_kind < {SHARES["budget_missing"]} then 0.06 else -0.02 end
                + case when deadline is null then -0.05 else 0 end))
            then {2 * HOUR} + floor({6 * DAY} * {waiting("contracted after")})::bigint end as hired_after
        from expected
    )
    select * from hired"""


def jobs() -> str:
    """Return the SELECT of jobs, with one row per version: posted, extended, closed or deleted."""
    late = SHARES["loaded_late"]
    moved = f"{chance('moved', SHARES['job_deadline_moved'])} and deadline is not null"
    end = seconds_of(ENDS_AT)
    centre = f"exp(expected_log + 0.3 * noise_log + 0.45 * {bell('budget')})"
    slugs = word_list([f"{field.slug}-{work.slug}" for field in FIELDS for work in field.works])
    parents = word_list([field.slug for field in FIELDS])
    only_max = SHARES["budget_missing"] + SHARES["budget_only_max"]
    only_min = only_max + SHARES["budget_only_min"]
    return f"""
    with sent as (
        select *, {streamed_load("posted", "posting", late)} as sent from job_facts
    ),
    loaded as (
        -- Every job is loaded by the end: a later load is moved to a random time before the end.
        select *, case when sent <= {end} then sent
            else posted + floor(({end} - posted) * {uniform("in time")})::bigint end as load_1
        from sent
    ),
    moved as (
        select *, case when {moved}
            then greatest(load_1 + 60, deadline - {below("moved before", 3 * DAY)}) end as load_2
        from loaded
    ),
    closed as (
        select *, case when {chance("closed", SHARES["job_closed"])} then greatest(coalesce(load_2, load_1) + 60,
            {streamed_load(f"coalesce(posted + hired_after, deadline, posted + {30 * DAY})", "closing", late)}) end
            as load_3
        from moved
    ),
    deleted as (
        select *, case when {chance("deleted", SHARES["job_deleted"])} then greatest(
            coalesce(load_3, load_2, load_1) + 60, load_1 + {below("deleted after", 40 * DAY)}) end as load_4
        from closed
    ),
    versions as (
        select *, unnest([1] || case when load_2 is null then [] else [2] end || case when load_3 is null then []
            else [3] end || case when load_4 is null then [] else [4] end) as version
        from deleted
    ),
    followed as (
        select * exclude (sent, load_1, load_2, load_3, load_4),
            case version when 1 then load_1 when 2 then load_2 when 3 then load_3 else load_4 end as load,
            case version when 1 then coalesce(load_2, load_3, load_4) when 2 then coalesce(load_3, load_4)
                when 3 then load_4 end as next_load,
            version >= 2 and load_2 is not null as is_moved,
            version >= 3 and load_3 is not null as is_closed
        from versions
    ),
    shown as (
        select *, (category + case when version > 1 and {chance("recategorised", SHARES["job_recategorised"])}
            then 1 else 0 end) % 32 as shown_category
        from followed where {is_shown("load", "next_load")}
    ),
    repeated as (
        select *, {copies("copy", "version", SHARES["exact_duplicate"])} from shown
    ),
    written as (
        select *, {title()} as title, {description()} as description, {centre} as budget from repeated
    )
    select {job_id()} as job_id, {client_id("client")} as client_id,
        case when {chance("no category", SHARES["category_missing"])} then null
            when {chance("parent category", SHARES["category_is_parent"])} then {parents}[1 + shown_category // 4]
            else {slugs}[1 + shown_category] end as category_id,
        title, description,
        case when is_hourly then 'hourly' else 'fixed' end as job_type,
        case when budget_kind >= {only_max} then round_yen(budget * 0.75) end::decimal(18, 2) as budget_min,
        case when budget_kind between {SHARES["budget_missing"]} and {only_max} or budget_kind >= {only_min}
            then round_yen(budget * 1.25) end::decimal(18, 2) as budget_max,
        'JPY' as currency,
        instant(posted) as posted_at,
        case when deadline is not null then instant(deadline + case when is_moved
            then {DAY} * (3 + {below("moved by", 12)}) else 0 end) end as apply_deadline_at,
        case when is_closed then 'closed' else 'open' end as status,
        version = 4 as is_deleted,
        {shown_load("load")} as loaded_at
    from written"""


def job_skills() -> str:
    """Return the SELECT of job skills: 0 to 4 skills per job, a few of them listed twice."""
    names = word_list([name for field in FIELDS for name, _ in field.skills])
    return f"""
    with listed as (
        select i, h, category, first_skill, unnest(range(skill_count)) as n from job_facts
    ),
    repeated as (
        select *, {copies("listed", "n", SHARES["skill_listed_twice"])} from listed
    )
    select {job_id()} as job_id, {names}[1 + category // 4 * 8 + (first_skill + 3 * n) % 8] as skill
    from repeated"""


def job_id(number: str = "i") -> str:
    """Return an expression for the id of the job with the number ``number``."""
    return f"'J' || lpad(({number})::varchar, 8, '0')"
