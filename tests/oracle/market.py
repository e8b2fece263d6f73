"""Compute the prices of the market, of clients by category, and of types of job; also the codes of types of job."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from .chain import by_key, latest_known, values_at
from .client_history import Chains
from .clock import Row, World
from .contracts import fixed_log_prices, frozen_category, is_counted
from .numbers import fixed_point, fixed_ratio, ratio, shrunk_mean
from .requests import identity
from .steps import Step, recounted, steps

LEVELS = 64


def log_price(contract: Row | None, at: datetime) -> int | None:
    """Return the log price of a contract in millionths; None if the contract does not count by `at` or has no price."""
    if contract is None or not is_counted(contract) or contract["contracted_at"] > at:
        return None
    logs = fixed_log_prices([contract])
    return logs[0] if logs else None


def market_prices(jobs: Chains, contracts: Chains, world: World) -> list[Row]:
    """Return one row per refresh at which a value of the market changed."""
    things: list[list[Step]] = []
    for versions in contracts.values():
        instants = [row[name] for row in versions for name in ("known_at", "contracted_at")]

        def price(at: datetime, versions: list[Row] = versions) -> tuple[str, Any] | None:
            log = log_price(latest_known(versions, at), at)
            return None if log is None else ("price", log)

        things.append(steps(instants, price, world))
    for chains, event in ((jobs, "posted_at"), (contracts, "contracted_at")):
        for versions in chains.values():

            def first_event(
                at: datetime, versions: list[Row] = versions, event: str = event
            ) -> tuple[str, Any]:
                return "event", min(row[event] for row in seen_versions(versions, at, world))

            things.append(steps([row["known_at"] for row in versions], first_event, world))
    rows = recounted(things, _market, NO_MARKET, world)
    return [{"market_id": world.currency, **row} for row in rows]


def seen_versions(versions: list[Row], at: datetime, world: World) -> list[Row]:
    """Return the versions of a key that were the last known version at some refresh up to `at`."""
    refreshes = {world.clock.refresh(row["known_at"]) for row in versions}
    found = [latest_known(versions, refresh) for refresh in sorted(refreshes) if refresh <= at]
    return [row for row in found if row is not None]


def _market(standing: list[tuple[str, Any]]) -> Row:
    logs = [value for kind, value in standing if kind == "price"]
    events = [value for kind, value in standing if kind == "event"]
    mean = fixed_ratio(sum(logs), len(logs))
    return {
        "market_contract_count_all": len(logs),
        "market_log_price_mean_all": None if mean is None else mean / 1e6,
        "market_first_event_at": min(events, default=None),
    }


NO_MARKET: Row = _market([])


def market_at_request(requests: list[Row], prices: list[Row], world: World) -> list[Row]:
    """Compute feat_job__market_at_request, from the newest row of the market available at each request."""
    rows = []
    for request in requests:
        requested_at = request["requested_at"]
        known = values_at(prices, requested_at, NO_MARKET)
        first_event_at = known.pop("market_first_event_at")
        start = world.history_start or first_event_at
        row = identity(request) | known
        for group, days in (("client", 365), ("category", 365), ("job_type", 365), ("demand", 90)):
            is_short = start is None or requested_at - timedelta(days=days) < start
            row[f"is_{group}_window_short"] = int(is_short)
        rows.append(row)
    return rows


def client_category_prices(jobs: Chains, contracts: Chains, world: World) -> list[Row]:
    """Return one row per client, category and refresh at which the client's prices in the category changed."""
    things: dict[tuple[str, str], list[list[Step]]] = defaultdict(list)
    for versions in contracts.values():
        frozen = frozen_category(versions, jobs.get(versions[0]["job_id"], []), world.clock)
        if frozen is None or frozen[1] is None:
            continue
        counts_from, category_id = frozen
        instants = [row[name] for row in versions for name in ("known_at", "contracted_at")]
        for client_id in {row["client_id"] for row in versions} - {None}:

            def price(
                at: datetime,
                versions: list[Row] = versions,
                client_id: str = client_id,
                counts_from: datetime = counts_from,
            ) -> int | None:
                contract = latest_known(versions, at)
                is_own = contract is not None and contract["client_id"] == client_id
                return log_price(contract, at) if is_own and counts_from <= at else None

            things[client_id, category_id].append(steps([*instants, counts_from], price, world))
    return [
        {"client_id": client_id, "category_id": category_id, **row}
        for (client_id, category_id), own in sorted(things.items())
        for row in recounted(own, _sums, NO_SUMS, world)
    ]


