"""The sample's tables as SQL: each row a function of its number and the seed.

Randomness is DuckDB's own hash of (row number, what it is for, seed), so that a row needs no other
row and no order. The price has a structure that history can learn: log price = category + skills +
quantity + client + trend + noise.
"""

from __future__ import annotations

from feature_mart.sample.words import (
    EMOJI,
    ENGLISH,
    PREFECTURES,
    PREFIXES,
    SKILLS,
    SUFFIXES,
    WORK,
)

#: Postings lie between these; nothing is loaded after the second. 00:00 in Tokyo.
STARTS_AT = "2023-03-31 15:00:00+00"
ENDS_AT = "2026-03-31 15:00:00+00"
#: The warehouse was opened half a year in, with one load of all that had happened before.
BULK_LOADED_AT = "2023-09-30 17:00:00+00"
TRUSTED_FROM = "2023-09-30 18:00:00+00"

#: Lines for seeds/load_clock.csv: table, trusted_from, assumed_lag_hours, note.
LOAD_CLOCK = tuple(
    (table, TRUSTED_FROM, 24, "the sample's warehouse was opened with one bulk load")
    for table in ("clients", "contracts", "freelancers", "jobs", "proposals", "reviews")
)

#: How much of each kind of dirt there is, as a share of the rows that can have it.
SHARES = {
    "loaded_late": 0.10,
    "loaded_within_minutes": 0.05,
    "exact_duplicate": 0.004,
    "posted_round_midnight": 0.04,
    "title_missing": 0.005,
    "title_english": 0.08,
    "title_full_width": 0.15,
    "title_emoji": 0.03,
    "description_missing": 0.015,
    "description_html": 0.10,
    "category_missing": 0.02,
    "budget_missing": 0.25,
    "budget_one_sided": 0.15,
    "deadline_missing": 0.10,
    "job_deadline_moved": 0.12,
    "job_recategorised": 0.01,
    "job_deleted": 0.01,
    "job_contracted": 0.60,
    "job_contracted_twice": 0.03,
    "contract_future_dated": 0.01,
    "contract_repriced": 0.04,
    "contract_cancelled": 0.06,
    "contract_void": 0.015,
    "proposal_withdrawn": 0.01,
    "review_by_client": 0.75,
    "review_by_freelancer": 0.45,
    "registration_unknown": 0.08,
}

_LEAVES = [(parent, *leaf) for parent, leaves in WORK.items() for leaf in leaves]


def _words(values: list[str]) -> str:
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"[{quoted}]"


