"""Compute feat_category__demand, from the jobs posted in the last 90 days, their proposals and first contracts."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from .chain import latest_known, state_changes
from .client_history import Chains
from .clock import Row, World
from .contracts import is_counted
from .numbers import ratio
from .training import label_contract

WINDOW = timedelta(days=90)


def category_demand(
    requests: list[Row], proposals: Chains, contracts: Chains, world: World
) -> list[Row]:
    """Return one row for each category in the spine and each refresh at which the category's demand changed."""
    proposals_of: dict[str, list[list[Row]]] = defaultdict(list)
    for versions in proposals.values():
        for job_id in {row["job_id"] for row in versions}:
            proposals_of[job_id].append(versions)
    firsts_of: dict[str, list[Row]] = defaultdict(list)
    for versions in contracts.values():
        firsts_of[versions[0]["job_id"]].append(versions[0])
    jobs_of: dict[str, list[Row]] = defaultdict(list)
    for request in requests:
        if request["category_id"] is not None:
            jobs_of[request["category_id"]].append(request)
    rows = []
    for category_id, own in sorted(jobs_of.items()):
        jobs = [
            (
                request,
                proposals_of[request["job_id"]],
                label_contract(firsts_of[request["job_id"]], contracts),
            )
            for request in own
        ]
        rows += one_category(category_id, jobs, world)
    return rows


Job = tuple[Row, list[list[Row]], list[Row]]


def one_category(category_id: str, jobs: list[Job], world: World) -> list[Row]:
    """Return the rows of one category, from its jobs, the proposals for each job and the job's first contract."""
    instants = set()
    for request, proposals, contract in jobs:
        instants |= {request["entered_at"], request["requested_at"] + WINDOW}
        instants |= {row[n] for versions in proposals for row in versions for n in PROPOSAL}
        instants |= {row[name] for row in contract for name in ("known_at", "contracted_at")}

    def state_at(as_of_at: datetime) -> Row:
        return demand_at(jobs, as_of_at)

    changes = state_changes(instants, state_at, NO_DEMAND, world)
    return [{"category_id": category_id, **row} for row in changes]


PROPOSAL = ("known_at", "proposed_at")


def demand_at(jobs: list[Job], at: datetime) -> Row:
    """Return the demand of a category as known at a refresh."""
    postings = offers = fills = 0
    for request, proposals, contract_versions in jobs:
        if not request["entered_at"] <= at < request["requested_at"] + WINDOW:
            continue
        postings += 1
        now = [latest_known(versions, at) for versions in proposals]
        offers += sum(
            1
            for row in now
            if row is not None
            and row["job_id"] == request["job_id"]
            and not row["is_deleted"]
            and row["proposed_at"] <= at
        )
        contract = latest_known(contract_versions, at)
        is_filled = contract is not None and is_counted(contract)
        fills += int(is_filled and contract is not None and contract["contracted_at"] <= at)
    return {
        "category_posting_count_90d": postings,
        "category_proposals_per_posting_90d": ratio(offers, postings),
        "category_fill_ratio_90d": ratio(fills, postings),
    }


NO_DEMAND: Row = demand_at([], datetime.max.replace(tzinfo=UTC))
