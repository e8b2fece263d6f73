"""Compute the training marts and the price label."""

from __future__ import annotations

from datetime import datetime, timedelta

from .chain import by_key, latest_known
from .client_history import Chains
from .clock import Row, World
from .numbers import fixed_log


def training(feature_rows: list[Row], jobs: Chains, contracts: Chains, world: World) -> list[Row]:
    """Return every row of the features mart with the columns of the price label."""
    first_versions = [versions[0] for versions in contracts.values()]
    first_versions_of_job = by_key(first_versions, "job_id")
    rows = []
    for features in feature_rows:
        job_id = features["job_id"]
        contract_versions = label_contract(first_versions_of_job.get(job_id, []), contracts)
        known_at = label_known_at(contract_versions, world)
        reason = exclusion_reason(
            features["requested_at"], jobs[job_id], contract_versions, known_at
        )
        price_log = None
        if reason is None and known_at is not None:
            price = fixed_log(_label_version(contract_versions, known_at)["agreed_price_amount"])
            price_log = None if price is None else price / 1e6
        label = {"label_known_at": known_at, "price_log": price_log, "exclusion_reason": reason}
        entered_at = features["entered_at"]
        revised_at = entered_at if known_at is None else max(entered_at, known_at)
        rows.append(features | {"revised_at": revised_at} | label)
    return rows


def labelled(feature_rows: list[Row], labels: list[Row]) -> list[Row]:
    """Return the rows of the features mart, each with the columns of the label row of its job."""
    label_of = {label["job_id"]: label for label in labels}
    return [features | label_of[features["job_id"]] for features in feature_rows]


def label_contract(first_versions: list[Row], contracts: Chains) -> list[Row]:
    """Return all versions of a job's first known contract; an empty list if the job has no contract.

    Ties go to the lower contract_id.

    Args:
        first_versions: the first version of each contract of the job.
        contracts: the version chains of all contracts.
    """
    first = min(first_versions, key=lambda row: (row["known_at"], row["contract_id"]), default=None)
    return [] if first is None else contracts[first["contract_id"]]


def label_known_at(contract_versions: list[Row], world: World) -> datetime | None:
    """Return the refresh at which the label is read; None without a contract or if the build's refresh is earlier."""
    if not contract_versions:
        return None
    lag = timedelta(days=world.label_lag_days)
    known_at = world.clock.refresh(contract_versions[0]["known_at"] + lag)
    return known_at if known_at <= world.as_of_at else None


def _label_version(contract_versions: list[Row], known_at: datetime) -> Row:
    version = latest_known(contract_versions, known_at)
    assert version is not None, "a label is read after its contract's first version is known"
    return version


def exclusion_reason(
    requested_at: datetime,
    job_versions: list[Row],
    contract_versions: list[Row],
    known_at: datetime | None,
) -> str | None:
    """Return the first applicable reason to exclude a row from training; None if the row may be used."""
    if known_at is None:
        return "label_not_yet_known"
    job = latest_known(job_versions, known_at)
    if job is not None and job["is_deleted"]:
        return "job_deleted"
    if contract_versions[0]["known_at"] <= requested_at:
        return "label_known_before_request"
    contract = _label_version(contract_versions, known_at)
    if contract["is_deleted"]:
        return "contract_deleted"
    if contract["status"] in ("void", "cancelled"):
        return str(contract["status"])
    price, status = contract["agreed_price_amount"], contract["status"]
    if price is None or price <= 0 or status not in ("active", "completed"):
        return "price_missing"
    return None