#: Macros and tables that the raw tables are selected from.
FOUNDATION = [
    # Uniform in [0, 1), from the top 53 bits.
    "create macro u(i, what) as "
    "cast(hash(i, what, getvariable('seed')) >> 11 as double) / 9007199254740992.0",
    # Standard normal, Box and Muller; 1 - u is never 0.
    "create macro normal(i, what) as "
    "sqrt(-2 * ln(1 - u(i, what))) * cos(2 * pi() * u(i, concat(what, ' angle')))",
    "create macro pick(words, x) as words[1 + cast(floor(x * len(words)) as integer)]",
    # Full width: digits, capitals and a few signs.
    "create macro full_width(t) as translate(t, '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ() ', "
    "'０１２３４５６７８９ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ（）　')",
    # The next nightly load, 02:00 in Tokyo (17:00 UTC); some come within minutes, some days late.
    f"""create macro natural_load(i, what, moment) as case
        when u(i, concat(what, ' load')) < {SHARES["loaded_within_minutes"]} then moment + interval 10 minute
        else date_trunc('day', moment + interval 7 hour) + interval 17 hour
            + to_days(case when u(i, concat(what, ' load')) > {1 - SHARES["loaded_late"]}
                then 1 + cast(floor(4 * u(i, concat(what, ' days'))) as integer) else 0 end)
        end""",
    f"create macro visible(load) as greatest(load, timestamptz '{BULK_LOADED_AT}')",
    f"""create table leaves as select unnest(range({len(_LEAVES)})) as leaf,
        unnest({_words([leaf[0] for leaf in _LEAVES])}) as parent,
        unnest({_words([leaf[1] for leaf in _LEAVES])}) as noun,
        unnest({_words([leaf[2] for leaf in _LEAVES])}) as unit""",
    # One row a job, with all that its other tables need.
    f"""create table job_seeds as
    with placed as (
        select i,
            least(cast(floor({len(_LEAVES)} * power(u(i, 'leaf'), 1.6)) as integer), {len(_LEAVES) - 1}) as leaf,
            cast(floor(greatest(1, getvariable('jobs') // 16) * power(u(i, 'client'), 2.2)) as bigint) as client,
            cast(floor(5 * u(i, 'skills')) as integer) as skill_count,
            1 + cast(floor(19 * power(u(i, 'quantity'), 2)) as integer) as quantity,
            date_trunc('day', timestamptz '{STARTS_AT}' + interval 9 hour
                + to_seconds(cast(floor(1096 * 86400
                    * power((i + u(i, 'posted')) / getvariable('jobs'), 0.75)) as bigint)))
                - interval 9 hour as day,
            case
                when u(i, 'hour') < {SHARES["posted_round_midnight"]}
                    then cast(floor(1200 * u(i, 'second')) as bigint) - 600
                when u(i, 'hour') < 0.8 then 9 * 3600 + cast(floor(36000 * u(i, 'second')) as bigint)
                else cast(floor(86400 * u(i, 'second')) as bigint)
            end as second
        from (select range as i from range(getvariable('jobs')))
    )
    select placed.i, placed.leaf, placed.client, placed.skill_count, placed.quantity,
        least(greatest(placed.day + to_seconds(placed.second), timestamptz '{STARTS_AT}'),
            timestamptz '{ENDS_AT}' - interval 1 hour) as posted_at,
        8.2 + 2.6 * u(placed.leaf, 'category price')
            + 0.12 * placed.skill_count
            + 0.55 * ln(placed.quantity)
            + 0.55 * normal(placed.client, 'client price')
            + 0.04 * ((placed.i + 0.0) / getvariable('jobs')) * 3
            + 0.40 * normal(placed.i, 'noise') as price_log
    from placed order by i""",
    # One row a contract: a job's first, and for a few a second.
    f"""create table contract_seeds as
    with numbered as (
        select job_seeds.*, numbers.n, job_seeds.i * 2 + numbers.n as c
        from job_seeds cross join (select unnest([0, 1]) as n) as numbers
        where u(job_seeds.i, 'contracted') < case numbers.n
            when 0 then {SHARES["job_contracted"]}
            else {SHARES["job_contracted"] * SHARES["job_contracted_twice"]} end
    ),
    agreed as (
        select *,
            posted_at + to_seconds(cast(floor(3600 + 86400
                * (18 * power(u(c, 'agreed'), 1.4) + 25 * n)) as bigint)) as agreed_at
        from numbered
    )
    select c, i, leaf, client, posted_at, agreed_at,
        natural_load(c, 'contract', agreed_at) as load,
        case when u(c, 'ahead') < {SHARES["contract_future_dated"]}
            then natural_load(c, 'contract', agreed_at) + interval 10 day else agreed_at end as contracted_at,
        cast(floor(greatest(1, getvariable('jobs') // 8) * power(u(c, 'freelancer'), 1.6)) as bigint) as freelancer,
        greatest(500, round(exp(price_log + 0.15 * normal(c, 'bargain')) / 100) * 100) as price,
        u(c, 'fate') as fate
    from agreed order by c""",
]

_LIFE = f"loaded_at <= timestamptz '{ENDS_AT}'"


def _visible_versions(versions: str, key: str, columns: str) -> str:
    """Versions as the warehouse holds them, with a few exact duplicates.

    Of what had been loaded before the warehouse was opened it only ever saw the last state.
    """
    return f"""
    with versions as ({versions}),
    seen as (
        select *, visible(load) as loaded_at from versions
        qualify visible(load) > timestamptz '{BULK_LOADED_AT}'
            or row_number() over (partition by {key}, visible(load) > timestamptz '{BULK_LOADED_AT}'
                order by load desc, version desc) = 1
    ),
    one_a_load as (
        select * from seen where {_LIFE}
        qualify row_number() over (partition by {key}, loaded_at order by version desc) = 1
    )
    select {columns}, loaded_at from one_a_load
    cross join (select unnest([0, 1]) as copy) as copies
    where copy = 0 or u(hash({key}, version), 'duplicate') < {SHARES["exact_duplicate"]}
    order by {key}, loaded_at"""


