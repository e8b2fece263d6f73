"""Compute prices and lifts of terms and skills, and combine the values of a request's terms or skills."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from .chain import by_key, latest_available, latest_known
from .client_history import Chains
from .clock import Row, World
from .market import log_price
from .numbers import fixed_point, fixed_ratio, half_away_from_zero, ratio, shrunk_mean
from .steps import Step, recounted, steps

PRIOR_VARIANCE_E6 = 2_000_000
SUPPORT = 3


def prices_by(
    entity: str,
    members: list[Row],
    requests: list[Row],
    expected: list[Row],
    contracts: Chains,
    world: World,
) -> list[Row]:
    """Return one row per term or skill and refresh at which the prices or lifts of the term or skill changed.

    Args:
        entity: ``term`` or ``skill``.
        members: the rows of int_job__terms or int_job__skills.
        requests: the spine.
        expected: the rows of feat_job__client_category_at_request.
        contracts: the version chains of the contracts.
        world: the settings of the build.
    """
    entered_at = {request["job_id"]: request["entered_at"] for request in requests}
    expected_of = {row["job_id"]: row["job_expected_price_log"] for row in expected}
    steps_of = {
        contract_id: contract_steps(versions, entered_at, expected_of, world)
        for contract_id, versions in contracts.items()
        if versions[0]["job_id"] in entered_at
    }
    contracts_of: dict[str, list[str]] = defaultdict(list)
    for contract_id in steps_of:
        contracts_of[contracts[contract_id][0]["job_id"]].append(contract_id)
    things: dict[str, list[list[Step]]] = defaultdict(list)
    for member in members:
        for contract_id in contracts_of.get(member["job_id"], []):
            things[member[entity]].append(steps_of[contract_id])

    def state(standing: list[tuple[int, int | None]]) -> Row:
        return state_of_member(entity, standing)

    return [
        {entity: member, **row}
        for member, own in sorted(things.items())
        for row in recounted(own, state, state([]), world)
    ]


def state_of_member(entity: str, standing: list[tuple[int, int | None]]) -> Row:
    """Return the columns of a term or skill, from the log prices and lifts of the contracts that count."""
    lifts = [lift for _, lift in standing if lift is not None]
    return {
        f"{entity}_contract_count_all": len(standing),
        f"{entity}_log_price_sum_e6_all": sum(log for log, _ in standing),
        f"{entity}_lift_count_all": len(lifts),
        f"{entity}_lift_sum_e6_all": sum(lifts),
        f"{entity}_lift_square_sum_e6_all": sum(
            fixed_ratio(lift * lift, 1_000_000) or 0 for lift in lifts
        ),
    }


def contract_steps(
    versions: list[Row],
    entered_at: dict[str, datetime],
    expected_of: dict[str, float | None],
    world: World,
) -> list[Step]:
    """Return the log price and lift of a contract as steps. Both count only from the job's ``entered_at`` on."""
    job_id = versions[0]["job_id"]
    prior = fixed_point(expected_of[job_id])

    def price(at: datetime) -> tuple[int, int | None] | None:
        if at < entered_at[job_id]:
            return None
        log = log_price(latest_known(versions, at), at)
        return None if log is None else (log, None if prior is None else log - prior)

    instants = [row[name] for row in versions for name in ("known_at", "contracted_at")]
    return steps([*instants, entered_at[job_id]], price, world)


def lift_variance(count: int, total: int, squares: int, prior_count: int) -> int:
    """Return the variance of lifts, in millionths, shrunk towards a variance of 2.

    Args:
        count: the number of lifts.
        total: the sum of the lifts, in millionths.
        squares: the sum of the squares of the lifts, in millionths.
        prior_count: the number of observations that the variance 2 counts for.
    """
    freedom = count - 1 + prior_count
    if freedom <= 0:
        return PRIOR_VARIANCE_E6
    around_mean = (float(total) / float(count)) * total / 1e6 if count else 0.0
    wide = float(squares) - around_mean + prior_count * PRIOR_VARIANCE_E6
    # The squares were rounded, so without a prior the difference may be slightly negative.
    return max(0, half_away_from_zero(wide / float(freedom)))


