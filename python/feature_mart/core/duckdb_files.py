"""Open DuckDB connections, and put paths into SQL. No other module may put a path into SQL.

DuckDB interprets some characters of a path: ``* ? [ ]`` form a pattern, ``key=value`` folders become columns that
replace the file's own, and an apostrophe ends the literal. The functions here escape these characters, so that a query
reads exactly the given files.

====================  ==============================================================================
``connect()``          open a connection; its time zone is UTC by default
``quoted(text)``       return a text as an SQL literal
``parquet(paths)``     return a table function over exactly these Parquet files
``csv(paths, …)``      return a table function over exactly these CSV files
``attach()``           attach another database file as a catalog
``copy_to()``          write the rows of a query to a file
``check_path()``       refuse a path with a character that DuckDB, dbt or a message cannot contain
``distrust_…()``       make DuckDB read the values instead of a file's statistics
====================  ==============================================================================
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import duckdb

from feature_mart.core.errors import UsageError

#: Characters that a path must not contain: DuckDB treats a backslash as a separator, and cuts off the name of a
#: database at a question mark.
_NO_FILE = frozenset("\\")
_NO_DATABASE = frozenset("\\?")


def connect(
    database: Path | None = None,
    *,
    read_only: bool = False,
    memory_limit: str | None = None,
    threads: int | None = None,
    zone: str = "UTC",
) -> duckdb.DuckDBPyConnection:
    """Open a database file, or an empty database in memory if ``database`` is None.

    The time zone of the session is ``zone``, whatever the machine's time zone is. ``memory_limit`` is DuckDB's setting,
    such as ``2500MB``. If ``memory_limit`` or ``threads`` is None, DuckDB's default applies. No progress bar is shown.
    """
    config: dict[str, str | bool | int | float | list[str]] = {}
    if memory_limit is not None:
        config["memory_limit"] = memory_limit
    if threads is not None:
        config["threads"] = threads
    con = duckdb.connect(
        ":memory:" if database is None else str(database), read_only=read_only, config=config
    )
    # TimeZone cannot be set in `config`: while connecting, DuckDB would try to load an extension for it.
    con.execute(f"set TimeZone = {quoted(zone)}; set enable_progress_bar = false")
    return con


def distrust_statistics(con: duckdb.DuckDBPyConnection) -> None:
    """Make a connection read each value of a file instead of using the file's statistics.

    Parquet's minimum and maximum of a column leave out NaN. Because of these statistics, DuckDB evaluates ``isnan(x)``
    and ``x > 1`` as false in a file that has NaN beside numbers.
    """
    con.execute("set disabled_optimizers = 'statistics_propagation,filter_pushdown'")


def quoted(text: object) -> str:
    """Return a text, or a path, as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def parquet(paths: Path | Sequence[Path]) -> str:
    """Return a table function that reads exactly these Parquet files, with the columns in the files and no others.

    Several files are the parts of one table. Columns are matched by name. A column that a part lacks is NULL in the
    rows of that part.
    """
    if isinstance(paths, Path):
        return f"read_parquet({_named(paths)}, hive_partitioning = false)"
    listed = ", ".join(_named(path) for path in paths)
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"


def csv(paths: Path | Sequence[Path], options: str) -> str:
    """Return a table function that reads exactly these CSV files; ``options`` are arguments of read_csv."""
    listed = [paths] if isinstance(paths, Path) else paths
    names = ", ".join(_named(path) for path in listed)
    return f"read_csv([{names}], hive_partitioning = false, {options})"


def attach(
    con: duckdb.DuckDBPyConnection, database: Path, name: str, *, read_only: bool = True
) -> None:
    """Attach a database file to the connection as the catalog ``name``."""
    con.execute(f"attach {quoted(database)} as {name}{' (read_only)' if read_only else ''}")


def copy_to(
    con: duckdb.DuckDBPyConnection, query: str, path: Path, options: str = "format parquet"
) -> int:
    """Write the rows of a SELECT to a file and return the number of rows; ``options`` are the options of COPY."""
    row = con.execute(f"copy ({query}) to {quoted(path)} ({options})").fetchone()
    assert row is not None
    return int(row[0])


def check_path(path: Path, what: str, *, holds_database: bool = False) -> None:
    """Check that DuckDB, dbt and messages can use a path unchanged.

    ``what`` is the name of the path in the message, such as a setting. ``holds_database`` is True if a DuckDB database
    is kept below the path; then a question mark is also forbidden.

    Raises:
        UsageError: the path is not UTF-8, or contains a forbidden character, which the message names.
    """
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(
            f"{what} is {os.fsencode(path)!r}, which is not UTF-8: rename the folder."
        ) from None
    refused = _NO_DATABASE if holds_database else _NO_FILE
    bad = next(
        (c for c in text if c in refused or unicodedata.category(c) in {"Cc", "Zl", "Zp"}), None
    )
    if bad is not None:
        raise UsageError(
            f"{what} is {text!r}: a path that contains {bad!r} cannot be read; rename the folder."
        )


def _named(path: Path) -> str:
    """Return a path as a literal without wildcards: each of ``* ? [`` becomes a character class such as ``[*]``."""
    return quoted("".join(f"[{c}]" if c in "*?[" else c for c in str(path)))
