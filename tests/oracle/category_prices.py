"""Compute feat_category__prices and feat_category__codes."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from .chain import is_in_window, latest_known, moments, state_changes
from .client_history import Chains
from .clock import Row, World
from .contracts import fixed_log_prices, frozen_category, is_counted
from .numbers import mean_log, quantile_log

WINDOWS = (90, 365)
LEVELS = 64


def prices_of(counted: list[Row], window: str) -> Row:
    """Return the columns of one window, such as `90d`, from the contracts that count in the window."""
    logs = fixed_log_prices(counted)
    freelancers = {contract["freelancer_id"] for contract in counted} - {None}
    return {
        f"category_contract_count_{window}": len(counted),
        f"category_log_price_mean_{window}": mean_log(logs),
        f"category_log_price_p25_{window}": quantile_log(logs, 1, 4),
        f"category_log_price_p50_{window}": quantile_log(logs, 1, 2),
        f"category_log_price_p75_{window}": quantile_log(logs, 3, 4),
        f"category_active_freelancer_count_{window}": len(freelancers),
    }


NO_PRICES: Row = prices_of([], "90d") | prices_of([], "365d")
NO_CODE: Row = {"category_code": 0}


def category_prices(jobs: Chains, contracts: Chains, world: World) -> list[Row]:
    """Return one row per category and refresh at which the prices of the category changed."""
    contracts_of: dict[str, list[tuple[datetime, list[Row]]]] = defaultdict(list)
    for versions in contracts.values():
        frozen = frozen_category(versions, jobs.get(versions[0]["job_id"], []), world.clock)
        if frozen is not None:
            counts_from, category_id = frozen
            if category_id is not None:
                contracts_of[category_id].append((counts_from, versions))
    rows = []
    for category_id in sorted(contracts_of):
        rows += one_category(category_id, contracts_of[category_id], world)
    return rows


def one_category(
    category_id: str, contracts: list[tuple[datetime, list[Row]]], world: World
) -> list[Row]:
    """Return the rows of one category, from its contracts and the refresh from which each contract counts."""

    def state_at(as_of_at: datetime) -> Row:
        return state_of_category(contracts, as_of_at)

    instants = set()
    for counts_from, versions in contracts:
        instants |= {counts_from} | moments(versions, "contracted_at", WINDOWS)
    changes = state_changes(instants, state_at, NO_PRICES, world)
    return [{"category_id": category_id, **row} for row in changes]


def state_of_category(contracts: list[tuple[datetime, list[Row]]], as_of_at: datetime) -> Row:
    """Return the prices of one category as known at a refresh."""
    now = [
        latest_known(versions, as_of_at)
        for counts_from, versions in contracts
        if counts_from <= as_of_at
    ]
    state: Row = {}
    for days in WINDOWS:
        counted = [
            contract
            for contract in now
            if contract is not None
            and is_counted(contract)
            and is_in_window(contract["contracted_at"], as_of_at, days)
        ]
        state |= prices_of(counted, f"{days}d")
    return state


def category_codes(jobs: Chains, world: World) -> list[Row]:
    """Return one row for each of the first 64 categories, ordered by when a job in the category was first known.

    Ties go to the lower category_id. A job version counts only if it is the last known version at some refresh.
    """
    first_known: dict[str, datetime] = {}
    for versions in jobs.values():
        for version in versions:
            category_id = version["category_id"]
            seen_at = world.clock.refresh(version["known_at"])
            is_seen = latest_known(versions, seen_at) is version
            if category_id is not None and is_seen:
                earlier = first_known.get(category_id, version["known_at"])
                first_known[category_id] = min(earlier, version["known_at"])
    ranked = sorted(first_known, key=lambda category_id: (first_known[category_id], category_id))
    rows = []
    for code, category_id in enumerate(ranked[:LEVELS], start=1):
        as_of_at = world.clock.refresh(first_known[category_id])
        available_at = world.clock.available_at(as_of_at)
        rows.append(
            {
                "category_id": category_id,
                "as_of_at": as_of_at,
                "available_at": available_at,
                "category_code": code,
            }
        )
    return rows
