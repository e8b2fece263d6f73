"""The raw contract: the eight tables that the mart reads, whichever engine holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from feature_mart.errors import UsageError


class Kind(Enum):
    """What a raw column holds, in the words of messages."""

    TEXT = "text"
    NUMBER = "a number"
    INSTANT = "an instant with a time zone"
    FLAG = "a boolean"


#: The raw contract: each table's columns and what they hold; the first is the key.
CONTRACT: Mapping[str, Mapping[str, Kind]] = {
    "categories": {"category_id": Kind.TEXT, "parent_category_id": Kind.TEXT, "name": Kind.TEXT},
    "clients": {
        "client_id": Kind.TEXT,
        "client_kind": Kind.TEXT,
        "registered_at": Kind.INSTANT,
        "loaded_at": Kind.INSTANT,
    },
    "freelancers": {
        "freelancer_id": Kind.TEXT,
        "freelancer_kind": Kind.TEXT,
        "registered_at": Kind.INSTANT,
        "loaded_at": Kind.INSTANT,
    },
    "jobs": {
        "job_id": Kind.TEXT,
        "client_id": Kind.TEXT,
        "category_id": Kind.TEXT,
        "title": Kind.TEXT,
        "description": Kind.TEXT,
        "job_type": Kind.TEXT,
        "budget_min": Kind.NUMBER,
        "budget_max": Kind.NUMBER,
        "currency": Kind.TEXT,
        "posted_at": Kind.INSTANT,
        "apply_deadline_at": Kind.INSTANT,
        "status": Kind.TEXT,
        "loaded_at": Kind.INSTANT,
    },
    "job_skills": {"job_id": Kind.TEXT, "skill": Kind.TEXT},
    "proposals": {
        "proposal_id": Kind.TEXT,
        "job_id": Kind.TEXT,
        "freelancer_id": Kind.TEXT,
        "proposed_price": Kind.NUMBER,
        "proposed_at": Kind.INSTANT,
        "loaded_at": Kind.INSTANT,
    },
    "contracts": {
        "contract_id": Kind.TEXT,
        "job_id": Kind.TEXT,
        "client_id": Kind.TEXT,
        "freelancer_id": Kind.TEXT,
        "agreed_price": Kind.NUMBER,
        "currency": Kind.TEXT,
        "contracted_at": Kind.INSTANT,
        "status": Kind.TEXT,
        "loaded_at": Kind.INSTANT,
    },
    "reviews": {
        "review_id": Kind.TEXT,
        "contract_id": Kind.TEXT,
        "reviewer_kind": Kind.TEXT,
        "rating": Kind.NUMBER,
        "reviewed_at": Kind.INSTANT,
        "loaded_at": Kind.INSTANT,
    },
}

#: Those that hold a value in every row; the others may be NULL. dbt tests the values.
REQUIRED: Mapping[str, frozenset[str]] = {
    "categories": frozenset({"category_id", "name"}),
    "clients": frozenset({"client_id", "loaded_at"}),
    "freelancers": frozenset({"freelancer_id", "loaded_at"}),
    "jobs": frozenset({"job_id", "client_id", "posted_at", "loaded_at"}),
    "job_skills": frozenset({"job_id", "skill"}),
    "proposals": frozenset({"proposal_id", "job_id", "freelancer_id", "proposed_at", "loaded_at"}),
    "contracts": frozenset({"contract_id", "job_id", "client_id", "contracted_at", "loaded_at"}),
    "reviews": frozenset({"review_id", "contract_id", "reviewed_at", "loaded_at"}),
}

#: Columns that a table may carry beside those.
OPTIONAL: Mapping[str, Mapping[str, Kind]] = {
    table: {
        **({"prefecture": Kind.TEXT} if table == "clients" else {}),
        "is_deleted": Kind.FLAG,
        **({"loaded_at": Kind.INSTANT} if table in ("categories", "job_skills") else {}),
    }
    for table in CONTRACT
}


def version_key(table: str) -> tuple[str, ...]:
    """Return the columns that tell a raw table's rows apart, but for their load times."""
    return ("job_id", "skill") if table == "job_skills" else (next(iter(CONTRACT[table])),)


#: The event from whose time a row may be assumed known (seeds/load_clock.csv); a table without one has none.
EVENTS: Mapping[str, str] = {
    "clients": "registered_at",
    "freelancers": "registered_at",
    "jobs": "posted_at",
    "proposals": "proposed_at",
    "contracts": "contracted_at",
    "reviews": "reviewed_at",
}

#: Which tables' rows can be assumed known before they were loaded, and what stays at its initial state until then.
INITIAL_STATE: Mapping[str, Mapping[str, str]] = {
    "clients": {"client_kind": "null", "prefecture": "null"},
    "freelancers": {"freelancer_kind": "null"},
    "jobs": {"apply_deadline_at": "null", "status": "null"},
    "proposals": {},
    "contracts": {"status": "'active'"},
}


def column_faults(
    table: str,
    present: Mapping[str, str],
    fits: Callable[[str, Kind], bool],
    is_overwritten: bool,
) -> list[str]:
    """What is wrong with a table's columns: ``present`` are their types by lower-case name.

    ``fits`` says whether an engine's type holds a kind. A table in ``overwritten_sources`` needs no load time.
    """
    faults = []
    for column, kind in {**CONTRACT[table], **OPTIONAL[table]}.items():
        is_optional = column in OPTIONAL[table] or (is_overwritten and column == "loaded_at")
        found = present.get(column)
        if found is None:
            if not is_optional:
                filled = "filled" if column in REQUIRED[table] else "NULL where unknown"
                faults.append(
                    f"{table}.{column} is missing; add the column as {kind.value}, {filled}"
                )
        elif (
            not fits(found, kind)
            and kind is Kind.INSTANT
            and found.startswith(("TIMESTAMP", "DATETIME"))
        ):
            faults.append(
                f"{table}.{column} is {found}, a time without a zone; write it as {kind.value} "
                "(timestamptz; BigQuery's TIMESTAMP), or nobody knows when it was"
            )
        elif not fits(found, kind):
            faults.append(f"{table}.{column} is {found}; it must be {kind.value}: convert it there")
    return faults


def raise_faults(warehouse: object, faults: Sequence[str]) -> None:
    """Raises: UsageError naming every fault, where there is any."""
    if faults:
        raise UsageError(
            f"The warehouse {warehouse} is not as the raw contract says:\n"
            + "\n".join(f"  - {fault}" for fault in faults)
        )
