"""What a contract version stands for, and the category it is counted under."""

from __future__ import annotations

from datetime import datetime

from .chain import latest_known
from .clock import Clock, Row
from .numbers import fixed_log


def is_counted(contract: Row) -> bool:
    """A contract that was made and stands."""
    return not contract["is_deleted"] and contract["status"] in ("active", "completed")


def is_cancelled(contract: Row) -> bool:
    """A contract that was made and called off; void is neither counted nor cancelled."""
    return not contract["is_deleted"] and contract["status"] == "cancelled"


def fixed_log_prices(counted: list[Row]) -> list[int]:
    """The log prices of those counted contracts that have a price above zero."""
    logs = [fixed_log(contract["agreed_price_amount"]) for contract in counted]
    return [log for log in logs if log is not None]


def frozen_category(
    contract_versions: list[Row], job_versions: list[Row], clock: Clock
) -> tuple[datetime, str | None] | None:
    """When a contract first counts in a category, and in which: that of the job as known then.

    It first counts at the first refresh that knows the job and knows the contract as counted and
    happened. The job's category at that refresh stays the contract's for good. None: never.
    """
    instants = {job_versions[0]["known_at"]} if job_versions else set()
    instants |= {version["known_at"] for version in contract_versions}
    instants |= {version["contracted_at"] for version in contract_versions}
    for as_of_at in sorted({clock.refresh(instant) for instant in instants}):
        contract = latest_known(contract_versions, as_of_at)
        job = latest_known(job_versions, as_of_at)
        if contract is None or job is None or not is_counted(contract):
            continue
        if contract["contracted_at"] <= as_of_at:
            return as_of_at, job["category_id"]
    return None
