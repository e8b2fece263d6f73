"""Test that a state folder has one writer and one warehouse. Test which refresh a build takes, and if it is full."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from compiled_mart import PROJECT
from feature_mart.core.errors import LeaseHeldError, StopRequestedError, TransientError, UsageError
from feature_mart.core.settings import Clock, Settings, resolve_settings
from feature_mart.runner.decide import choose_refresh, full_build_reason
from feature_mart.runner.duckdb_engine import DuckDBEngine
from feature_mart.runner.duckdb_mart import read_document, write_documents
from feature_mart.runner.report import open_run
from feature_mart.runner.state import (
    BuiltMart,
    CheckCounts,
    clock_document,
    format_built,
    hash_definitions,
    hold_state,
    parse_built,
)
from toy_project import job, write_project, write_warehouse

NOW = datetime(2026, 4, 2, 12, tzinfo=UTC)
#: The refreshes of 2026-04-01 and 2026-04-02, at 03:00 in Tokyo.
FIRST, SECOND = datetime(2026, 3, 31, 18, tzinfo=UTC), datetime(2026, 4, 1, 18, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(write_project(tmp_path / "toy"))
    dwh = write_warehouse(tmp_path / "raw" / "dwh", [job(1)])
    environment = {"MART_HOME": str(tmp_path / "home"), "MART_DWH": str(dwh)}
    return resolve_settings(environment=environment, now=NOW)


def built_at(settings: Settings, as_of_at: datetime = FIRST, definitions: str = "d") -> BuiltMart:
    return BuiltMart(
        address=settings.address,
        as_of_at=as_of_at,
        engine=f"DuckDB {duckdb.__version__}",
        clock=clock_document(settings),
        definitions=definitions,
        run_id="r",
        tests=CheckCounts(3, 0, 1),
    )


def hold_elsewhere(folder: Path) -> subprocess.Popen[str]:
    """Start another process that holds a state folder's lock until it is killed."""
    code = f"""
        import fcntl, os, signal
        handle = os.open({str(folder / "lock")!r}, os.O_RDWR | os.O_CREAT)
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.pwrite(handle, f"{{os.getpid()}}\\n".encode(), 0)
        print("held", flush=True)
        signal.pause()
    """
    folder.mkdir(parents=True, exist_ok=True)
    other = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    return other


def test_a_live_writer_is_named_and_a_dead_one_is_taken_over(settings: Settings) -> None:
    other = hold_elsewhere(settings.state_dir)
    try:
        with (
            pytest.raises(LeaseHeldError, match=f"is locked by process {other.pid}") as held,
            hold_state(settings),
        ):
            pass
        assert held.value.exit_code == 3
    finally:
        other.kill()
        other.communicate()
    left = settings.scratch_dir / "draft" / "mart.duckdb"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    with hold_state(settings):
        assert (settings.state_dir / "lock").read_text() == f"{os.getpid()}\n"
        assert not left.exists()


def test_another_warehouse_of_the_same_name_is_refused(settings: Settings, tmp_path: Path) -> None:
    with hold_state(settings):
        pass
    other = replace(settings, dwh=tmp_path / "b" / "dwh", address=str(tmp_path / "b" / "dwh"))
    with (
        pytest.raises(UsageError, match=r"rename .* or set MART_HOME") as refused,
        hold_state(other),
    ):
        pass
    assert settings.address in str(refused.value)
    assert other.address in str(refused.value)
    assert (settings.state_dir / "address").read_text().strip() == settings.address


def test_a_folder_that_is_no_warehouse_leaves_no_state(settings: Settings, tmp_path: Path) -> None:
    absent = tmp_path / "raw" / "typo"
    wrong = replace(settings, dwh=absent, address=str(absent), warehouse="typo")
    with pytest.raises(UsageError, match="not a folder"), open_run(wrong, "build"):
        pass
    assert not wrong.state_dir.exists()


def test_a_run_is_reported_however_it_ends(settings: Settings) -> None:
    def reported(error: BaseException | None) -> tuple[str, int]:
        with suppress(BaseException), open_run(settings, "build") as log, log.stage("build"):
            if error is not None:
                raise error
        document = json.loads((settings.runs_dir / f"{log.run_id}.json").read_text())
        assert document["stages"][0]["peak_mb"] > 1
        assert (document["error"] is None) == (error is None)
        return document["status"], document["exit_code"]

    assert reported(None) == ("done", 0)
    assert reported(UsageError("no")) == ("failed", 2)
    assert reported(ZeroDivisionError("a bug")) == ("failed", 1)
    assert reported(KeyboardInterrupt()) == ("interrupted", 130)
    assert reported(StopRequestedError("told to stop")) == ("interrupted", 75)
    assert not list(settings.runs_dir.glob("*.part"))


def test_sigterm_ends_a_run_and_then_is_as_it_was(settings: Settings) -> None:
    former = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StopRequestedError), open_run(settings, "build"):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is former


