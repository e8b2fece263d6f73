"""The raw warehouse as files: whether its structure is what the contract says, before dbt starts.

What needs the rows themselves (currencies, prices, versions) is tested by dbt, on either engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from feature_mart.errors import UsageError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = ("VARCHAR",)
_NUMBER = (
    *("DECIMAL", "DOUBLE", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
)
_INSTANT = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
# A column in which no writer ever put a value: Parquet has a type for that, and it casts to any other.
_NOTHING = '"NULL"'
_FLAG = ("BOOLEAN",)
_NAMES = {
    _TEXT: "text",
    _NUMBER: "a number",
    _INSTANT: "an instant with a time zone",
    _FLAG: "a boolean",
}

#: The raw contract: each table's columns and what they hold; the first is the key.
CONTRACT: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "categories": {"category_id": _TEXT, "parent_category_id": _TEXT, "name": _TEXT},
    "clients": {
        "client_id": _TEXT,
        "client_kind": _TEXT,
        "prefecture": _TEXT,
        "registered_at": _INSTANT,
        "loaded_at": _INSTANT,
    },
    "freelancers": {
        "freelancer_id": _TEXT,
        "freelancer_kind": _TEXT,
        "registered_at": _INSTANT,
        "loaded_at": _INSTANT,
    },
    "jobs": {
        "job_id": _TEXT,
        "client_id": _TEXT,
        "category_id": _TEXT,
        "title": _TEXT,
        "description": _TEXT,
        "job_type": _TEXT,
        "budget_min": _NUMBER,
        "budget_max": _NUMBER,
        "currency": _TEXT,
        "posted_at": _INSTANT,
        "apply_deadline_at": _INSTANT,
        "status": _TEXT,
        "loaded_at": _INSTANT,
    },
    "job_skills": {"job_id": _TEXT, "skill": _TEXT},
    "proposals": {
        "proposal_id": _TEXT,
        "job_id": _TEXT,
        "freelancer_id": _TEXT,
        "proposed_price": _NUMBER,
        "proposed_at": _INSTANT,
        "loaded_at": _INSTANT,
    },
    "contracts": {
        "contract_id": _TEXT,
        "job_id": _TEXT,
        "client_id": _TEXT,
        "freelancer_id": _TEXT,
        "agreed_price": _NUMBER,
        "currency": _TEXT,
        "contracted_at": _INSTANT,
        "status": _TEXT,
        "loaded_at": _INSTANT,
    },
    "reviews": {
        "review_id": _TEXT,
        "contract_id": _TEXT,
        "reviewer_kind": _TEXT,
        "rating": _NUMBER,
        "reviewed_at": _INSTANT,
        "loaded_at": _INSTANT,
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
OPTIONAL: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    table: {
        "is_deleted": _FLAG,
        **({"loaded_at": _INSTANT} if table in ("categories", "job_skills") else {}),
    }
    for table in CONTRACT
}

#: The event from whose time a row may be assumed known (seeds/load_clock.csv); a table without one has none.
EVENTS: Mapping[str, str] = {
    "clients": "registered_at",
    "freelancers": "registered_at",
    "jobs": "posted_at",
    "proposals": "proposed_at",
    "contracts": "contracted_at",
    "reviews": "reviewed_at",
}

#: Where rows of one day are more than this share of a table, it was loaded in bulk.
BULK_SHARE = 0.5
_BULK_ROWS = 100
_ASSUMED_LAG_HOURS = 24


@dataclass(frozen=True, slots=True)
class BulkLoad:
    """A table of which the loads of one business day hold over half of the rows.

    `earlier` of that day's rows tell of an event more than a day before their load: they alone would be known sooner
    by a line in seeds/load_clock.csv. `trusted_from` is the second after the day's last load.
    """

    table: str
    day: str
    rows: int
    of: int
    earlier: int
    trusted_from: str

    def seed_line(self, warehouse: str) -> str | None:
        """The line for seeds/load_clock.csv, whose hours a person has to judge; None where it would change nothing."""
        if not self.earlier:
            return None
        hours = str(_ASSUMED_LAG_HOURS)
        note = f"bulk load of {self.day}"
        return ",".join(
            f'"{value}"' for value in (warehouse, self.table, self.trusted_from, hours, note)
        )


def check_warehouse(folder: Path, overwritten: Sequence[str] = ()) -> None:
    """Compare a folder of Parquet files with the raw contract.

    A table in ``overwritten`` needs no load time: its snapshot has one.

    Raises:
        UsageError: naming every table and column that is not as the contract says.
    """
    if not folder.is_dir():
        raise UsageError(
            f"The warehouse {folder} is not a folder: set MART_DWH (or `make mart DWH=…`) to a folder of "
            "Parquet files, one a raw table; `mart sample` makes one to try."
        )
    faults: list[str] = []
    with _connect() as con:
        for table in CONTRACT:
            faults += _table_faults(con, folder, table, table in overwritten)
        if not faults and _count(con, folder / "jobs.parquet") == 0:
            faults.append("jobs: the table has no rows; without jobs there is nothing to build")
    if faults:
        raise UsageError(
            f"The warehouse {folder} is not as the raw contract says:\n"
            + "\n".join(f"  - {fault}" for fault in faults)
        )


def newest_load(folder: Path) -> datetime | None:
    """The greatest `loaded_at` of all tables that have one; None when there is no row at all."""
    newest: list[int] = []
    with _connect() as con:
        for table in CONTRACT:
            path = folder / f"{table}.parquet"
            if "loaded_at" in _columns(con, path):
                row = con.execute(
                    "select epoch_us(cast(max(loaded_at) as timestamptz)) from read_parquet(?)",
                    [str(path)],
                ).fetchone()
                newest += [row[0]] if row and row[0] is not None else []
    return _EPOCH + timedelta(microseconds=max(newest)) if newest else None


def bulk_loads(folder: Path, timezone: str, known: Sequence[str] = ()) -> tuple[BulkLoad, ...]:
    """Tables of over 100 rows of which one day's loads hold over half; those in ``known`` have their line.

    Days are those of ``timezone``. Tables without an event time cannot have a line and are left out.
    """
    found: list[BulkLoad] = []
    with _connect() as con:
        for table, event_at in EVENTS.items():
            path = folder / f"{table}.parquet"
            if table in known or "loaded_at" not in _columns(con, path):
                continue
            row = con.execute(
                _BULK_QUERY.format(event_at=event_at, hours=_ASSUMED_LAG_HOURS),
                [timezone, str(path)],
            ).fetchone()
            if row and row[2] > _BULK_ROWS and row[1] > BULK_SHARE * row[2]:
                found.append(BulkLoad(table, *row))
    return tuple(found)


_BULK_QUERY = """
select
    strftime(day, '%Y-%m-%d'),
    count(*) as n,
    sum(count(*)) over (),
    count(*) filter (event_at + to_hours({hours}) < loaded_at),
    strftime(max(loaded_at) + to_seconds(1), '%Y-%m-%d %H:%M:%S+00')
