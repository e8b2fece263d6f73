"""Compute feat_client__history, with one row per client and refresh at which a value changed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .chain import is_in_window, latest_known, moments, state_changes
from .clock import Row, World
from .contracts import fixed_log_prices, is_cancelled, is_counted
from .numbers import mean_log, ratio
from .reviews import Reviews, counted_ratings, reviews_by_client

Chains = dict[str, list[Row]]


@dataclass(frozen=True, slots=True)
class Known:
    """Hold what is known of one client at a refresh.

    Attributes:
        at: the refresh.
        client: the last known version of the client; None if the client is unknown or deleted.
        jobs: the last known version of each of the client's jobs that were posted by the refresh and are not deleted.
        contracts: the last known version of each of the client's contracts that were signed by the refresh and are not
            deleted, whatever the status.
        ratings: the ratings in millionths, one for each review that counts.
    """

    at: datetime
    client: Row | None
    jobs: list[Row]
    contracts: list[Row]
    ratings: list[int]

    def posted(self, days: int) -> list[Row]:
        """Return the jobs posted in the last `days` days."""
        return [row for row in self.jobs if is_in_window(row["posted_at"], self.at, days)]

    def counted(self, days: int | None = None) -> list[Row]:
        """Return the active and completed contracts signed in the last `days` days; with None, signed at any time."""
        within = [r for r in self.contracts if is_in_window(r["contracted_at"], self.at, days)]
        return [row for row in within if is_counted(row)]

    def cancelled(self) -> list[Row]:
        """Return the cancelled contracts."""
        return [row for row in self.contracts if is_cancelled(row)]


#: For each column, the function that computes its value from what is known of a client. A column whose name ends in
#: `_<n>d` has a window of n days.
COLUMNS: dict[str, Callable[[Known], Any]] = {
    "client_posting_count_90d": lambda now: len(now.posted(90)),
    "client_contract_count_365d": lambda now: len(now.counted(365)),
    "client_contract_count_all": lambda now: len(now.counted()),
    "client_log_price_mean_365d": lambda now: mean_log(fixed_log_prices(now.counted(365))),
    "client_cancelled_contract_ratio_all": lambda now: ratio(
        len(now.cancelled()), len(now.cancelled()) + len(now.counted())
    ),
    "client_last_contracted_at": lambda now: max(
        (row["contracted_at"] for row in now.counted()), default=None
    ),
    "client_registered_at": lambda now: now.client and now.client["registered_at"],
    "client_review_count_all": lambda now: len(now.ratings),
    "client_rating_mean_all": lambda now: ratio(sum(now.ratings), len(now.ratings) * 1_000_000),
}

#: The windows of all columns, in days. At the end of a window, a job or contract may stop counting in a column.
WINDOWS = sorted({int(found[1]) for name in COLUMNS if (found := re.search(r"_(\d+)d$", name))})


def client_history(
    clients: Chains, jobs: Chains, contracts: Chains, reviews: Chains, world: World
) -> list[Row]:
    """Return a row for each client and refresh at which a column changed."""
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
    """Group version chains by a column; a chain is listed under every non-NULL value that one of its versions has."""
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
    """Return the rows of one client, from all jobs, contracts and reviews that ever belonged to the client."""

    def state_at(as_of_at: datetime) -> Row:
        return state_of_client(client_id, client_versions, jobs, contracts, reviews, as_of_at)

    instants = {version["known_at"] for version in client_versions}
    for versions in jobs:
        instants |= moments(versions, "posted_at", WINDOWS)
    for versions in contracts:
        instants |= moments(versions, "contracted_at", WINDOWS)
    for counts_from, versions in reviews:
        instants |= {counts_from} | moments(versions, "reviewed_at", WINDOWS)
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
    """Return all columns of one client at a refresh."""
    client = latest_known(client_versions, as_of_at)

    def own(chains: list[list[Row]], event: str) -> list[Row]:
        rows = [latest_known(versions, as_of_at) for versions in chains]
        return [
            row
            for row in rows
            if row is not None
            and row["client_id"] == client_id
            and row[event] <= as_of_at
            and not row["is_deleted"]
        ]

    now = Known(
        at=as_of_at,
        client=None if client is None or client["is_deleted"] else client,
        jobs=own(jobs, "posted_at"),
        contracts=own(contracts, "contracted_at"),
        ratings=counted_ratings(reviews, as_of_at),
    )
    return {name: compute(now) for name, compute in COLUMNS.items()}


#: The values of the columns for a client without history.
NO_HISTORY: Row = {
    name: compute(Known(datetime.max.replace(tzinfo=UTC), None, [], [], []))
    for name, compute in COLUMNS.items()
}
