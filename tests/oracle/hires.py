"""Compute int_job__hire_label, which says whether somebody was hired within 14 days."""

from __future__ import annotations

from datetime import datetime, timedelta

from .chain import by_key, latest_known
from .client_history import Chains
from .clock import Row, World

HORIZON = timedelta(days=14)


def hire_labels(requests: list[Row], jobs: Chains, contracts: Chains, world: World) -> list[Row]:
    """Return a row for each request: the label, when it is read, the exclusion reason, and the last change of the row.

    The label is None in an excluded row. `label_known_at` is None until the label can be read.
    """
    firsts_of_job = by_key([versions[0] for versions in contracts.values()], "job_id")
    rows = []
    for request in requests:
        lag = timedelta(days=world.hire_label_lag_days)
        known_at = world.clock.refresh(request["requested_at"] + HORIZON + lag)
        firsts = firsts_of_job.get(request["job_id"], [])
        own = [contracts[first["contract_id"]] for first in firsts]
        if known_at > world.as_of_at:
            rows.append(
                {
                    "job_id": request["job_id"],
                    "revised_at": request["entered_at"],
                    "label_known_at": None,
                    "is_hired_within_14d": None,
                    "exclusion_reason": NOT_YET,
                }
            )
            continue
        is_hired, reason = hire(request, jobs[request["job_id"]], own, known_at)
        rows.append(
            {
                "job_id": request["job_id"],
                "revised_at": max(request["entered_at"], known_at),
                "label_known_at": known_at,
                "is_hired_within_14d": None if reason else int(is_hired),
                "exclusion_reason": reason,
            }
        )
    return rows


NOT_YET = "label_not_yet_known"


def hire(
    request: Row, job_versions: list[Row], contracts: list[list[Row]], known_at: datetime
) -> tuple[bool, str | None]:
    """Return the label and the exclusion reason of a request.

    Args:
        request: the spine row.
        job_versions: the version chain of the job.
        contracts: the version chains of the job's contracts.
        known_at: the refresh at which the label is read.

    Returns:
        A pair: whether somebody was hired within 14 days, and the reason why the row must not be used for training. The
        reason is None if the row may be used.
    """
    in_time = [
        contract
        for contract in (latest_known(versions, known_at) for versions in contracts)
        if contract is not None
        and not contract["is_deleted"]
        and contract["contracted_at"] <= request["requested_at"] + HORIZON
    ]
    is_hired = any(contract["status"] != "void" for contract in in_time)
    job = latest_known(job_versions, known_at)
    if job is not None and job["is_deleted"]:
        return is_hired, "job_deleted"
    if any(versions[0]["known_at"] <= request["requested_at"] for versions in contracts):
        return is_hired, "label_known_before_request"
    if in_time and not is_hired:
        return is_hired, "void"
    return is_hired, None
