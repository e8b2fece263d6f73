"""The raw warehouse as files: whether its structure is what the raw contract says, before dbt starts.

What needs the rows themselves (currencies, prices, versions) is tested by dbt, on either engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from feature_mart.errors import UsageError
from feature_mart.raw_contract import (
    BULK_HOURS,
    BULK_ROWS,
    BULK_SHARE,
    CONTRACT,
    EVENTS,
    BulkLoad,
    Kind,
    column_faults,
    raise_faults,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: What DuckDB calls the contract's kinds of value.
_TYPES: Mapping[Kind, tuple[str, ...]] = {
    Kind.TEXT: ("VARCHAR",),
    Kind.NUMBER: (
        *("DECIMAL", "DOUBLE", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    ),
    Kind.INSTANT: ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"),
    Kind.FLAG: ("BOOLEAN",),
}
# Parquet has a type for a column of nothing but NULL, and it casts to any other.
_NOTHING = '"NULL"'


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
    raise_faults(folder, faults)


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
                _BULK_QUERY.format(event_at=event_at, hours=BULK_HOURS),
                [timezone, str(path)],
            ).fetchone()
            if row and row[2] > BULK_ROWS and row[1] > BULK_SHARE * row[2]:
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
    return column_faults(table, present, _fits, is_overwritten)


def _fits(found: str, kind: Kind) -> bool:
    """Whether a column of DuckDB's type holds the kind; one in which no writer ever put a value holds any."""
    types = _TYPES[kind]
    return found == _NOTHING or any(
        found == type_ or found.startswith(f"{type_}(") for type_ in types
    )
