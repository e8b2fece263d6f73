"""Test that a command with invalid input creates no state or output folder, and which folders stay after a failure."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from feature_mart.cli import main
from feature_mart.core.errors import LeaseHeldError, TerminalError, UsageError
from feature_mart.core.settings import Settings, resolve_settings
from feature_mart.runner import open_run
from feature_mart.runner.state import hold_state
from feature_mart.sample import write_empty
from toy_project import job, write_project, write_warehouse

#: Command lines that must fail. Words such as RAW (a valid warehouse) and EMPTY (a warehouse without rows) stand for
#: the paths that the fixture `names` returns.
WRONG = [
    *(
        (command, "--dwh", "/not/there")
        for command in ("run", "build", "audit leakage", "audit incremental", "audit conservation")
    ),
    *((command, "--dwh", "EMPTY") for command in ("run", "build", "audit incremental")),
    *(
        (command, "--dwh", "RAW", "--as-of", when)
        for command in ("run", "build")
        for when in ("never", "2024-01-01T03:00:00", "2190-01-01", "1800-01-01")
    ),
    ("audit leakage", "--dwh", "RAW", "--as-of", "never"),
    *(("run", "--as-of", when) for when in ("never", "2190-01-01")),
    ("build",),
    *(
        (*words, "~nobody_of_that_name/x")
        for words in (("build", "--dwh"), ("sample", "--empty"), ("snapshot show", "--dwh", "RAW"))
    ),
    ("build", "--dwh", "RAW", "--select", "toy_jobs"),
    ("build", "--dwh", "FILE"),
    ("build", "--dwh", "TWO_KINDS"),
    ("docs", "--dwh", "RAW"),
    ("docs", "--dwh", "RAW", "--serve"),
    ("docs", "--dwh", "RAW", "--publish", "OUT"),
    ("export", "--dwh", "RAW", "prices"),
    ("export", "--dwh", "RAW", "--all", "--to", "OUT"),
    ("export", "--dwh", "RAW", "prices", "--to", "gs://bucket/x"),
    ("sample", "--jobs", "0"),
    ("sample", "--jobs", "0", "--out", "OUT"),
    ("sample", "--seed", "-1", "--out", "OUT"),
    ("sample", "--to", "bigquery"),
    ("sample", "--empty", "RAW"),
    ("sample", "--empty", "FILE"),
    ("sample", "--empty", "OUT", "--jobs", "3"),
    ("cost", "--dwh", "RAW"),
    ("conformance", "--target", "no"),
    ("conformance", "--dwh", "/not/there"),
    ("audit selection", "--dwh", "RAW", "--base", "no-such-commit"),
    ("audit reproduce", "--dwh", "RAW", "nothing"),
    ("audit file", "--dwh", "RAW", "FILE", "--entity", "job_id", "--time", "t"),
    ("knowledge check", "--base", "no-such-commit"),
    ("knowledge evidence", "--dwh", "RAW", "nothing"),
    ("knowledge candidate", "--dwh", "RAW", "nothing", "nothing"),
    ("knowledge why", "nothing"),
    *(
        (f"snapshot {command}", "--dwh", "RAW", *more)
        for command, more in (
            ("show", ("nothing",)),
            ("verify", ("nothing",)),
            ("diff", ("nothing", "OUT")),
            ("pin", ("nothing", "--reason", "x")),
            ("unpin", ("nothing",)),
            ("rollback", ("c", "--to", "nothing", "--reason", "x")),
            ("train-request", ("nothing", "--role", "r")),
        )
    ),
]


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the paths for which the capitalized words in WRONG stand. The path of OUT does not exist."""
    monkeypatch.chdir(write_project(tmp_path / "toy"))
    for name in ("MART_DWH", "MART_SNAPSHOTS", "MART_TARGET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MART_HOME", str(tmp_path / "new" / "home"))
    raw = write_warehouse(tmp_path / "raw" / "raw", [job(1)])
    two = write_warehouse(tmp_path / "raw" / "two", [job(1)])
    (two / "jobs.parquet").write_bytes(b"no parquet")
    (tmp_path / "file").write_text("x")
    return {
        "RAW": str(raw),
        "TWO_KINDS": str(two),
        "EMPTY": str(write_empty(tmp_path / "raw" / "empty")),
        "FILE": str(tmp_path / "file"),
        "OUT": str(tmp_path / "a" / "b" / "out"),
    }


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_input_leaves_nothing_new(
    words: tuple[str, ...], names: dict[str, str], tmp_path: Path
) -> None:
    before = tree(tmp_path)
    first, *rest = (names.get(word, word) for word in words)
    done = CliRunner().invoke(main, [*first.split(), *rest])
    assert done.exit_code in {1, 2}, done.output
    assert "Traceback" not in done.stderr and isinstance(done.exception, SystemExit)
    assert sorted(tree(tmp_path) - before) == [], done.stderr


@pytest.fixture
def settings(names: dict[str, str]) -> Settings:
    return resolve_settings(dwh=names["RAW"])


def test_a_state_folder_that_was_there_stays_with_the_record_of_the_failure(
    settings: Settings,
) -> None:
    with open_run(settings, "build"):
        pass
    with pytest.raises(UsageError), open_run(settings, "build"):
        raise UsageError("wrong")
    assert len(list(settings.runs_dir.iterdir())) == 1
    assert (settings.state_dir / "lock").is_file()


@pytest.mark.parametrize("name", ["mart.duckdb", "history/history.duckdb", "snapshots/x", "dwh/x"])
def test_a_new_state_folder_with_something_of_use_stays(settings: Settings, name: str) -> None:
    def fail() -> None:
        with open_run(settings, "build"):
            (settings.state_dir / name).parent.mkdir(parents=True, exist_ok=True)
            (settings.state_dir / name).write_text("of use")
            raise UsageError("wrong")

    with pytest.raises(UsageError):
        fail()
    assert (settings.state_dir / name).is_file()


def test_a_failed_build_keeps_its_log(settings: Settings) -> None:
    with pytest.raises(TerminalError), open_run(settings, "build"):
        raise TerminalError("a check failed")
    assert len(list(settings.runs_dir.iterdir())) == 1


def test_a_lock_file_whose_folder_was_removed_is_not_locked_but_made_anew(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Remove the folder between the opening and the locking of the lock file, as another process may do."""
    real, folder = fcntl.flock, settings.state_dir
    removed: list[int] = []

    def flock(handle: int, operation: int) -> None:
        if not removed:
            removed.append(handle)
            shutil.rmtree(folder)
        real(handle, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with hold_state(settings):
        assert len(removed) == 1 and (folder / "lock").is_file()
        with pytest.raises(LeaseHeldError), hold_state(settings):
            pass
