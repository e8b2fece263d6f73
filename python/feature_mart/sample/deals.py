"""Build the SQL of the proposals, contracts and reviews of the sample."""

from __future__ import annotations

from feature_mart.sample.draws import (
    DAY,
    HOUR,
    bell,
    below,
    chance,
    copies,
    is_shown,
    nightly_load,
    row_seed,
    shown_load,
    streamed_load,
    uniform,
)
from feature_mart.sample.jobs import job_id
from feature_mart.sample.members import (
    client_id,
    freelancer_count,
    freelancer_drawn,
    freelancer_id,
    freelancer_of,
    members_there,
)
from feature_mart.sample.shares import SHARES

_LATE = SHARES["loaded_late"]
#: The offers of a job are numbered from 0 to less than this number.
_OFFERS = 16


def proposals(jobs: int) -> str:
    """Return the SELECT of proposals: about three per job, from 0 to 15. A few are withdrawn."""
    there = members_there(freelancer_count(jobs), f"posted // {DAY}")
    price = f"exp(expected_log + noise_log + 0.1 + 0.3 * {bell('price')})"
    return f"""
    with offers as (
        select i, category, posted, expected_log, noise_log, hired_after, unnest(range(offers)) as n from job_facts
    ),
    seeded as (
        select *, {row_seed(f"i * {_OFFERS} + n", "offer")} as h, {there} as there from offers
    ),
    drawn as (
        select *, {freelancer_drawn("there", "h")} as drawn from seeded
    ),
    offered as (
        select *, {freelancer_of("drawn", "there", "category", "h")} as freelancer,
            posted + 300 + floor((coalesce(hired_after, {10 * DAY}) - 600)
            * power({uniform("offered")}, 2))::bigint as offered
        from drawn
    ),
    loaded as (
        select *, {streamed_load("offered", "offer", _LATE)} as load_1,
            case when {chance("withdrawn", SHARES["proposal_withdrawn"])}
                then {HOUR} + {below("withdrawn after", 4 * DAY)} end as withdrawn_after
        from offered
    ),
    versions as (
        select *, unnest(case when withdrawn_after is null then [1] else [1, 2] end) as version from loaded
    ),
    followed as (
        select *, case version when 1 then load_1 else load_1 + withdrawn_after end as load,
            case version when 1 then load_1 + withdrawn_after end as next_load
        from versions
    ),
    shown as (
        select * from followed where {is_shown("load", "next_load")}
    ),
    repeated as (
        select *, {copies("copy", "version", SHARES["exact_duplicate"])} from shown
    )
    select 'P' || lpad(i::varchar, 8, '0') || '-' || lpad(n::varchar, 2, '0') as proposal_id, {job_id()} as job_id,
        {freelancer_id("freelancer")} as freelancer_id,
        case when not {chance("no price", SHARES["proposal_price_missing"])} then round_yen({price}) end::decimal(18, 2)
            as proposed_price,
        instant(offered) as proposed_at,
        version = 2 as is_deleted,
        {shown_load("load")} as loaded_at
    from repeated"""


def contract_facts(jobs: int) -> str:
    """Return the SELECT of facts about contracts, one row per contract.

    Times are in seconds since `STARTS_AT`. Each version of a contract is loaded after the previous version.
    """
    there = members_there(freelancer_count(jobs), f"posted // {DAY}")
    void, cancelled = SHARES["contract_void"], SHARES["contract_cancelled"]
    active = SHARES["contract_left_active"]
    return f"""
    with numbered as (
        select i, category, client, posted, expected_log, noise_log, hired_after, offers,
            unnest(case when {chance("contracted twice", SHARES["job_contracted_twice"])} then [1, 2] else [1] end) as n
        from job_facts where hired_after is not null
    ),
    seeded as (
        select *, {row_seed("i * 2 + n - 1", "contract")} as h, {there} as there from numbered
    ),
    taken as (
        -- The freelancer made one of the offers, or was asked without an offer.
        select *, case when offers > 0 and {chance("from offers", 0.75)}
            then {row_seed(f"i * {_OFFERS} + {below('taken', 'offers')}", "offer")} else h end as freelancer_h
        from seeded
    ),
    drawn as (
        select *, {freelancer_drawn("there", "freelancer_h")} as drawn from taken
    ),
    agreed as (
        select *, {freelancer_of("drawn", "there", "category", "freelancer_h")} as met,
            greatest(posted + {HOUR // 2}, case when n = 1 then 0 else {DAY} * (10 + {below("again", 60)}) end
            + case when {chance("round midnight", SHARES["contract_round_midnight"] / 0.9)}
                then ((posted + hired_after) // {DAY} + 1) * {DAY} + {below("midnight", 1200)} - 600
                else posted + hired_after end) as agreed,
            {uniform("fate")} as drawn_fate,
            round_yen(exp(expected_log + noise_log + case when n = 1 then 0 else 0.2 * {bell("price")} end)) as price_1
        from drawn
    ),
    fated as (
        select *, case when drawn_fate < {void} then 'void'
                when drawn_fate < {void + cancelled} then 'cancelled'
                when drawn_fate < {void + cancelled + active} then 'active'
                else 'completed' end as fate,
            {streamed_load("agreed", "contract", _LATE)} as load_1
        from agreed
    ),
    started as (
        select *, case when {chance("ahead", SHARES["contract_future_dated"])} and fate <> 'void'
                then load_1 + {DAY} + {below("ahead by", 14 * DAY)} else agreed end as contracted,
            fate = 'void' and {chance("void at once", SHARES["void_from_the_start"])} as is_void_at_once,
            case when fate <> 'void' and {chance("repriced", SHARES["contract_repriced"])}
                then load_1 + {DAY} + {below("repriced after", 18 * DAY)} end as load_2
        from fated
    ),
    ended as (
        select *, case
                when fate = 'completed' then contracted + 2 * {DAY} + {below("completed after", 50 * DAY)}
                when fate = 'cancelled' then contracted + {HOUR}
                    + floor({35 * DAY} * power({uniform("cancelled after")}, 2))::bigint
                when fate = 'void' and not is_void_at_once then contracted + {DAY} + {below("void after", 9 * DAY)}
                end as ended
        from started
    ),
    loaded as (
        select *, case when ended is not null then greatest(coalesce(load_2, load_1) + 60,
            {streamed_load("ended", "ending", _LATE)}) end as load_3
        from ended
    ),
    deleted as (
        select *, case when {chance("deleted", SHARES["contract_deleted"])} then coalesce(load_3, load_2, load_1)
            + {DAY} + {below("deleted after", 40 * DAY)} end as load_4
        from loaded
    )
    select i, n, h, fate, is_void_at_once, ended, contracted, load_1, load_2, load_3, load_4,
        case when {chance("other client", SHARES["contract_by_other_client"])} then client // 2 else client end
            as client,
        case when {chance("no freelancer", SHARES["contract_freelancer_unknown"])} then null
            else met end as freelancer,
        price_1,
        case when load_2 is null then price_1 else round_yen(price_1 * (0.7 + 0.75 * {uniform("new price")})) end
            as price_2
    from deleted"""