def test_the_record_and_the_manifest_move_with_the_mart(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "mart.duckdb"
    kept = {"built": format_built(built_at(settings)), "dbt_manifest": '{"nodes": {}}'}
    write_documents(path, kept)
    moved = path.replace(tmp_path / "elsewhere.duckdb")
    assert parse_built(read_document(moved, "built")) == built_at(settings)
    assert read_document(moved, "dbt_manifest") == '{"nodes": {}}'


def test_no_mart_and_a_strange_file_hold_no_record(tmp_path: Path) -> None:
    assert parse_built(None) is None
    assert read_document(tmp_path / "absent.duckdb", "built") is None
    (tmp_path / "strange.duckdb").write_bytes(b"not a database, whatever its name says" * 400)
    assert read_document(tmp_path / "strange.duckdb", "built") is None
    with duckdb.connect(str(tmp_path / "other.duckdb")) as con:
        con.execute("create table t as select 1")
    assert read_document(tmp_path / "other.duckdb", "built") is None


def test_a_mart_that_another_program_writes_is_not_taken_for_none(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "mart.duckdb"
    write_documents(path, {"built": format_built(built_at(settings))})
    code = f"import duckdb, signal; c = duckdb.connect({str(path)!r}); print(1, flush=True); signal.pause()"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(TransientError, match="open for writing"):
            read_document(path, "built")
    finally:
        other.kill()
        other.communicate()


@pytest.mark.parametrize(
    ("name", "is_definition"),
    [
        ("models/toy_jobs.sql", True),
        ("models/toy.yml", True),
        ("macros/new.sql", True),
        ("seeds/load_clock.csv", True),
        ("snapshots/new.sql", True),
        ("dbt_project.yml", True),
        ("models/toy_jobs.md", False),
        ("tests/assert_new.sql", False),
        ("README.md", False),
    ],
)
def test_definitions_are_what_decides_the_rows(
    settings: Settings, name: str, is_definition: bool
) -> None:
    before = hash_definitions(settings.project)
    path = settings.project / name
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.is_file() else "") + "\n-- changed\n")
    assert (hash_definitions(settings.project) != before) == is_definition


def test_the_newest_refresh_is_the_clocks_or_the_loads(settings: Settings) -> None:
    reached = SECOND
    assert choose_refresh(settings, None, None) == reached
    assert choose_refresh(settings, None, NOW + timedelta(days=9)) == reached
    assert choose_refresh(settings, None, FIRST) == FIRST
    assert choose_refresh(settings, None, FIRST + timedelta(microseconds=1)) == SECOND


def test_left_to_itself_a_build_does_not_go_back(settings: Settings) -> None:
    built = built_at(settings, SECOND)
    assert choose_refresh(settings, built, FIRST) == SECOND
    assert choose_refresh(settings, built, FIRST, full_refresh=True) == FIRST


def test_as_of_comes_from_the_flag_before_the_var(settings: Settings) -> None:
    by_var = replace(settings, as_of="2026-04-01")
    assert choose_refresh(by_var, None, None) == FIRST
    assert choose_refresh(by_var, None, None, as_of="2026-04-02") == SECOND
    with pytest.raises(UsageError, match="dbt var as_of 'soon'"):
        choose_refresh(replace(settings, as_of="soon"), None, None)


def test_a_refresh_to_come_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="in the future"):
        choose_refresh(settings, None, None, as_of="2026-04-03")


def test_select_needs_a_mart_and_stays_at_its_refresh(settings: Settings) -> None:
    with pytest.raises(UsageError, match="there is no mart yet: run `mart build`"):
        choose_refresh(settings, None, None, select=["toy_jobs"])
    built = built_at(settings)
    assert choose_refresh(settings, built, NOW, select=["toy_jobs"]) == FIRST
    with pytest.raises(UsageError, match="leave out --as-of"):
        choose_refresh(settings, built, NOW, as_of="2026-04-02", select=["toy_jobs"])


def test_a_build_appends_only_to_what_it_would_build_the_same(settings: Settings) -> None:
    built = built_at(settings)

    def because(mart: BuiltMart | None, full_refresh: bool = False) -> str | None:
        return full_build_reason(settings, DuckDBEngine(settings), mart, SECOND, "d", full_refresh)

    assert because(built) is None
    assert because(None) == "no mart yet"
    assert because(built, full_refresh=True) == "--full-refresh"
    assert because(replace(built, address="/elsewhere")) == "the mart was built from /elsewhere"
    assert str(because(replace(built, engine="1.0.0"))).endswith("built with 1.0.0")
    assert because(replace(built, definitions="e")) == "definitions have changed"


def test_going_back_is_refused_without_full_refresh(settings: Settings) -> None:
    with pytest.raises(UsageError, match="build with --full-refresh to go back"):
        full_build_reason(
            settings, DuckDBEngine(settings), built_at(settings, SECOND), FIRST, "d", False
        )
    assert (
        full_build_reason(
            settings, DuckDBEngine(settings), built_at(settings, SECOND), FIRST, "d", True
        )
        == "--full-refresh"
    )


def test_another_clock_is_refused_without_full_refresh(settings: Settings) -> None:
    later = replace(settings, clock=Clock("Asia/Tokyo", 4, 60))
    with pytest.raises(UsageError, match="refresh_hour from 3 to 4"):
        full_build_reason(later, DuckDBEngine(later), built_at(settings), SECOND, "d", False)


def test_the_real_project_has_definitions() -> None:
    assert len(hash_definitions(PROJECT)) == 64
