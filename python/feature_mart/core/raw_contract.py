"""Define the raw contract: the columns and types of the eight raw tables, which are the same on both engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from feature_mart.core.errors import UsageError


class Kind(Enum):
    """The type of a raw column; the value is its name in messages."""

    TEXT = "text"
    NUMBER = "a number"
    INSTANT = "a timestamp with a time zone"
    FLAG = "a boolean"


#: The columns of each table and the type of each column. The first column is the key of the table. Only job_skills has
#: a key of two columns, job_id and skill.
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

#: The columns of each table that must not be NULL. dbt tests check this.
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

#: Columns that a table may have in addition to those of `CONTRACT`.
OPTIONAL: Mapping[str, Mapping[str, Kind]] = {
    table: {
        **({"prefecture": Kind.TEXT} if table == "clients" else {}),
        "is_deleted": Kind.FLAG,
        **({"loaded_at": Kind.INSTANT} if table in ("categories", "job_skills") else {}),
    }
    for table in CONTRACT
}


#: The message for a table jobs without rows. No other table has to have rows.
NO_JOBS = (
    "jobs: the table has no rows, but needs at least one: write a row for each job posting; the other seven tables "
    "may be empty"
)


def version_key(table: str) -> tuple[str, ...]:
    """Return the columns that, together with the load time, identify a row version of a raw table."""
    return ("job_id", "skill") if table == "job_skills" else (next(iter(CONTRACT[table])),)


#: Maps each table that records events to the column with the time of the event. From this time, the load clock
#: (seeds/load_clock.csv) computes when a row is assumed to have been known.
EVENTS: Mapping[str, str] = {
    "clients": "registered_at",
    "freelancers": "registered_at",
    "jobs": "posted_at",
    "proposals": "proposed_at",
    "contracts": "contracted_at",
    "reviews": "reviewed_at",
}

#: For each table, the columns whose values may change after the event, each with its initial value as SQL. If the load
#: clock assumes that a row was known before it was loaded, the initial values apply from the assumed time until the
#: load time. The load clock does not apply to tables that are not listed.
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
    """Return a message for each column of a table that is missing or has a wrong type.

    ``present`` has the engine's type of each column, by lower-case name. ``fits`` returns True if such a type can hold
    the values of a kind. ``is_overwritten`` is True for a table in ``overwritten_sources``, which needs no load time.
    """
    faults = []
    for column, kind in {**CONTRACT[table], **OPTIONAL[table]}.items():
        is_optional = column in OPTIONAL[table] or (is_overwritten and column == "loaded_at")
        found = present.get(column)
        if found is None:
            if not is_optional:
                filled = "filled" if column in REQUIRED[table] else "with NULL where unknown"
                faults.append(
                    f"{table}.{column} is missing; add the column as {kind.value}, {filled}"
                )
        elif (
            not fits(found, kind)
            and kind is Kind.INSTANT
            and found.startswith(("TIMESTAMP", "DATETIME"))
        ):
            faults.append(
                f"{table}.{column} is {found}, a timestamp without a time zone, which is ambiguous; write the column "
                f"as {kind.value} (timestamptz; TIMESTAMP on BigQuery)"
            )
        elif not fits(found, kind):
            faults.append(
                f"{table}.{column} is {found}, but must be {kind.value}; convert the column in the warehouse"
            )
    return faults


def raise_faults(warehouse: object, faults: Sequence[str]) -> None:
    """Raise one error for all faults of a warehouse, or return if there are none.

    Raises:
        UsageError: there are faults; the message lists them.
    """
    if faults:
        raise UsageError(
            f"The warehouse {warehouse} does not follow the contract of the raw tables:\n"
            + "\n".join(f"  - {fault}" for fault in faults)
        )