def _sums(logs: list[int]) -> Row:
    return {
        "client_category_contract_count_all": len(logs),
        "client_category_log_price_sum_e6_all": sum(logs),
    }


NO_SUMS: Row = _sums([])


def client_category_at_request(
    requests: list[Row],
    prices: list[Row],
    category: list[Row],
    market: list[Row],
    world: World,
) -> list[Row]:
    """Compute feat_job__client_category_at_request, including the expected price."""
    prices_of: dict[Any, list[Row]] = defaultdict(list)
    for row in prices:
        prices_of[row["client_id"], row["category_id"]].append(row)
    rows = []
    for request, at_category, at_market in zip(requests, category, market, strict=True):
        key = request["client_id"], request["category_id"]
        known = values_at(prices_of.get(key, []), request["requested_at"], NO_SUMS)
        count = known["client_category_contract_count_all"]
        total = known.pop("client_category_log_price_sum_e6_all")
        prior = fixed_point(at_category["category_log_price_mean_365d"])
        if prior is None:
            prior = fixed_point(at_market["market_log_price_mean_all"])
        expected = None
        if prior is not None:
            expected = shrunk_mean(total, count, prior, world.term_prior_count)
        row = identity(request) | known
        row["client_category_log_price_mean_all"] = ratio(total, count * 1_000_000)
        row["job_expected_price_log"] = None if expected is None else expected / 1e6
        rows.append(row)
    return rows


def job_type_of(request: Row) -> str | None:
    """Return the type of a job, trimmed and in lower case; None if the request has no type."""
    job_type = request["job_type"]
    return None if job_type is None else job_type.strip().lower()


def job_type_codes(requests: list[Row], world: World) -> list[Row]:
    """Return one row for each of the first 64 types of job, in the order in which their first spine rows entered."""
    first: dict[str, datetime] = {}
    for request in requests:
        job_type = job_type_of(request)
        if job_type is not None:
            first[job_type] = min(first.get(job_type, request["entered_at"]), request["entered_at"])
    ranked = sorted(first, key=lambda job_type: (first[job_type], job_type))[:LEVELS]
    return [
        {
            "job_type": job_type,
            "as_of_at": first[job_type],
            "available_at": world.clock.available_at(first[job_type]),
            "job_type_code": code,
        }
        for code, job_type in enumerate(ranked, start=1)
    ]


def job_type_prices(
    requests: list[Row], jobs: Chains, contracts: Chains, world: World
) -> list[Row]:
    """Return one row per type of job and refresh at which the prices of the type over 365 days changed."""
    request_of = {request["job_id"]: request for request in requests}
    things: dict[str, list[list[Step]]] = defaultdict(list)
    for versions in contracts.values():
        request = request_of.get(versions[0]["job_id"])
        job_type = None if request is None else job_type_of(request)
        if request is None or job_type is None:
            continue
        events = [row["contracted_at"] for row in versions]
        ends = [event + timedelta(days=365) for event in events]
        instants = [*events, *ends, *(row["known_at"] for row in versions), request["entered_at"]]

        def price(
            at: datetime, versions: list[Row] = versions, request: Row = request
        ) -> int | None:
            contract = latest_known(versions, at)
            if contract is None or at < request["entered_at"]:
                return None
            is_over = at >= contract["contracted_at"] + timedelta(days=365)
            return None if is_over else log_price(contract, at)

        things[job_type].append(steps(instants, price, world))
    return [
        {"job_type": job_type, **row}
        for job_type, own in sorted(things.items())
        for row in recounted(own, _year, NO_YEAR, world)
    ]


def _year(logs: list[int]) -> Row:
    return {
        "job_type_contract_count_365d": len(logs),
        "job_type_log_price_mean_365d": ratio(sum(logs), len(logs) * 1_000_000),
    }


NO_YEAR: Row = _year([])
NO_TYPE_CODE: Row = {"job_type_code": 0}


def job_type_at_request(requests: list[Row], prices: list[Row], codes: list[Row]) -> list[Row]:
    """Compute feat_job__job_type_at_request, from the newest rows of the type of job available at each request."""
    prices_of, codes_of = by_key(prices, "job_type"), by_key(codes, "job_type")
    rows = []
    for request in requests:
        job_type, at = job_type_of(request), request["requested_at"]
        code = values_at(codes_of.get(job_type, []), at, NO_TYPE_CODE)
        price = values_at(prices_of.get(job_type, []), at, NO_YEAR)
        rows.append(identity(request) | code | price)
    return rows
