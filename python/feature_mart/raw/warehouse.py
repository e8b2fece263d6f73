"""Read the raw warehouse from Parquet files: build a SELECT of each raw table, and check it against the raw contract.

A raw table is the file ``<table>.parquet``, or a folder of this name with the table's parts. `raw.values` checks single
values. dbt tests check conditions over several rows (currencies, versions, keys), on both engines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from feature_mart.core.duckdb_files import connect, distrust_statistics, parquet, quoted
from feature_mart.core.errors import UsageError
from feature_mart.core.raw_contract import (
    CONTRACT,
    EVENTS,
    NO_JOBS,
    OPTIONAL,
    Kind,
    column_faults,
    raise_faults,
    version_key,
)
from feature_mart.raw.values import value_faults

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Maps each kind of raw column to the DuckDB types that a column of this kind may have.
_TYPES: Mapping[Kind, tuple[str, ...]] = {
    Kind.TEXT: ("VARCHAR",),
    Kind.NUMBER: (
        *("DECIMAL", "DOUBLE", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "BIGNUM"),
    ),
    Kind.INSTANT: ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"),
    Kind.FLAG: ("BOOLEAN",),
}
#: Maps each kind of raw column to the DuckDB type of a column that is missing, or that has only NULL and no type in its
#: file.
DEFAULT_TYPES: Mapping[Kind, str] = {
    Kind.TEXT: "varchar",
    Kind.NUMBER: "decimal(38, 9)",
    Kind.INSTANT: "timestamptz",
    Kind.FLAG: "boolean",
}
# DuckDB's name for the Parquet type of a column with only NULL, which can be cast to any other type.
_NOTHING = '"NULL"'
_NANOSECONDS = "TIMESTAMPTZ_NS"
#: Prefixes of files that are not parts of a table: hidden files, and the marker files of Spark and Hadoop jobs.
_NOT_DATA = (".", "_")
_DELTA = "_delta_log"


def check_warehouse(folder: Path, overwritten: Sequence[str] = ()) -> None:
    """Check a folder of raw tables against the raw contract: files, columns, types, and values that no build can use.

    A table in ``overwritten`` needs no load time, because the dbt snapshot of the table has one.

    Raises:
        UsageError: the folder is missing or breaks the contract; the message lists the faults.
    """
    if not folder.is_dir():
        raise UsageError(
            f"The warehouse {folder} is not a folder: set --dwh or MART_DWH (or `make mart DWH=…`) to a folder with "
            "one Parquet file per raw table; `mart sample` writes a sample."
        )
    faults: list[str] = []
    with connect() as con:
        distrust_statistics(con)
        for table in CONTRACT:
            faults += _table_faults(con, folder, table, table in overwritten)
        if not faults:
            if _count(con, folder, "jobs") == 0:
                faults.append(NO_JOBS)
            for table in CONTRACT:
                faults += value_faults(con, table, raw_select(folder, table, con))
    raise_faults(folder, faults)


def table_files(folder: Path, table: str) -> tuple[Path, ...]:
    """Return the files of a raw table: ``<table>.parquet``, or the parts in the folder of that name.

    Raises:
        UsageError: there is no file, or the folder contains something other than parts, such as partitions or the log
            of a Delta table.
    """
    path = folder / f"{table}.parquet"
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise UsageError(
            f"{table}: {path.name} is missing; write the file with all columns, even if the table has no rows"
        )
    if (path / _DELTA).exists():
        raise UsageError(
            f"{table}: {path.name} is a Delta table, whose files may contain deleted rows; export the table as plain "
            "Parquet"
        )
    parts = tuple(_parts(path, table))
    if not parts:
        raise UsageError(
            f"{table}: the folder {path.name} has no .parquet file; write at least one"
        )
    return parts


def _parts(folder: Path, table: str) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(_NOT_DATA):
            continue
        name = path.relative_to(folder.parent)
        if path.is_dir() and "=" in path.name:
            raise UsageError(
                f"{table}: {name} is a Hive partition, whose column is not in the files; write the column into the "
                "files, and put all files into one folder"
            )
        if path.is_dir():
            yield from _parts(path, table)
        elif path.suffix == ".parquet":
            yield path
        else:
            raise UsageError(
                f"{table}: {name} is in the folder of parts but is not a .parquet file; rename or remove it"
            )


def table_columns(folder: Path, table: str) -> dict[str, str]:
    """Return the DuckDB types of a raw table's columns, by lower-case column name.

    Raises:
        UsageError: the table has no files, or its folder contains something other than parts.
    """
    with connect() as con:
        return _columns(con, table_files(folder, table))


def raw_rows(folder: Path, table: str) -> str:
    """Return a SELECT of all rows of a raw table's files, unchanged.

    Raises:
        UsageError: the table has no files, or its folder contains something other than parts.
    """
    return f"select * from {parquet(_one_or_all(table_files(folder, table)))}"


def raw_select(folder: Path, table: str, con: duckdb.DuckDBPyConnection | None = None) -> str:
    """Return a SELECT of a raw table's rows, with every column of the contract and with times in microseconds.

    An optional column that the files lack is NULL, and so is a load time that is not required. A column without a type,
    because all its values are NULL, gets the type of the contract. Load times in nanoseconds are rounded up, so no row
    is known before it was loaded; of the versions of a key loaded within one microsecond, only the latest is kept.
    Other times are rounded down.

    ``con`` is a connection with which to read the names and types of the files' columns; None to open one.

    Raises:
        UsageError: the table has no files, or its folder contains something other than parts.
    """
    files = table_files(folder, table)
    with connect() if con is None else nullcontext(con) as asked:
        present = _columns(asked, files)
    source = parquet(_one_or_all(files))
    casts: list[str] = []
    for column, kind in {**CONTRACT[table], **OPTIONAL[table]}.items():
        if present.get(column) == _NOTHING:
            casts.append(f"cast({column} as {DEFAULT_TYPES[kind]}) as {column}")
        elif present.get(column) == _NANOSECONDS:
            casts.append(f"{_to_microseconds(column, up=column == 'loaded_at')} as {column}")
    if present.get("loaded_at") == _NANOSECONDS:
        key = ", ".join(version_key(table))
        source = (
            f"(select * from {source} qualify loaded_at is not distinct from "
            f"max(loaded_at) over (partition by {key}, {_to_microseconds('loaded_at', up=True)}))"
        )
    replaced = f" replace ({', '.join(casts)})" if casts else ""
    absent = ", ".join(
        f"cast(null as {DEFAULT_TYPES[kind]}) as {column}"
        for column, kind in {"loaded_at": Kind.INSTANT, **OPTIONAL[table]}.items()
        if column not in present
    )
    filled = f" union all by name select {absent} where false" if absent else ""
    return f"select *{replaced} from {source}{filled}"


def _to_microseconds(column: str, *, up: bool) -> str:
    # DuckDB's cast would round to the nearest microsecond. `epoch_ns` of an infinite time is NULL, and `raw.values`
    # refuses infinite times.
    more = " + 999" if up else ""
    return (
        f"coalesce(make_timestamptz(cast((epoch_ns({column}){more}) // 1000 as bigint)), "
        f"cast({column} as timestamptz))"
    )


def _one_or_all(files: Sequence[Path]) -> Path | Sequence[Path]:
    return files[0] if len(files) == 1 else files


def first_time(folder: Path) -> datetime | None:
    """Return the earliest event or load time of the tables in `EVENTS`; None if these tables have no times.

    Raises:
        UsageError: a table has no files, or its folder contains something other than parts.
    """
    earliest: list[int] = []
    with connect() as con:
        for table, event_at in EVENTS.items():
            times = [
                name
                for name in (event_at, "loaded_at")
                if name in _columns(con, table_files(folder, table))
            ]
            asked = ", ".join(f"epoch_us(min({name}))" for name in times)
            row = con.execute(f"select {asked} from ({raw_select(folder, table, con)})").fetchone()
            earliest += [us for us in row or () if us is not None]
    return _EPOCH + timedelta(microseconds=min(earliest)) if earliest else None


def newest_event(folder: Path) -> tuple[str, datetime] | None:
    """Return the column (``table.column``) and the time of the latest event of all tables; None if there are no events.

    Raises:
        UsageError: a table has no files, or its folder contains something other than parts.
    """
    newest: list[tuple[int, str]] = []
    with connect() as con:
        for table, event_at in EVENTS.items():
            asked = f"select epoch_us(max({event_at})) from ({raw_select(folder, table, con)})"
            row = con.execute(asked).fetchone()
            newest += [(row[0], f"{table}.{event_at}")] if row and row[0] is not None else []
    if not newest:
        return None
    us, column = max(newest)
    return column, _EPOCH + timedelta(microseconds=us)


def newest_load(folder: Path) -> datetime | None:
    """Return the latest `loaded_at` of all tables that have this column; None if there is no load time.

    Raises:
        UsageError: a table has no files, or its folder contains something other than parts.
    """
    newest: list[int] = []
    with connect() as con:
        for table in CONTRACT:
            if "loaded_at" in _columns(con, table_files(folder, table)):
                row = con.execute(
                    f"select epoch_us(max(loaded_at)) from ({raw_select(folder, table, con)})"
                ).fetchone()
                newest += [row[0]] if row and row[0] is not None else []
    return _EPOCH + timedelta(microseconds=max(newest)) if newest else None


def first_loads(source: str, table: str, timezone: str) -> str:
    """Return a SELECT of the first load of every key, with the columns that `feature_mart.runner.first_loads` reads.

    ``source`` is a SELECT of the table's rows. Days are local days of ``timezone``. Rows with an infinite load time are
    left out.
    """
    key = next(iter(CONTRACT[table]))
    return f"""
