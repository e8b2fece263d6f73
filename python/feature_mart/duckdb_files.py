"""DuckDB connections, and the one place where a path becomes part of a SQL text.

DuckDB reads more into a path than the file system does: ``* ? [ ]`` form a pattern, ``key=value`` folders become
columns that replace the file's own, and an apostrophe ends the literal. Each function here names exactly the files it
was given.

====================  ==============================================================================
``connect()``          a connection whose time zone is UTC
``quoted(text)``       a text as a SQL literal
``parquet(paths)``     a table function over exactly these Parquet files
``csv(path, …)``       the same over one CSV file
``attach()``           open another database file under a name
``copy_to()``          write the rows of a query to a file
``check_path()``       refuse a path that DuckDB cannot open under its own name
``distrust_…()``       read values themselves where a file's statistics would do
====================  ==============================================================================
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import duckdb

from feature_mart.errors import UsageError

#: What a path may not hold: DuckDB takes a backslash for a separator, and cuts a database's name at a question mark.
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
    """Open a database file, or an empty database in memory where ``database`` is None.

    The session's time zone is ``zone`` whatever the machine's is, and no progress bar is printed.
    """
    config: dict[str, str | bool | int | float | list[str]] = {}
    if memory_limit is not None:
        config["memory_limit"] = memory_limit
    if threads is not None:
        config["threads"] = threads
    con = duckdb.connect(
        ":memory:" if database is None else str(database), read_only=read_only, config=config
    )
    # Not at connect: there the time zone would ask for an extension.
    con.execute(f"set TimeZone = {quoted(zone)}; set enable_progress_bar = false")
    return con


def distrust_statistics(con: duckdb.DuckDBPyConnection) -> None:
    """Make a connection look at each value of a file instead of concluding from the file's statistics.

    The smallest and greatest value that Parquet notes of a column leave NaN out, so DuckDB takes ``isnan(x)`` for
    false, and ``x > 1`` too, in a file that holds NaN beside numbers.
    """
    con.execute("set disabled_optimizers = 'statistics_propagation,filter_pushdown'")


def quoted(text: object) -> str:
    """Return a text, or a path, as a SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def parquet(paths: Path | Sequence[Path]) -> str:
    """Return a table function that reads exactly these Parquet files, with the columns that stand in them.

    Several files are the parts of one table: columns are matched by name, and one that a part lacks is NULL there.
    """
    if isinstance(paths, Path):
        return f"read_parquet({_named(paths)}, hive_partitioning = false)"
    listed = ", ".join(_named(path) for path in paths)
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"


def csv(paths: Path | Sequence[Path], options: str) -> str:
    """Return a table function that reads exactly these CSV files; ``options`` are read_csv's own."""
    listed = [paths] if isinstance(paths, Path) else paths
    names = ", ".join(_named(path) for path in listed)
    return f"read_csv([{names}], hive_partitioning = false, {options})"


def attach(
    con: duckdb.DuckDBPyConnection, database: Path, name: str, *, read_only: bool = True
) -> None:
    """Open a database file beside the connection's own, as the catalog ``name``."""
    con.execute(f"attach {quoted(database)} as {name}{' (read_only)' if read_only else ''}")


def copy_to(
    con: duckdb.DuckDBPyConnection, query: str, path: Path, options: str = "format parquet"
) -> int:
    """Write the rows of a SELECT to a file; return how many there were."""
    row = con.execute(f"copy ({query}) to {quoted(path)} ({options})").fetchone()
    assert row is not None
    return int(row[0])


def check_path(path: Path, what: str, *, holds_database: bool = False) -> None:
    """Refuse a path that DuckDB, dbt or a message could not name as it is.

    ``what`` is what the message calls it. A path that ``holds_database`` is one below which a DuckDB database is kept.

    Raises:
        UsageError: the path holds a character that does not work, and which.
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
            f"{what} is {text!r}: a path with {bad!r} in it cannot be read; rename the folder."
        )


def _named(path: Path) -> str:
    """Return a file's name as a literal in which nothing is a pattern: each wildcard is a class of one character."""
    return quoted("".join(f"[{c}]" if c in "*?[" else c for c in str(path)))
