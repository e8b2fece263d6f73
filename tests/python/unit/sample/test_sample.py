"""Test writing the sample: the raw contract, byte-identical output, bad arguments and interruptions."""

import csv
import fcntl
import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from feature_mart.core.duckdb_files import parquet
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.raw_contract import INITIAL_STATE
from feature_mart.raw.warehouse import check_warehouse, raw_select
from feature_mart.runner.bulk_loads import find_bulks
from feature_mart.runner.duckdb_engine import open_first_loads
from feature_mart.runner.load_clock import read_load_clock
from feature_mart.sample import BULK_LOADED_AT, LOAD_CLOCK, TRUSTED_FROM, write_sample
from feature_mart.sample.write import TABLES, write_tables
from sample_case import JOBS, KEYS

PROJECT = Path(__file__).parents[4]


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*.parquet")
    }


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample") / "dwh"
    write_sample(out, JOBS)
    return out


def test_the_sample_keeps_the_raw_contract(folder: Path) -> None:
    check_warehouse(folder)
    assert files_of(folder) == {f"{table}.parquet" for table in TABLES}


def test_its_bulk_load_is_found_and_its_own_line_is_enough(folder: Path) -> None:
    known = read_load_clock(PROJECT, "sample")
    opened = datetime.fromisoformat(BULK_LOADED_AT)
    for table in INITIAL_STATE:
        with open_first_loads(raw_select(folder, table), table, "Asia/Tokyo") as loads:
            found = find_bulks(table, loads)
            assert find_bulks(table, loads, known[table]) == []
        starts = [(bulk.line.untrusted_from, bulk.line.trusted_from) for bulk in found if bulk.line]
        assert starts in ([], [(None, opened + timedelta(seconds=1))]), "none where it is small"


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    report = write_sample(again, JOBS, 0)
    assert digests(again) == digests(folder)
    assert report.folder == again and report.jobs == JOBS and report.seed == 0


def test_another_seed_gives_other_rows(tmp_path: Path) -> None:
    for seed in (1, 2**63):
        write_sample(tmp_path / str(seed), 500, seed)
    one, other = digests(tmp_path / "1"), digests(tmp_path / str(2**63))
    same = {name for name, digest in one.items() if other[name] == digest}
    assert same == {"categories.parquet"}


def test_threads_do_not_change_the_bytes(tmp_path: Path) -> None:
    # With this number of jobs, the larger tables have several row groups, so that threads write in parallel.
    found = []
    for threads in (1, 2, 3):
        scratch = tmp_path / str(threads)
        scratch.mkdir()
        write_tables(scratch / "new", 130_000, 7, threads=threads)
        found.append(digests(scratch / "new"))
    assert found[0] == found[1] == found[2] and len(found[0]) == 8


def test_the_report_counts_the_rows(folder: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    report = write_sample(tmp_path / "dwh", 300, progress=seen.append)
    assert seen == list(TABLES) and list(report.rows) == list(TABLES)
    for table, rows in report.rows.items():
        path = str(tmp_path / "dwh" / f"{table}.parquet")
        (counted,) = duckdb.execute(f"select count(*) from {parquet(Path(path))}").fetchall()
        assert counted == (rows,)


@pytest.mark.parametrize("jobs", [1, 2, 10])
def test_small_samples_are_warehouses_too(tmp_path: Path, jobs: int) -> None:
    out = tmp_path / "dwh"
    write_sample(out, jobs)
    check_warehouse(out)
    found = duckdb.execute(
        f"select count(distinct job_id) from {parquet(out / 'jobs.parquet')}"
    ).fetchall()
    assert found == [(jobs,)]


def test_the_seed_has_the_load_clock_lines() -> None:
    with (PROJECT / "seeds" / "load_clock.csv").open(encoding="utf-8", newline="") as file:
        lines = {tuple(line.values()) for line in csv.DictReader(file)}
    for line in LOAD_CLOCK:
        assert next(iter(csv.reader([line.seed_line()]))) == [
            "sample",
            line.table,
            TRUSTED_FROM,
            "24",
            line.note,
            "",
        ]
        assert tuple(next(iter(csv.reader([line.seed_line()])))) in lines
    assert {line.table for line in LOAD_CLOCK} == set(KEYS)


# Bad arguments and interruptions.


@pytest.mark.parametrize("jobs", [0, -1, 50_000_001])
def test_a_number_of_jobs_out_of_range_is_refused(tmp_path: Path, jobs: int) -> None:
    with pytest.raises(UsageError, match="--jobs"):
        write_sample(tmp_path / "dwh", jobs)
    assert not (tmp_path / "dwh").exists()


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(tmp_path: Path, seed: int) -> None:
    with pytest.raises(UsageError, match="--seed"):
        write_sample(tmp_path / "dwh", 10, seed)


def test_what_is_no_sample_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for out in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(UsageError, match="files that do not belong to a sample"):
            write_sample(out, 10)
    with pytest.raises(TerminalError, match="could not be written"):
        write_sample(tmp_path / "thesis.txt" / "dwh", 10)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert files_of(tmp_path) == {"thesis.txt"}


def test_a_sample_replaces_an_earlier_one(tmp_path: Path) -> None:
    out = tmp_path / "it's here"
    out.mkdir()
    write_sample(out, 10)
    first = digests(out)
    write_sample(out, 20)
    assert digests(out) != first and files_of(tmp_path) == {out.name}


def test_an_interrupted_run_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "dwh"

    def interrupt(table: str) -> None:
        if table == "contracts":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(out, 10, progress=interrupt)
    assert files_of(tmp_path) == set()
    write_sample(out, 10)
    before = digests(out)
    with pytest.raises(KeyboardInterrupt):
        write_sample(out, 20, progress=interrupt)
    assert digests(out) == before and files_of(tmp_path) == {"dwh"}


def test_what_a_killed_run_left_is_removed_and_a_running_one_is_not(tmp_path: Path) -> None:
    for name in ("killed", "running"):
        (tmp_path / f".dwh.sample-{name}" / "new").mkdir(parents=True)
    with (tmp_path / ".dwh.sample-running" / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        write_sample(tmp_path / "dwh", 10)
    assert files_of(tmp_path) == {"dwh", ".dwh.sample-running"}
