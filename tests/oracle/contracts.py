"""Decide which contract versions count, and in which category."""

from __future__ import annotations

from datetime import datetime

from .chain import latest_known
from .clock import Clock, Row
from .numbers import fixed_log


def is_counted(contract: Row) -> bool:
    """Return True if a contract version is active or completed, and not deleted."""
    return not contract["is_deleted"] and contract["status"] in ("active", "completed")


def is_cancelled(contract: Row) -> bool:
    """Return True if a contract version is cancelled and not deleted; a void contract is not cancelled."""
    return not contract["is_deleted"] and contract["status"] == "cancelled"


def fixed_log_prices(counted: list[Row]) -> list[int]:
    """Return the log prices, in millionths, of the contracts with a price above 0."""
    logs = [fixed_log(contract["agreed_price_amount"]) for contract in counted]
    return [log for log in logs if log is not None]


def frozen_category(
    contract_versions: list[Row], job_versions: list[Row], clock: Clock
) -> tuple[datetime, str | None] | None:
    """Return the refresh at which a contract first counts, and its category; None if the contract never counts.

    A contract first counts at the first refresh at which its job is known, and the contract is known, counted and
    signed. The category is the one in the version of the job known at that refresh, and does not change afterwards.
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