_TITLE = f"""case
    when u(i, 'title') < {SHARES["title_missing"]} then null
    when u(i, 'title') < {SHARES["title_missing"] + SHARES["title_english"]}
        then concat(pick({_words(ENGLISH)}, u(i, 'english')), ', ', quantity, ' pieces')
    else concat(
        case when u(i, 'prefix') < 0.4 then pick({_words(PREFIXES)}, u(i, 'which prefix')) else '' end,
        case when u(i, 'width') < {SHARES["title_full_width"]} then full_width(work) else work end,
        pick({_words(SUFFIXES)}, u(i, 'suffix')),
        case when u(i, 'emoji') < {SHARES["title_emoji"]} then pick({_words(EMOJI)}, u(i, 'which emoji')) else '' end)
    end"""

_DESCRIPTION = f"""case
    when u(i, 'text') < {SHARES["description_missing"]} then null
    else concat(
        case when u(i, 'html') < {SHARES["description_html"]} then '<p>' else '' end,
        noun, 'の経験がある方を探しています。今回の分量は', work, 'です。',
        case when u(i, 'more') < 0.5 then '継続してお願いする可能性があります。' else '' end,
        case when u(i, 'tools') < 0.5 then concat('必要なスキルは', skill_count, '種類です。') else '' end,
        case when u(i, 'html') < {SHARES["description_html"]} then '</p><br>' else '' end,
        case when u(i, 'length') < 0.3 then repeat('詳細はご相談ください。', 1 + quantity) else '' end)
    end"""

_JOBS = f"""
    with written as (
        select job_seeds.*, leaves.noun,
            concat(leaves.noun, ' ', replace(replace(leaves.unit, '{{q}}', cast(quantity as varchar)),
                '{{k}}', cast(quantity * 1000 as varchar))) as work
        from job_seeds inner join leaves on job_seeds.leaf = leaves.leaf
    ),
    posted as (
        select i, posted_at, concat('J', lpad(cast(i as varchar), 9, '0')) as job_id,
            concat('C', lpad(cast(client as varchar), 8, '0')) as client_id,
            case when u(i, 'no category') >= {SHARES["category_missing"]}
                then concat('L', lpad(cast(leaf as varchar), 2, '0')) end as category_id,
            {_TITLE} as title,
            {_DESCRIPTION} as description,
            case when u(i, 'type') < 0.8 then 'fixed' else 'hourly' end as job_type,
            greatest(1000, round(exp(price_log + 0.3 * normal(i, 'budget')) / 1000) * 1000) as budget,
            u(i, 'budget kind') as budget_kind,
            case when u(i, 'deadline') >= {SHARES["deadline_missing"]}
                then posted_at + to_days(3 + cast(floor(27 * u(i, 'deadline days')) as integer)) end as deadline,
            natural_load(i, 'job', posted_at) as first_load
        from written
    ),
    versions as (
        select *, 1 as version, first_load as load, 'open' as status, false as is_deleted from posted
        union all
        select * replace (deadline + interval 7 day as deadline,
            case when u(i, 'moved') < {SHARES["job_recategorised"]} then 'L00' else category_id end as category_id),
            2, first_load + to_hours(24 + cast(floor(200 * u(i, 'moved when')) as integer)), 'open', false
        from posted where u(i, 'moved') < {SHARES["job_deadline_moved"]}
        union all
        select *, 3, first_load + to_days(12 + cast(floor(25 * u(i, 'closed when')) as integer)), 'closed', false
        from posted where u(i, 'closed') < 0.8
        union all
        select *, 4, first_load + to_hours(30 + cast(floor(900 * u(i, 'gone when')) as integer)), 'closed', true
        from posted where u(i, 'gone') < {SHARES["job_deleted"]}
    )
    select job_id, client_id, category_id, title, description, job_type,
        cast(case when budget_kind < {SHARES["budget_missing"] + SHARES["budget_one_sided"] / 2} then null
            else round(budget * 0.8 / 1000) * 1000 end as decimal(18, 2)) as budget_min,
        cast(case when budget_kind < {SHARES["budget_missing"]} then null
            when budget_kind > {1 - SHARES["budget_one_sided"] / 2} then null
            else round(budget * 1.3 / 1000) * 1000 end as decimal(18, 2)) as budget_max,
        'JPY' as currency, posted_at, deadline as apply_deadline_at, status, is_deleted, i, version, load
    from versions"""