def at_request(
    entity: str,
    requests: list[Row],
    members: list[Row],
    prices: list[Row],
    market: list[Row],
    world: World,
) -> list[Row]:
    """Compute feat_job__terms_at_request or, for the entity ``skill``, feat_job__skills_at_request."""
    prices_of, members_of = by_key(prices, entity), by_key(members, "job_id")
    rows = []
    for request, at_market in zip(requests, market, strict=True):
        own = [member[entity] for member in members_of.get(request["job_id"], [])]
        known = [latest_available(prices_of.get(m, []), request["requested_at"]) for m in own]
        supported = [row for row in known if row and row[f"{entity}_contract_count_all"] >= SUPPORT]
        row = {name: request[name] for name in ("job_id", "requested_at", "entered_at")}
        if entity == "term":
            row["job_term_count"] = len(own)
        rows.append(
            row | combined(entity, supported, at_market["market_log_price_mean_all"], world)
        )
    return rows


def combined(entity: str, supported: list[Row], market_mean: float | None, world: World) -> Row:
    """Return the columns of a request, from the rows of its supported terms or skills."""
    names = (
        *("log_price_weighted_mean_all", "log_price_mean_all", "log_price_min_all"),
        *("log_price_max_all", "rarest_contract_count_all", "rarest_log_price_mean_all"),
        *("rarest_lift_all", "lift_weighted_mean_all", "lift_precise_mean_all", "lift_mean_all"),
        *("lift_min_all", "lift_max_all", "surest_lift_all", "surest_lift_variance_all"),
    )
    values: dict[str, Any] = dict.fromkeys(names)
    values |= {"supported_count": len(supported), "contract_count_all": 0}
    market = fixed_point(market_mean)
    if supported and market is not None:
        values |= _combined([_read(entity, row, market, world) for row in supported], market, world)
    return {f"{entity}_{name}": value for name, value in values.items()}


def _read(entity: str, row: Row, market: int, world: World) -> Row:
    count, total = row[f"{entity}_contract_count_all"], row[f"{entity}_log_price_sum_e6_all"]
    lifts, lift = row[f"{entity}_lift_count_all"], row[f"{entity}_lift_sum_e6_all"]
    variance = lift_variance(
        lifts, lift, row[f"{entity}_lift_square_sum_e6_all"], world.lift_prior_count
    )
    return {
        "name": row[entity],
        "n": count,
        "s": total,
        "nl": lifts,
        "sl": lift,
        "m": shrunk_mean(total, count, market, world.term_prior_count),
        "l": shrunk_mean(lift, lifts, 0, world.lift_prior_count),
        "v": variance,
        "w": fixed_ratio(10**18, (variance + 20_000) ** 2),
    }


def _combined(read: list[Row], market: int, world: World) -> dict[str, Any]:
    def total(name: str) -> int:
        return sum(term[name] for term in read)

    def e6(number: int | None) -> float | None:
        return None if number is None else number / 1e6

    rarest = min(read, key=lambda term: (term["n"], term["name"]))
    surest = min(read, key=lambda term: (term["v"], term["name"]))
    millions = len(read) * 1_000_000
    return {
        "contract_count_all": total("n"),
        "log_price_weighted_mean_all": e6(
            shrunk_mean(total("s"), total("n"), market, world.term_prior_count)
        ),
        "log_price_mean_all": ratio(total("m"), millions),
        "log_price_min_all": e6(min(term["m"] for term in read)),
        "log_price_max_all": e6(max(term["m"] for term in read)),
        "rarest_contract_count_all": rarest["n"],
        "rarest_log_price_mean_all": e6(fixed_ratio(rarest["s"], rarest["n"])),
        "rarest_lift_all": e6(rarest["l"]),
        "lift_weighted_mean_all": e6(
            shrunk_mean(total("sl"), total("nl"), 0, world.lift_prior_count)
        ),
        "lift_precise_mean_all": ratio(
            sum(term["w"] * term["l"] for term in read), total("w") * 1_000_000
        ),
        "lift_mean_all": ratio(total("l"), millions),
        "lift_min_all": e6(min(term["l"] for term in read)),
        "lift_max_all": e6(max(term["l"] for term in read)),
        "surest_lift_all": e6(surest["l"]),
        "surest_lift_variance_all": e6(surest["v"]),
    }
