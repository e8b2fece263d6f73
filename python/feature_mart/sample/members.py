"""Build the SQL of the sample's categories, clients and freelancers, and draw the members of a job.

Members are numbered in the order of registration. Before the first posting, 15% of the members register, and the
others register evenly over the three years. A formula therefore gives the number of members on a day, without a join.
"""

from __future__ import annotations

from feature_mart.sample.draws import (
    DAY,
    HOUR,
    below,
    chance,
    copies,
    is_shown,
    nightly_load,
    pick,
    row_seed,
    shown_load,
    uniform,
    word_list,
)
from feature_mart.sample.shares import DAYS, SHARES
from feature_mart.sample.words import CLIENT_KINDS, FIELDS, FREELANCER_KINDS, PREFECTURES

_BEFORE = 0.15
#: A member can be drawn _MARGIN days after the registration. Registrations begin _EARLIER days before the first
#: posting.
_MARGIN, _EARLIER = 3, 400


def client_count(jobs: int) -> int:
    """Return the number of clients: one per 16 jobs, at least one."""
    return max(1, jobs // 16)


def freelancer_count(jobs: int) -> int:
    """Return the number of freelancers: one per eight jobs, at least five."""
    return max(5, jobs // 8)


def members_there(count: int, day: str) -> str:
    """Return an expression for the number of the ``count`` members that can be drawn on a day, at least one."""
    return f"""greatest(1, floor({count} * ({_BEFORE} + {1 - _BEFORE}
        * greatest(0, ({day}) - {_MARGIN}) / {DAYS}.0)))::bigint"""


def client_of(there: str) -> str:
    """Return an expression for the number of a job's client.

    A few clients post many of the jobs, and some jobs come from clients that registered recently.
    """
    who, which = uniform("client kind"), uniform("client")
    return f"""least({there} - 1, case
        when {who} < 0.70 then floor({there} * power({which}, 2.5))
        when {who} < 0.90 then floor({there} * {which})
        else {there} - 1 - floor({there} * power({which}, 3)) end::bigint)"""


def freelancer_drawn(there: str, seed: str) -> str:
    """Return an expression for a freelancer's number, skewed so that a few freelancers get much of the work."""
    return f"least({there} - 1, floor({there} * power({uniform('freelancer', seed)}, 1.8))::bigint)"


def freelancer_of(drawn: str, there: str, category: str, seed: str) -> str:
    """Return an expression that replaces 80% of the drawn freelancers by a freelancer of the job's category.

    The replacement is the freelancer of the same block of 32 numbers whose position in the block is the category. If
    the replacement is not registered yet, the drawn freelancer is kept.
    """
    own = f"({drawn} // 32 * 32 + {category})"
    return f"""case when {own} < {there} and {chance("keeps", 0.8, seed)} then {own} else {drawn} end"""


def _member(prefix: str, number: str) -> str:
    return f"'{prefix}' || lpad(({number})::varchar, 8, '0')"


def client_id(number: str) -> str:
    """Return an expression for the id of the client with the number ``number``."""
    return _member("C", number)


def freelancer_id(number: str) -> str:
    """Return an expression for the id of the freelancer with the number ``number``."""
    return _member("F", number)


def categories() -> str:
    """Return the SELECT of the eight parent categories and their 32 leaves, ordered by id."""
    rows = [
        row
        for field in FIELDS
        for row in (
            (field.slug, None, field.name),
            *((f"{field.slug}-{work.slug}", field.slug, work.name) for work in field.works),
        )
    ]
    values = ", ".join(
        "(" + ", ".join("null" if cell is None else f"'{cell}'" for cell in row) + ")"
        for row in rows
    )
    return f"""
        select * from (values {values}) as tree (category_id, parent_category_id, name)
        order by category_id"""


def clients(count: int) -> str:
    """Return the SELECT of clients, with one row per version. A few clients move or become a company."""
    moved = SHARES["client_changed"]
    prefectures = pick("prefecture", PREFECTURES)
    return _versions(
        count,
        "client",
        moved,
        f"""{client_id("i")} as client_id,
            case when version = 2 and {chance("incorporated", 0.5)} then 'corporate'
                else {pick("kind", CLIENT_KINDS)} end as client_kind,
            case when {chance("prefecture missing", SHARES["prefecture_missing"])} then null
                when version = 2 then {word_list(PREFECTURES)}[1 + {below("moved to", len(PREFECTURES))}]
                else {prefectures} end as prefecture""",
    )


def freelancers(count: int) -> str:
    """Return the SELECT of freelancers, with one row per version. A few freelancers become a company."""
    return _versions(
        count,
        "freelancer",
        SHARES["freelancer_changed"],
        f"""{freelancer_id("i")} as freelancer_id,
            case when version = 2 then 'corporate' else {pick("kind", FREELANCER_KINDS)} end as freelancer_kind""",
    )


def _versions(count: int, stream: str, changed: float, columns: str) -> str:
    late = SHARES["loaded_late"]
    share = f"((i + 0.0) / {count})"
    return f"""
        with numbered as (
            select i, {row_seed("i", stream)} as h from range({count}) as numbers (i)
        ),
        registered as (
            select i, h,
                case when {share} < {_BEFORE} then -1 - floor(({_BEFORE} - {share}) / {_BEFORE} * {_EARLIER})
                    else floor(({share} - {_BEFORE}) / {1 - _BEFORE} * {DAYS}) end::bigint * {DAY}
                    + 7 * {HOUR} + {below("registered", 17 * HOUR)} as registered
            from numbered
        ),
        loaded as (
            select i, h, registered,
                {nightly_load("registered", "first", late)} as load_1,
                case when {chance("changed", changed)} then {nightly_load("registered", "first", late)}
                    + {DAY} * (20 + {below("changed after", 480)}) end as load_2
            from registered
        ),
        versions as (
            select *, unnest(case when load_2 is null then [1] else [1, 2] end) as version from loaded
        ),
        shown as (
            select *, case version when 1 then load_1 else load_2 end as load from versions
            where {is_shown("(case version when 1 then load_1 else load_2 end)", "case version when 1 then load_2 end")}
        ),
        repeated as (
            select *, {copies("copy", "version", SHARES["exact_duplicate"])} from shown
        )
        select {columns},
            case when not {chance("unknown", SHARES["registration_unknown"])} then instant(registered) end
                as registered_at,
            {shown_load("load")} as loaded_at
        from repeated"""
