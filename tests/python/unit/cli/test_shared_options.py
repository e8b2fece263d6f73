"""Test the options that commands share, the error objects of --json, and the argument that names a snapshot."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from feature_mart.cli import main
from feature_mart.cli.options import (
    SNAPSHOT_HELP,
    as_of_option,
    dwh_option,
    explained,
    full_refresh_option,
    json_option,
)
from feature_mart.core import settings as settings_module
from feature_mart.core.errors import (
    LeaseHeldError,
    StopRequestedError,
    TerminalError,
    TransientError,
    UsageError,
)
from feature_mart.snapshot_files import DamagedSnapshotError
from toy_project import write_project

#: Commands without --dwh, which read only the project's files or write a new warehouse.
WITHOUT_WAREHOUSE = {"knowledge check", "knowledge why", "sample"}
#: Commands with --as-of, which chooses the refresh. The other commands use the refresh of a mart or snapshot, draw
#: refreshes, or need none.
OF_A_REFRESH = {"run", "build", "cost", "audit leakage", "audit selection"}
#: Commands with --full-refresh, which build the mart or estimate the cost of a build.
IN_FULL = {"run", "build", "cost"}
OF_A_SNAPSHOT = {
    "snapshot show",
    "snapshot verify",
    "snapshot diff",
    "snapshot pin",
    "snapshot unpin",
    "snapshot train-request",
    "snapshot rollback",
    "audit reproduce",
    "knowledge evidence",
    "knowledge candidate",
}
#: Required arguments and options by command, without the argument SNAPSHOT.
REQUIRED = {
    "audit selection": ("--base", "main"),
    "audit file": ("f.csv", "--entity", "job_id", "--time", "t"),
    "export": ("--all",),
    "snapshot pin": ("--reason", "x"),
    "snapshot train-request": ("--role", "r"),
    "snapshot rollback": ("c", "--to", "s", "--reason", "x"),
    "knowledge candidate": ("c",),
    "knowledge why": ("c",),
    "audit reproduce": (),
}


def leaves() -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in main.commands.items():
        inner = command.commands if isinstance(command, click.Group) else {}
        found |= {f"{name} {each}": inner[each] for each in inner} or {name: command}
    return found


LEAVES = leaves()
WITH_JSON = sorted(
    name for name, each in LEAVES.items() if "as_json" in {p.name for p in each.params}
)


def words_of(name: str) -> list[str]:
    """Return the command line of a command, with all required arguments and options."""
    takes = [each.metavar for each in LEAVES[name].params if isinstance(each, click.Argument)]
    return [*name.split(), *("s" for each in takes if each == "SNAPSHOT"), *REQUIRED.get(name, ())]


def call(*arguments: str, **environment: str) -> Result:
    cleared: dict[str, str | None] = dict.fromkeys(("MART_DWH", "MART_SNAPSHOTS", "MART_TARGET"))
    return CliRunner().invoke(main, arguments, env={**cleared, **environment})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_project(tmp_path / "toy")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MART_HOME", str(tmp_path / "home"))
    return folder


@pytest.mark.parametrize(
    ("flag", "shared", "having"),
    [
        ("dwh", dwh_option, set(LEAVES) - WITHOUT_WAREHOUSE),
        ("as_of", as_of_option, OF_A_REFRESH),
        ("full_refresh", full_refresh_option, IN_FULL),
    ],
)
def test_a_shared_option_is_on_every_command_that_it_fits(
    flag: str, shared: object, having: set[str]
) -> None:
    @shared  # type: ignore[operator]
    def one() -> None: ...

    (wanted,) = one.__click_params__
    found = {
        name: option
        for name, command in LEAVES.items()
        for option in command.params
        if option.name == flag
    }
    assert set(found) == having
    assert {
        (each.help, each.metavar) for each in found.values() if isinstance(each, click.Option)
    } == {(wanted.help, wanted.metavar)}


@pytest.mark.parametrize("name", sorted(set(LEAVES) - WITHOUT_WAREHOUSE))
def test_every_command_reads_the_warehouse_of_dwh(
    name: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    def stop(*, dwh: str | None = None, target: str | None = None) -> None:
        asked.append(dwh)
        raise UsageError("enough")

    monkeypatch.setattr(settings_module, "resolve_settings", stop)
    done = call(*words_of(name), "--dwh", "/the/raw")
    assert (done.exit_code, asked) == (2, ["/the/raw"]), done.output


def test_every_command_that_takes_a_snapshot_names_it_alike() -> None:
    for name, command in LEAVES.items():
        taking = [each for each in command.params if each.metavar == "SNAPSHOT"]
        assert bool(taking) == (name in OF_A_SNAPSHOT), name
        assert (command.help or "").count(SNAPSHOT_HELP) == bool(taking), name


@pytest.mark.parametrize(
    "name", sorted(OF_A_SNAPSHOT - {"knowledge evidence", "knowledge candidate"})
)
@pytest.mark.parametrize(
    "wanted", ["nothing", "20260101T1800Z-aaaaaaaaaaaa", "./not/there", "file:///no"]
)
def test_a_snapshot_that_is_not_there_is_the_same_message_everywhere(
    name: str, wanted: str, project: Path, tmp_path: Path
) -> None:
    words = [wanted if word == "s" else word for word in words_of(name)]
    there = tmp_path / "home" / "sample" / "snapshots"
    done = call(*words)
    assert done.exit_code == 2
    assert f"{wanted!r} is not a snapshot: name one by its id, its consumer" in done.stderr
    assert f"{there} has no snapshot yet: `mart export` writes one." in done.stderr
    (there / "prices" / "snapshots" / "20250101T1800Z-bbbbbbbbbbbb").mkdir(parents=True)
    assert f"{there} has prices (20250101T1800Z-bbbbbbbbbbbb)." in call(*words).stderr


@pytest.mark.parametrize("name", WITH_JSON)
def test_wrong_options_with_json_are_an_error_object(name: str, project: Path) -> None:
    done = call(*words_of(name), "--json", "--no-such-option")
    error = json.loads(done.stdout)["error"]
    assert error["kind"] == "usage" and error["exit_code"] == done.exit_code == 2
    assert "--no-such-option" in error["message"] and "--no-such-option" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("build", "--dwh", "/not/there"),
        ("run", "--dwh", "/not/there"),
        ("run", "--as-of", "never"),
        ("export", "--all"),
        ("docs",),
        ("snapshot", "show", "s"),
        ("snapshot", "rollback", "c"),
        ("sample", "--jobs", "0"),
        ("audit", "leakage", "--dwh", "/not/there"),
        ("conformance", "--target", "no"),
        ("cost",),
        ("knowledge", "evidence", "c"),
        ("knowledge", "why", "no_such_column"),
        ("no-such-command",),
    ],
    ids=" ".join,
)
def test_a_failure_with_json_is_an_error_object_and_the_message_on_stderr(
    arguments: tuple[str, ...], project: Path
) -> None:
    done = call(*arguments, "--json")
    document = json.loads(done.stdout)
    assert set(document) == {"schema", "error"}
    error = document["error"]
    assert set(error) == {"kind", "message", "exit_code"}
    assert (error["kind"], error["exit_code"]) == ("usage", 2)
    assert done.exit_code == 2 and error["message"] in done.stderr.replace("Error: ", "")


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (UsageError("x"), "usage", 2),
        (TerminalError("x"), "terminal", 1),
        (DamagedSnapshotError("x"), "terminal", 1),
        (TransientError("x"), "transient", 75),
        (LeaseHeldError("x"), "lease_held", 3),
        (StopRequestedError("x"), "stopped", 75),
        (KeyboardInterrupt(), "interrupted", 130),
        (OSError(28, "No space left on device"), "machine", 1),
        (ValueError("a fault of the program"), "internal", 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_each_kind_of_error_has_its_name_and_code_in_json(
    error: BaseException, kind: str, code: int
) -> None:
    @click.command()
    @json_option
    @explained
    def command(as_json: bool) -> None:
        raise error

    done = CliRunner().invoke(command, ["--json"])
    found = json.loads(done.stdout)["error"]
    assert (found["kind"], found["exit_code"], done.exit_code) == (kind, code, code)
    assert CliRunner().invoke(command).stdout == ""
