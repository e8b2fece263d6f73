"""Writes the sample's tables, one sorted COPY each, and puts them in their place together."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from feature_mart.errors import TerminalError, UsageError
from feature_mart.sample.tables import FOUNDATION, TABLES

_MOST_JOBS = 100_000_000


@dataclass(frozen=True, slots=True)
class SampleReport:
    """What was written: rows by raw table."""

    folder: Path
    jobs: int
    seed: int
    rows: dict[str, int]


def write_sample(
    out: Path,
    jobs: int = 20_000,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> SampleReport:
    """Write the eight raw tables of a sample warehouse into the folder ``out``.

    The same ``jobs`` and ``seed`` give the same bytes on one DuckDB version, whatever the number of threads. A
    folder that is there is replaced when all is written; an interrupted run leaves it as it was.

    Args:
        out: the folder; it must be empty, absent or an earlier sample.
        jobs: how many job postings; other tables follow in proportion.
        seed: any whole number.
        progress: called with each table's name.

    Raises:
        UsageError: ``jobs`` is out of range, or ``out`` holds something else.
        TerminalError: it cannot be written.
    """
    if not 1 <= jobs <= _MOST_JOBS:
        raise UsageError(f"--jobs is {jobs}: use 1 to {_MOST_JOBS:,}.")
    expected = {f"{table}.parquet" for table in TABLES}
    if out.exists() and (not out.is_dir() or {each.name for each in out.iterdir()} - expected):
        raise UsageError(f"{out} holds something else than a sample: choose an empty folder.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise TerminalError(f"{out} cannot be written: {error}.") from None
    try:
        rows = _write_tables(scratch, jobs, seed, progress or _ignore)
        _put_in_place(scratch / "new", out, scratch / "former")
    except (OSError, duckdb.Error) as error:
        raise TerminalError(f"The sample could not be written to {out}: {error}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return SampleReport(out, jobs, seed, rows)


def _write_tables(
    scratch: Path, jobs: int, seed: int, progress: Callable[[str], None]
) -> dict[str, int]:
    new = scratch / "new"
    new.mkdir()
    rows: dict[str, int] = {}
    with duckdb.connect(str(scratch / "sample.duckdb")) as con:
        con.execute("set TimeZone = 'UTC'; set memory_limit = '3GB'")
        con.execute(f"set temp_directory = '{scratch / 'spill'}'")
        con.execute(f"set variable jobs = {jobs}; set variable seed = {seed}")
        for statement in FOUNDATION:
            con.execute(statement)
        for table, select in TABLES.items():
            progress(table)
            con.execute(
                f"copy ({select}) to '{new / table}.parquet' "
                "(format parquet, compression zstd, row_group_size 122880)"
            )
            counted = con.execute(
                "select count(*) from read_parquet(?)", [str(new / f"{table}.parquet")]
            ).fetchone()
            rows[table] = int(counted[0]) if counted else 0
    return rows


def _ignore(_table: str) -> None:
    """Progress that nobody watches."""


def _put_in_place(new: Path, out: Path, former: Path) -> None:
    if out.exists():
        out.rename(former)
    try:
        new.rename(out)
    except OSError:
        if former.exists():
            former.rename(out)
        raise
