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
_INSTANT = ("TIMESTAMP WITH TIME ZONE",)
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

#: Columns that a table may carry beside those.
OPTIONAL: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    table: {
        "is_deleted": _FLAG,
        **({"loaded_at": _INSTANT} if table in ("categories", "job_skills") else {}),
    }
    for table in CONTRACT
}

#: Where rows of one day are more than this share of a table, it was loaded in bulk.
BULK_SHARE = 0.5
_BULK_ROWS = 100


@dataclass(frozen=True, slots=True)
class BulkLoad:
    """A table of which one day's loads hold over half, and the seed line that says so."""

    table: str
    day: str
    rows: int
    of: int
    trusted_from: str

    def seed_line(self, warehouse: str) -> str:
        """The line for seeds/load_clock.csv; the lag is for a person to judge."""
        return f'"{warehouse}","{self.table}","{self.trusted_from}","24","bulk load of {self.day}"'


def check_warehouse(folder: Path, overwritten: Sequence[str] = ()) -> None:
    """Compare a folder of Parquet files with the raw contract.

    A table in ``overwritten`` needs no load time: its snapshot has one.

    Raises:
        UsageError: naming every table and column that is not as the contract says.
    """
    if not folder.is_dir():
        raise UsageError(
            f"The warehouse {folder} is not a folder: set MART_DWH (or `make mart DWH=…`) to a "
            "folder of Parquet files, one a raw table."
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
                    "select epoch_us(max(loaded_at)) from read_parquet(?)", [str(path)]
                ).fetchone()
                newest += [row[0]] if row and row[0] is not None else []
    return _EPOCH + timedelta(microseconds=max(newest)) if newest else None


def bulk_loads(folder: Path, known: Sequence[str] = ()) -> tuple[BulkLoad, ...]:
    """Tables of which one UTC day's loads hold over half; those in ``known`` have their line."""
    found: list[BulkLoad] = []
    with _connect() as con:
        for table in CONTRACT:
            path = folder / f"{table}.parquet"
            if table in known or "loaded_at" not in _columns(con, path):
                continue
            row = con.execute(
                "select strftime(day, '%Y-%m-%d'), n, total, strftime(last, '%Y-%m-%d %H:%M:%S+00')"
                " from (select date_trunc('day', loaded_at) as day, count(*) as n,"
                " sum(count(*)) over () as total, max(loaded_at) + interval 1 second as last"
                " from read_parquet(?) where loaded_at is not null group by 1)"
                " order by n desc, day limit 1",
                [str(path)],
            ).fetchone()
            if row and row[2] > _BULK_ROWS and row[1] > BULK_SHARE * row[2]:
                found.append(BulkLoad(table, row[0], int(row[1]), int(row[2]), row[3]))
    return tuple(found)


def _connect() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    return con


def _columns(con: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    rows = con.execute("describe select * from read_parquet(?)", [str(path)]).fetchall()
    return {str(row[0]): str(row[1]) for row in rows}


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
                faults.append(
                    f"{table}.{column} is missing; add the column, "
                    + ("filled" if column.endswith("_id") else "NULL where unknown")
                )
        elif types is _INSTANT and found.startswith("TIMESTAMP") and found not in types:
            faults.append(
                f"{table}.{column} is {found}, a time without a zone; write it as an instant "
                "(timestamp with time zone), or nobody knows when it was"
            )
        elif not any(found == type_ or found.startswith(f"{type_}(") for type_ in types):
            faults.append(f"{table}.{column} is {found}; it must be {_NAMES[types]}")
    return faults