def contracts() -> str:
    """Return the SELECT of contracts, with one row per version: agreed, repriced, ended or deleted."""
    return f"""
    with versions as (
        select *, unnest([1] || case when load_2 is null then [] else [2] end || case when load_3 is null then []
            else [3] end || case when load_4 is null then [] else [4] end) as version
        from contract_facts
    ),
    followed as (
        select *,
            case version when 1 then load_1 when 2 then load_2 when 3 then load_3 else load_4 end as load,
            case version when 1 then coalesce(load_2, load_3, load_4) when 2 then coalesce(load_3, load_4)
                when 3 then load_4 end as next_load,
            case when is_void_at_once or (version >= 3 and load_3 is not null) then fate else 'active' end as status
        from versions
    ),
    shown as (
        select * from followed where {is_shown("load", "next_load")}
    ),
    repeated as (
        select *, {copies("copy", "version", SHARES["exact_duplicate"])} from shown
    )
    select 'K' || lpad(i::varchar, 8, '0') || '-' || n as contract_id, {job_id()} as job_id,
        {client_id("client")} as client_id, {freelancer_id("freelancer")} as freelancer_id,
        case when status = 'void' and {chance("void at zero", SHARES["void_at_zero"])} then 0
            when version = 1 then price_1 else price_2 end::decimal(18, 2) as agreed_price,
        'JPY' as currency,
        instant(contracted) as contracted_at,
        status,
        version = 4 as is_deleted,
        {shown_load("load")} as loaded_at
    from repeated"""


def reviews() -> str:
    """Return the SELECT of the reviews that clients and freelancers write about completed contracts.

    Ratings by clients depend on a fixed quality of the freelancer.
    """
    quality = bell("quality", row_seed("coalesce(freelancer, 0)", "freelancer"))
    return f"""
    with sides as (
        select *, unnest([1, 2]) as side from contract_facts where fate = 'completed'
    ),
    written as (
        select i, n, side, freelancer, ended, {row_seed("(i * 2 + n - 1) * 2 + side - 1", "review")} as h
        from sides
        where case side when 1 then {chance("by client", SHARES["review_by_client"])}
            else {chance("by freelancer", SHARES["review_by_freelancer"])} end
    ),
    reviewed as (
        select *, ended + {HOUR} + {below("reviewed after", 12 * DAY)} as reviewed from written
    ),
    loaded as (
        select *, {nightly_load("reviewed", "review", _LATE)} as load from reviewed
    ),
    shown as (
        select *, {copies("copy", "1", SHARES["exact_duplicate"])} from loaded where {is_shown("load", "null")}
    )
    select 'R' || lpad(i::varchar, 8, '0') || '-' || n || '-' || side as review_id,
        'K' || lpad(i::varchar, 8, '0') || '-' || n as contract_id,
        case side when 1 then 'client' else 'freelancer' end as reviewer_kind,
        case when not {chance("no rating", SHARES["rating_missing"])}
            then least(5, greatest(1, round(4.4 + case side when 1 then 0.5 * {quality} else 0 end
                + 0.7 * {bell("rating")}))) end::double as rating,
        instant(reviewed) as reviewed_at,
        {shown_load("load")} as loaded_at
    from shown"""