_CONTRACTS = f"""
    with versions as (
        select *, 1 as version, 'active' as status, load as load_1 from contract_seeds
        union all
        select * replace (price * 1.2 as price,
            load + to_hours(24 + cast(floor(300 * u(c, 'again')) as integer)) as load),
            2, 'active', load
        from contract_seeds where fate < {SHARES["contract_repriced"]}
        union all
        select * replace (load + to_hours(cast(floor(480 * power(u(c, 'cancelled when'), 2)) as integer)) as load),
            3, 'cancelled', load
        from contract_seeds where fate between 0.2 and {0.2 + SHARES["contract_cancelled"]}
        union all
        select * replace (case when u(c, 'zero') < 0.7 then 0 else price end as price,
            load + to_hours(cast(floor(60 * u(c, 'void when')) as integer)) as load), 4, 'void', load
        from contract_seeds where fate between 0.3 and {0.3 + SHARES["contract_void"]}
        union all
        select * replace (case when fate < {SHARES["contract_repriced"]} then price * 1.2 else price end as price,
            load + to_days(15 + cast(floor(40 * u(c, 'completed when')) as integer)) as load), 5, 'completed', load
        from contract_seeds
        where u(c, 'completed') < 0.85 and fate not between 0.2 and {0.2 + SHARES["contract_cancelled"]}
            and fate not between 0.3 and {0.3 + SHARES["contract_void"]}
    )
    select concat('K', lpad(cast(c as varchar), 10, '0')) as contract_id,
        concat('J', lpad(cast(i as varchar), 9, '0')) as job_id,
        concat('C', lpad(cast(client as varchar), 8, '0')) as client_id,
        concat('F', lpad(cast(freelancer as varchar), 8, '0')) as freelancer_id,
        cast(round(price) as decimal(18, 2)) as agreed_price, 'JPY' as currency, contracted_at, status,
        false as is_deleted, c, version, load
    from versions"""

_PROPOSALS = f"""
    with offered as (
        select job_seeds.i * 8 + numbers.n as p, job_seeds.i, price_log,
            posted_at + to_seconds(cast(floor(600 + 864000
                * power(u(job_seeds.i * 8 + numbers.n, 'offered'), 2)) as bigint)) as proposed_at
        from job_seeds cross join (select unnest([0, 1, 2, 3, 4, 5, 6]) as n) as numbers
        where numbers.n < floor(7 * u(job_seeds.i, 'offers'))
    ),
    versions as (
        select *, 1 as version, natural_load(p, 'proposal', proposed_at) as load, false as is_deleted from offered
        union all
        select *, 2, natural_load(p, 'proposal', proposed_at) + interval 3 day, true
        from offered where u(p, 'withdrawn') < {SHARES["proposal_withdrawn"]}
    )
    select concat('P', lpad(cast(p as varchar), 11, '0')) as proposal_id,
        concat('J', lpad(cast(i as varchar), 9, '0')) as job_id,
        concat('F', lpad(cast(cast(floor(greatest(1, getvariable('jobs') // 8)
            * power(u(p, 'freelancer'), 1.3)) as bigint) as varchar), 8, '0')) as freelancer_id,
        cast(case when u(p, 'no price') < 0.05 then null
            else greatest(500, round(exp(price_log + 0.35 * normal(p, 'offer')) / 100) * 100) end as decimal(18, 2))
            as proposed_price,
        proposed_at, is_deleted, p, version, load
    from versions"""