select
    cast({key} as varchar) as entity,
    strftime(timezone({quoted(timezone)}, loaded_at), '%Y-%m-%d') as load_day,
    epoch_us(loaded_at) as loaded_us,
    epoch_us(loaded_at) - epoch_us(event_at) as lag_us
from (
    select
        {key},
        cast(loaded_at as timestamptz) as loaded_at,
        case when isfinite(cast({EVENTS[table]} as timestamptz)) then cast({EVENTS[table]} as timestamptz) end
            as event_at
    from ({source})
    where isfinite(cast(loaded_at as timestamptz))
)
qualify row_number() over (partition by {key} order by loaded_at) = 1"""


def _columns(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> dict[str, str]:
    rows = con.execute(f"describe select * from {parquet(_one_or_all(files))}").fetchall()
    return {str(row[0]).lower(): str(row[1]) for row in rows}


def _count(con: duckdb.DuckDBPyConnection, folder: Path, table: str) -> int:
    row = con.execute(f"select count(*) from ({raw_rows(folder, table)})").fetchone()
    return int(row[0]) if row else 0


def _table_faults(
    con: duckdb.DuckDBPyConnection, folder: Path, table: str, is_overwritten: bool
) -> list[str]:
    try:
        present = _columns(con, table_files(folder, table))
    except UsageError as error:
        return [str(error)]
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        return [
            f"{table}: {table}.parquet cannot be read as Parquet ({reason}); write the file again"
        ]
    return column_faults(table, present, _fits, is_overwritten)


def _fits(found: str, kind: Kind) -> bool:
    """Return True if the DuckDB type ``found`` fits the kind. The type of a column with only NULL fits every kind."""
    types = _TYPES[kind]
    return found == _NOTHING or any(
        found == type_ or found.startswith(f"{type_}(") for type_ in types
    )
