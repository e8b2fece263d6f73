"""feat_client__history: a client's past, refresh by refresh."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from .chain import is_in_window, latest_known, moments, state_changes
from .clock import Row, World
from .contracts import fixed_log_prices, is_cancelled, is_counted
from .numbers import mean_log
from .reviews import Reviews, review_state, reviews_by_client

Chains = dict[str, list[Row]]

NO_HISTORY: Row = {
    "client_posting_count_90d": 0,
    "client_contract_count_365d": 0,
    "client_contract_count_all": 0,
    "client_log_price_mean_365d": None,
    "client_cancelled_contract_ratio_all": None,
    "client_last_contracted_at": None,
    "client_registered_at": None,
    "client_review_count_all": 0,
    "client_rating_mean_all": None,
}


def client_history(
    clients: Chains, jobs: Chains, contracts: Chains, reviews: Chains, world: World
) -> list[Row]:
    """One row per client and refresh at which its history changed: client_id and the state."""
    jobs_of = chains_by_value(jobs, "client_id")
    contracts_of = chains_by_value(contracts, "client_id")
    reviews_of = reviews_by_client(reviews, contracts, world.clock)
    rows = []
    for client_id in sorted(
        clients.keys() | jobs_of.keys() | contracts_of.keys() | reviews_of.keys()
    ):
        rows += one_client(
            client_id,
            clients.get(client_id, []),
            jobs_of.get(client_id, []),
            contracts_of.get(client_id, []),
            reviews_of.get(client_id, []),
            world,
        )
    return rows


def chains_by_value(chains: Chains, column: str) -> dict[str, list[list[Row]]]:
    """Whole chains by each value that a column ever took in them; NULL is nobody's."""
    found: dict[str, list[list[Row]]] = defaultdict(list)
    for versions in chains.values():
        for value in {version[column] for version in versions} - {None}:
            found[value].append(versions)
    return found


def one_client(
    client_id: str,
    client_versions: list[Row],
    jobs: list[list[Row]],
    contracts: list[list[Row]],
    reviews: Reviews,
    world: World,
) -> list[Row]:
    """The rows of one client, from all the jobs and contracts that were ever its own."""

    def state_at(as_of_at: datetime) -> Row:
        return state_of_client(client_id, client_versions, jobs, contracts, reviews, as_of_at)

    instants = {version["known_at"] for version in client_versions}
    for versions in jobs:
        instants |= moments(versions, "posted_at", [90])
    for versions in contracts:
        instants |= moments(versions, "contracted_at", [365])
    for counts_from, versions in reviews:
        instants |= {counts_from} | moments(versions, "reviewed_at", [])
    changes = state_changes(instants, state_at, NO_HISTORY, world)
    return [{"client_id": client_id, **row} for row in changes]


def state_of_client(
    client_id: str,
    client_versions: list[Row],
    jobs: list[list[Row]],
    contracts: list[list[Row]],
    reviews: Reviews,
    as_of_at: datetime,
) -> Row:
    """What was known of one client at a refresh."""
    client = latest_known(client_versions, as_of_at)
    jobs_now = [latest_known(versions, as_of_at) for versions in jobs]
    contracts_now = [latest_known(versions, as_of_at) for versions in contracts]

    posted_90d = [
        job
        for job in jobs_now
        if job is not None
        and job["client_id"] == client_id
        and not job["is_deleted"]
        and is_in_window(job["posted_at"], as_of_at, 90)
    ]
    happened = [
        contract
        for contract in contracts_now
        if contract is not None
        and contract["client_id"] == client_id
        and contract["contracted_at"] <= as_of_at
    ]
    counted = [contract for contract in happened if is_counted(contract)]
    cancelled = [contract for contract in happened if is_cancelled(contract)]
    counted_365d = [row for row in counted if is_in_window(row["contracted_at"], as_of_at, 365)]
    concluded = len(counted) + len(cancelled)
    is_registered = client is not None and not client["is_deleted"]
    return {
        "client_posting_count_90d": len(posted_90d),
        "client_contract_count_365d": len(counted_365d),
        "client_contract_count_all": len(counted),
        "client_log_price_mean_365d": mean_log(fixed_log_prices(counted_365d)),
        "client_cancelled_contract_ratio_all": len(cancelled) / concluded if concluded else None,
        "client_last_contracted_at": max((row["contracted_at"] for row in counted), default=None),
        "client_registered_at": client["registered_at"] if client and is_registered else None,
        **review_state(reviews, as_of_at),
    }