_REVIEWS = f"""
    with reviewed as (
        select c, i, kinds.n, kinds.kind,
            load + to_days(60 + cast(floor(20 * u(c, 'reviewed')) as integer)) as reviewed_at
        from contract_seeds
        cross join (select unnest([0, 1]) as n, unnest(['client', 'freelancer']) as kind) as kinds
        where u(c, 'completed') < 0.85 and fate not between 0.2 and {0.2 + SHARES["contract_cancelled"]}
            and fate not between 0.3 and {0.3 + SHARES["contract_void"]}
            and u(c * 2 + kinds.n, 'reviews')
                < case kinds.n when 0 then {SHARES["review_by_client"]} else {SHARES["review_by_freelancer"]} end
    )
    select concat('R', lpad(cast(c * 2 + n as varchar), 11, '0')) as review_id,
        concat('K', lpad(cast(c as varchar), 10, '0')) as contract_id, kind as reviewer_kind,
        cast(5 - floor(3 * power(u(c * 2 + n, 'rating'), 3)) as double) as rating, reviewed_at,
        c * 2 + n as r, 1 as version, natural_load(c * 2 + n, 'review', reviewed_at) as load
    from reviewed"""


def _members(prefix: str, key: str, count: str, kinds: list[str], kind: str, more: str) -> str:
    registered = (
        f"timestamptz '{STARTS_AT}' - to_seconds(cast("
        f"floor(86400 * 900 * u(i, '{key} registered')) as bigint))"
    )
    return f"""
    select concat('{prefix}', lpad(cast(i as varchar), 8, '0')) as {key},
        pick({_words(kinds)}, u(i, '{key} kind')) as {kind}{more},
        case when u(i, '{key} unknown') >= {SHARES["registration_unknown"]} then {registered} end as registered_at,
        timestamptz '{BULK_LOADED_AT}' as loaded_at
    from (select range as i from range(greatest(1, {count})))
    order by 1"""


#: By raw table, the select that gives its rows in their order.
TABLES = {
    "categories": """
    with parents as (
        select parent, concat('T', cast(row_number() over (order by min(leaf)) as varchar)) as parent_id
        from leaves group by parent
    )
    select parent_id as category_id, cast(null as varchar) as parent_category_id, parent as name from parents
    union all
    select concat('L', lpad(cast(leaf as varchar), 2, '0')), parent_id, noun
    from leaves inner join parents on leaves.parent = parents.parent
    order by 1""",
    "clients": _members(
        "C",
        "client_id",
        "getvariable('jobs') // 16",
        ["individual", "corporate", "corporate", "public"],
        "client_kind",
        f", pick({_words(PREFECTURES)}, u(i, 'prefecture')) as prefecture",
    ),
    "freelancers": _members(
        "F",
        "freelancer_id",
        "getvariable('jobs') // 8",
        ["individual", "corporate"],
        "freelancer_kind",
        "",
    ),
    "jobs": _visible_versions(
        _JOBS,
        "job_id",
        "job_id, client_id, category_id, title, description, job_type, budget_min, budget_max, "
        "currency, posted_at, apply_deadline_at, status, is_deleted",
    ),
    "job_skills": f"""
    select concat('J', lpad(cast(i as varchar), 9, '0')) as job_id,
        {_words(SKILLS)}[1 + (cast(floor({len(SKILLS)} * u(i, 'skill')) as integer) + 7 * n) % {len(SKILLS)}] as skill
    from job_seeds cross join (select unnest([0, 1, 2, 3]) as n) as numbers
    where n < skill_count
    order by i, n""",
    "proposals": _visible_versions(
        _PROPOSALS,
        "proposal_id",
        "proposal_id, job_id, freelancer_id, proposed_price, proposed_at, is_deleted",
    ),
    "contracts": _visible_versions(
        _CONTRACTS,
        "contract_id",
        "contract_id, job_id, client_id, freelancer_id, agreed_price, currency, contracted_at, "
        "status, is_deleted",
    ),
    "reviews": _visible_versions(
        _REVIEWS,
        "review_id",
        "review_id, contract_id, reviewer_kind, rating, reviewed_at",
    ),
}
