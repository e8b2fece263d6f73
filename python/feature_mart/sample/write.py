"""Write each table of the sample with one COPY, and replace the folder after all tables are written."""

from __future__ import annotations

import fcntl
import glob
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import duckdb

from feature_mart.core.duckdb_files import connect, copy_to
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.sample import deals, jobs, members
from feature_mart.sample.draws import macros

TABLES = (
    *("categories", "clients", "freelancers", "jobs", "job_skills"),
    *("proposals", "contracts", "reviews"),
)
#: The maximum number of jobs. With more jobs, the eight digits of ids or the 32 bits of the offers' numbers could be
#: too few.
MOST_JOBS = 50_000_000
_MOST_SEED = 2**64 - 1
_MEMORY_LIMIT = "2GB"
# DuckDB cuts the same row groups with two threads or more, but different ones with one thread.
_LEAST_THREADS = 2


@dataclass(frozen=True, slots=True)
class SampleReport:
    """A written sample; `rows` is the number of rows by raw table."""

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

    The same ``jobs`` and ``seed`` give the same rows on every machine, and with one DuckDB version the same bytes,
    independent of the number of threads. The folder is replaced only after all tables are written.

    Args:
        out: a folder that does not exist, is empty, or contains an earlier sample.
        jobs: the number of job postings, 1 to 50 million. The sizes of the other tables follow from this number.
        seed: a whole number, 0 to 2^64 - 1.
        progress: called with the name of each table before it is written.

    Raises:
        UsageError: ``jobs`` or ``seed`` is out of range, or ``out`` is a file or contains other files.
        TerminalError: the folder cannot be written.
    """
    if not 1 <= jobs <= MOST_JOBS:
        raise UsageError(f"--jobs is {jobs}: use a number from 1 to {MOST_JOBS:,}.")
    if not 0 <= seed <= _MOST_SEED:
        raise UsageError(f"--seed is {seed}: use a number from 0 to 2^64 - 1.")
    out = out.absolute()
    expected = {f"{table}.parquet" for table in TABLES}
    try:
        if out.exists() and (not out.is_dir() or {each.name for each in out.iterdir()} - expected):
            raise UsageError(
                f"{out} contains files that do not belong to a sample: choose an empty or new folder."
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        with _scratch_beside(out) as scratch:
            rows = write_tables(scratch / "new", jobs, seed, progress=progress)
            _put_in_place(scratch / "new", out, scratch / "former")
    except (OSError, duckdb.Error) as error:
        raise TerminalError(
            f"The sample could not be written to {out}: {error}. Make room there, or choose another folder."
        ) from error
    return SampleReport(out, jobs, seed, rows)


def write_tables(
    folder: Path,
    job_count: int,
    seed: int,
    *,
    threads: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, int]:
    """Write the tables into a new folder, with a temporary database beside the folder.

    ``threads`` is the number of threads; None for DuckDB's default. In either case, at least two threads are used.

    Returns:
        The number of rows by raw table.
    """
    folder.mkdir()
    rows: dict[str, int] = {}
    with connect(folder.with_name("facts.duckdb"), memory_limit=_MEMORY_LIMIT) as con:
        wanted = str(threads) if threads else "current_setting('threads')"
        con.execute(f"set variable threads = greatest({_LEAST_THREADS}, {wanted})")
        con.execute("set threads = getvariable('threads')")
        for statement in macros(seed):
            con.execute(statement)
        for table, select in _statements(job_count):
            if table not in TABLES:
                con.execute(f"create table {table} as {select}")
                continue
            if progress is not None:
                progress(table)
            # Rows come in the order of their numbers, so the bytes are reproducible without a sort.
            rows[table] = copy_to(
                con,
                select,
                folder / f"{table}.parquet",
                "format parquet, compression zstd, row_group_size 122880",
            )
    return rows


def _statements(job_count: int) -> Iterator[tuple[str, str]]:
    """Yield the name and SELECT of each table, in an order in which the statements can be run."""
    yield "categories", members.categories()
    yield "clients", members.clients(members.client_count(job_count))
    yield "freelancers", members.freelancers(members.freelancer_count(job_count))
    yield "job_facts", jobs.facts(job_count)
    yield "jobs", jobs.jobs()
    yield "job_skills", jobs.job_skills()
    yield "proposals", deals.proposals(job_count)
    yield "contract_facts", deals.contract_facts(job_count)
    yield "contracts", deals.contracts()
    yield "reviews", deals.reviews()


@contextmanager
def _scratch_beside(out: Path) -> Iterator[Path]:
    """Yield a locked scratch folder beside ``out``, and remove the unlocked scratch folders of killed runs."""
    for stale in out.parent.glob(f".{glob.escape(out.name)}.sample-*"):
        with (stale / "lock").open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            shutil.rmtree(stale, ignore_errors=True)
    scratch = out.with_name(f".{out.name}.sample-{uuid4().hex[:8]}")
    scratch.mkdir()
    try:
        with (scratch / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _put_in_place(new: Path, out: Path, former: Path) -> None:
    try:
        if out.exists():
            out.rename(former)
        new.rename(out)
    except BaseException:
        if former.exists() and not out.exists():
            former.rename(out)
        raise