from (
    select
        cast(loaded_at as timestamptz) as loaded_at,
        cast({event_at} as timestamptz) as event_at,
        cast(timezone(?, cast(loaded_at as timestamptz)) as date) as day
    from read_parquet(?)
)
where loaded_at is not null
group by day
order by n desc, day
limit 1
"""


def _connect() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    return con


def _columns(con: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    rows = con.execute("describe select * from read_parquet(?)", [str(path)]).fetchall()
    return {str(row[0]).lower(): str(row[1]) for row in rows}


def _count(con: duckdb.DuckDBPyConnection, path: Path) -> int:
    row = con.execute("select count(*) from read_parquet(?)", [str(path)]).fetchone()
    return int(row[0]) if row else 0


def _table_faults(
    con: duckdb.DuckDBPyConnection, folder: Path, table: str, is_overwritten: bool
) -> list[str]:
    path = folder / f"{table}.parquet"
    if not path.is_file():
        return [f"{table}: {path.name} is missing; an empty table needs its file and columns too"]
    try:
        present = _columns(con, path)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        return [f"{table}: {path.name} cannot be read as Parquet ({reason}); write it again"]
    faults = []
    for column, types in {**CONTRACT[table], **OPTIONAL[table]}.items():
        is_optional = column in OPTIONAL[table] or (is_overwritten and column == "loaded_at")
        found = present.get(column)
        if found is None:
            if not is_optional:
                filled = "filled" if column in REQUIRED[table] else "NULL where unknown"
                faults.append(
                    f"{table}.{column} is missing; add the column as {_NAMES[types]}, {filled}"
                )
        elif found == _NOTHING:
            continue
        elif types is _INSTANT and found.startswith("TIMESTAMP") and found not in types:
            faults.append(
                f"{table}.{column} is {found}, a time without a zone; write it as {_NAMES[types]} "
                "(timestamptz), or nobody knows when it was"
            )
        elif not any(found == type_ or found.startswith(f"{type_}(") for type_ in types):
            faults.append(
                f"{table}.{column} is {found}; it must be {_NAMES[types]}: convert it there"
            )
    return faults
