"""Test the command line: help, usage, exit codes, and what goes to stdout and stderr."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import click
import duckdb
import pytest
from click.testing import CliRunner, Result

from feature_mart.cli import main
from feature_mart.cli.options import explained
from feature_mart.knowledge import site
from toy_project import write_project, write_warehouse


def all_commands() -> list[tuple[str, click.Command]]:
    """Return the full name and the click object of every command."""
    found = []
    for name, command in main.commands.items():
        if isinstance(command, click.Group):
            found += [(f"{name} {inner}", each) for inner, each in command.commands.items()]
        else:
            found.append((name, command))
    return found


def call(*arguments: str, **environment: str) -> Result:
    cleared: dict[str, str | None] = dict.fromkeys(("MART_DWH", "MART_SNAPSHOTS", "MART_TARGET"))
    return CliRunner().invoke(main, arguments, env={**cleared, **environment})


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_project(tmp_path / "toy")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MART_HOME", str(tmp_path / "home"))
    return folder


@pytest.mark.parametrize(("name", "command"), all_commands())
def test_every_command_and_option_has_help(name: str, command: click.Command) -> None:
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"mart {name} {parameter.opts[0]}"


def test_help_lists_every_command_in_its_section() -> None:
    text = call("--help").stdout
    for name, _ in all_commands():
        assert f"\n  {name} " in text
    assert text.index("First:") < text.index("  run ") < text.index("  build ") < text.index("Raw")


def test_help_imports_none_of_the_heavy_packages() -> None:
    code = (
        "import sys; from feature_mart.cli import main; main(['--help'], standalone_mode=False); "
        "print([m for m in ('dbt', 'duckdb', 'rich.table', 'pyarrow', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    assert "dbt" not in loaded and "duckdb" not in loaded and "pyarrow" not in loaded


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("build", "--as-of"), "requires an argument"),
        (("export",), "Name one consumer, or pass --all"),
        (("export", "price_estimation", "--all"), "Name one consumer, or pass --all"),
        (("export", "price_estimation"), "There is no mart at"),
        (("docs",), "There is no mart at"),
        (("docs", "--serve"), "There is no mart at"),
        (("build",), "`mart sample` writes a sample"),
        (("sample", "--jobs", "0"), "--jobs is 0"),
        (("sample", "--empty", "x", "--jobs", "3"), "--empty cannot be used with --jobs"),
        (("snapshot", "verify", "/not/there"), "'/not/there' is not a snapshot: name one by"),
        (("snapshot", "verify", "gs://bucket/a/b"), "use a folder, or s3://bucket/prefix"),
        (("snapshot", "verify", "s3://bucket"), "is not the address of a snapshot, which ends in"),
        (
            ("snapshot", "verify", "file:///not/there"),
            "'file:///not/there' is not a snapshot: name one by",
        ),
        (("snapshot", "rollback", "price_estimation"), "Pass --to SNAPSHOT and --reason TEXT"),
        (("snapshot", "rollback", "c", "--to", "x", "--reason", " "), "--reason is empty"),
        (("snapshot", "pin", "x", "--reason", "a"), "'x' is not a snapshot: name one by"),
        (
            ("snapshot", "rollback", "c", "--to", "x", "--reason", "a"),
            "'x' is not a snapshot: name",
        ),
        (("snapshot", "diff", "a", "b"), "'a' is not a snapshot: name one by"),
        (("snapshot", "train-request", "c", "--role", "r"), "'c' is not a snapshot: name one by"),
        (("snapshot", "clean", "--keep", "0"), "0 is not in the range"),
        (("run", "--dwh", "/not/there"), "The warehouse /not/there is not a folder"),
        (("no-such-command",), "No such command"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_message(arguments: tuple[str, ...], said: str) -> None:
    done = call(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "snapshot list"])
def test_a_place_of_another_kind_is_refused_before_anything_is_done(
    command: str, tmp_path: Path
) -> None:
    done = call(*command.split(), MART_SNAPSHOTS="gs://bucket/snapshots")
    assert done.exit_code == 2
    assert "gs://bucket/snapshots is not a folder or an S3 address" in done.stderr
    assert not (tmp_path / "home").exists()


def test_docs_serve_shows_the_site_that_is_there_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "home" / "sample" / "site" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("the site")
    served: list[int] = []
    monkeypatch.setattr(site, "serve_docs", lambda _settings, port: served.append(port))
    monkeypatch.setattr(site, "check_port", lambda _port: None)
    before = sorted(tmp_path.rglob("*"))
    done = call("docs", "--serve", "--port", "8123")
    assert (done.exit_code, served) == (0, [8123])
    assert done.stdout == f"{page}\n"
    assert (
        "the site was written on " in done.stderr and "run `mart docs` to update it" in done.stderr
    )
    assert sorted(tmp_path.rglob("*")) == before
    for more in ((), ("--serve", "--publish", str(tmp_path / "out"))):
        assert "There is no mart at" in call("docs", *more).stderr, "these write it"


def test_a_wrong_as_of_is_exit_code_2(tmp_path: Path) -> None:
    dwh = write_warehouse(tmp_path / "raw", [{"job_id": "j", "loaded_at": "2024-01-01 00:00+00"}])
    done = call("build", "--as-of", "2024-01-01T03:00:00", MART_DWH=str(dwh))
    assert done.exit_code == 2
    assert "has no UTC offset" in done.stderr


def test_sample_writes_where_it_is_told(tmp_path: Path) -> None:
    done = call("sample", "--jobs", "5", "--out", str(tmp_path / "here"), "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["schema"], document["jobs"]) == (0, 1, 5)
    assert (tmp_path / "here" / "jobs.parquet").is_file()
    assert not (tmp_path / "home").exists()


def test_sample_has_a_folder_of_its_own_whatever_the_warehouse(tmp_path: Path) -> None:
    done = call("sample", "--jobs", "5", MART_DWH=str(tmp_path / "mine"))
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "home" / "sample" / "dwh" / "jobs.parquet").is_file()
    assert not (tmp_path / "mine").exists()


def test_snapshot_list_of_nothing_is_no_failure() -> None:
    assert json.loads(call("snapshot", "list", "--json").stdout) == {"schema": 1, "snapshots": []}
    assert call("snapshot", "list").stdout.startswith("No snapshots under")


def test_what_the_machine_refuses_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    done = call("sample", "--jobs", "5", MART_HOME=str(tmp_path / "file"))
    assert done.exit_code == 1
    assert "is not writable" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "is_explained"),
    [
        (duckdb.IOException("Could not write file"), True),
        (duckdb.OutOfMemoryException("no memory"), True),
        (duckdb.TransactionException("Failed to commit: … No space left on device"), True),
        (duckdb.FatalException("Could not write: Disk quota exceeded"), True),
        (duckdb.TransactionException("Conflict on tuple"), False),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (ValueError("No space left on device"), False),
    ],
    ids=repr,
)
def test_a_full_disk_is_one_message_whichever_error_reports_it(
    error: Exception, is_explained: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(SystemExit if is_explained else type(error)):
        explained(fail)()
    said = capsys.readouterr().err
    assert bool(said) is is_explained
    assert not said or (said.startswith("mart: ") and said.count("\n") == 1)


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHOME", "PYTHONOPTIMIZE", "PYTHONWARNINGS"])
def test_a_variable_that_changes_what_python_runs_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MART_HOME", str(tmp_path))
    monkeypatch.delenv(name, raising=False)
    listing = ["snapshot", "list", "--json"]
    assert CliRunner().invoke(main, listing).stderr == ""
    monkeypatch.setenv(name, "there")
    result = CliRunner().invoke(main, listing)
    assert result.exit_code == 0 and result.stderr.startswith(f"mart: {name}=there is set: ")
    assert json.loads(result.stdout)["snapshots"] == []
