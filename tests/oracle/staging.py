"""Turn raw rows into row versions: cleaned, without exact duplicates, with ``known_at``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from .clock import LoadClockLine, Row, Tables, World
from .numbers import half_away_from_zero

# The tables whose keys may have an assumed initial version. For each table, the column with the time of the event, and
# the values that the initial version has instead of those of the first loaded row.
INITIAL_STATE: dict[str, tuple[str, Row]] = {
    "clients": ("registered_at", {"client_kind": None, "prefecture": None}),
    "freelancers": ("registered_at", {"freelancer_kind": None}),
    "jobs": ("posted_at", {"status": None, "apply_deadline_at": None}),
    "proposals": ("proposed_at", {}),
    "contracts": ("contracted_at", {"status": "active"}),
}
PRIMARY_KEY = {
    "clients": "client_id",
    "freelancers": "freelancer_id",
    "jobs": "job_id",
    "proposals": "proposal_id",
    "contracts": "contract_id",
    "reviews": "review_id",
}
MONEY = ("budget_min", "budget_max", "proposed_price", "agreed_price")


def cleaned(row: Row) -> Row:
    """Return a cleaned copy of a raw row.

    Timestamps are in UTC, and money is in whole units in ``<name>_amount``. Status and reviewer kind are trimmed and
    in lower case. ``is_deleted`` is a bool.
    """
    out = {name: _clean(name, value) for name, value in row.items()}
    for name in MONEY:
        if name in out:
            out[f"{name}_amount"] = out.pop(name)
    out["is_deleted"] = bool(row.get("is_deleted"))
    return out


def _clean(name: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if name in MONEY:
        return half_away_from_zero(Decimal(str(value)))
    if name in ("status", "reviewer_kind"):
        return value.strip().lower()
    return value


def row_versions(table: str, tables: Tables, world: World) -> dict[str, list[Row]]:
    """Return, by key, the versions known by the build's refresh, ordered by (known_at, loaded_at).

    A version is a cleaned row with ``known_at`` and ``is_known_at_assumed``. Keys without a known version are left
    out.

    Raises:
        ValueError: two raw rows with the same key and ``loaded_at`` have different values after cleaning.
    """
    loads: dict[str, dict[datetime, Row]] = defaultdict(dict)
    for raw in tables.get(table, []):
        row = cleaned(raw)
        key = row[PRIMARY_KEY[table]]
        if loads[key].setdefault(row["loaded_at"], row) != row:
            raise ValueError(f"{table} {key}: one loaded_at, two sets of values")

    chains = {}
    for key, by_load in loads.items():
        rows = [by_load[loaded_at] for loaded_at in sorted(by_load)]
        versions = [
            row | {"known_at": row["loaded_at"], "is_known_at_assumed": False} for row in rows
        ]
        first = initial_version(table, rows[0], world.load_clock_lines(table))
        if first is not None:
            versions.append(first)
        known = [version for version in versions if version["known_at"] <= world.as_of_at]
        if known:
            chains[key] = sorted(known, key=lambda row: (row["known_at"], row["loaded_at"]))
    return chains


def initial_version(table: str, first_row: Row, lines: Sequence[LoadClockLine]) -> Row | None:
    """Return the assumed initial version of a key; None if the key has no initial version.

    A key has an initial version only if the key was first loaded in a period of the load clock, and the event plus the
    lag of the period is earlier than the load. Reviews never have an initial version.

    Args:
        table: the raw table.
        first_row: the row of the key that was loaded first.
        lines: the load clock's lines for the table.
    """
    loaded_at = first_row["loaded_at"]
    line = next((line for line in lines if _holds(line, loaded_at)), None)
    if line is None or table not in INITIAL_STATE:
        return None
    event, initial_state = INITIAL_STATE[table]
    if first_row[event] is None:
        return None
    known_at = first_row[event] + timedelta(hours=line.assumed_lag_hours)
    if known_at >= loaded_at:
        return None
    assumed = {"is_deleted": False, "known_at": known_at, "is_known_at_assumed": True}
    return first_row | initial_state | assumed


def _holds(line: LoadClockLine, loaded_at: datetime) -> bool:
    starts = line.untrusted_from
    return loaded_at < line.trusted_from and (starts is None or starts <= loaded_at)
