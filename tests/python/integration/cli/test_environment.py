"""Test that environment variables of dbt and git and unusual folder names do not change what a build does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from audited_project import write_audited_project, write_audited_warehouse
from feature_mart.cli import main
from feature_mart.runner import build
from feature_mart.runner.git import read_files_at, read_git
from strange_names import WORST
from toy_project import job, write_project, write_warehouse


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(write_project(tmp_path / "toy"))
    monkeypatch.setenv("MART_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MART_DWH", str(write_warehouse(tmp_path / "dwh", [job(1), job(2)])))
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DBT_RESOURCE_TYPES", "model seed"),
        ("DBT_EXCLUDE_RESOURCE_TYPES", "test unit_test"),
        ("DBT_EMPTY", "true"),
        ("DBT_TARGET", "bigquery_prod"),
        ("DBT_ENGINE_RESOURCE_TYPES", "model seed"),
        ("DBT_SAMPLE", "1 day"),
    ],
)
def test_a_variable_that_dbt_takes_for_a_flag_changes_nothing(
    toy: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    done = call("build", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["tests"] == {"passed": 2, "failed": 0, "warned": 0}
    with duckdb.connect(str(toy / "home" / "dwh" / "mart.duckdb"), read_only=True) as con:
        assert con.execute("select count(*) from toy_jobs").fetchall() == [(2,)]
    assert os.environ[name] == value, "it is the caller's again"


def test_a_bad_row_is_not_published_under_such_a_variable(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(toy / "dwh")
    write_warehouse(toy / "dwh", [job(1), job(2, client_id=None)])
    monkeypatch.setenv("DBT_RESOURCE_TYPES", "model seed")
    done = call("build")
    assert done.exit_code == 1 and "jobs.client_id is NULL in some rows" in done.stderr
    assert not (toy / "home" / "dwh" / "mart.duckdb").exists()


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        (
            ["--exclude", "unique_toy_jobs_job_id"],
            "dbt left out 1 of 5 models and checks, for example test.toy.",
        ),
        (
            ["--exclude", "toy_daily"],
            "dbt left out 1 of 5 models and checks, for example model.toy.toy_daily",
        ),
        (["--exclude-resource-type", "test"], "dbt left out 2 of 5 models and checks"),
    ],
)
def test_what_dbt_left_out_is_not_published(
    toy: Path, monkeypatch: pytest.MonkeyPatch, left_out: list[str], said: str
) -> None:
    invoke = build.invoke_dbt

    def invoke_less(settings: Any, arguments: Sequence[str], **others: Any) -> Any:
        return invoke(settings, [*arguments, *left_out], **others)

    monkeypatch.setattr(build, "invoke_dbt", invoke_less)
    done = call("build")
    assert done.exit_code == 1 and said in done.stderr, done.output
    assert "nothing was published" in done.stderr
    assert not (toy / "home" / "dwh" / "mart.duckdb").exists()


def test_a_project_without_a_check_publishes_nothing(toy: Path) -> None:
    path = toy / "toy" / "models" / "toy.yml"
    path.write_text(path.read_text().partition("models:")[0])
    done = call("build")
    assert done.exit_code == 1 and "The project has no check" in done.stderr


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repositories(tmp_path: Path) -> tuple[Path, Path]:
    """Return the project's own repository and another one, with one commit each."""
    for name in ("own", "foreign"):
        folder = tmp_path / name
        (folder / "models").mkdir(parents=True)
        (folder / "models" / "m.sql").write_text(f"select '{name}'")
        git(folder, "init", "--quiet")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", name)
    return tmp_path / "own", tmp_path / "foreign"


@pytest.mark.parametrize(
    "variables",
    [
        ("GIT_DIR",),
        ("GIT_DIR", "GIT_WORK_TREE"),
        ("GIT_INDEX_FILE",),
        ("GIT_OBJECT_DIRECTORY",),
        ("GIT_CEILING_DIRECTORIES",),
        ("GIT_NAMESPACE",),
    ],
    ids="+".join,
)
def test_the_commit_is_the_project_s_whatever_git_s_variables_say(
    repositories: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, variables: tuple[str, ...]
) -> None:
    own, foreign = repositories
    expected = read_git(own)
    assert expected.commit == git(own, "rev-parse", "HEAD") and not expected.dirty
    values = {
        "GIT_DIR": foreign / ".git",
        "GIT_WORK_TREE": foreign,
        "GIT_INDEX_FILE": foreign / ".git" / "index",
        "GIT_OBJECT_DIRECTORY": foreign / ".git" / "objects",
        "GIT_CEILING_DIRECTORIES": own.parent,
        "GIT_NAMESPACE": "foreign",
    }
    for name in variables:
        monkeypatch.setenv(name, str(values[name]))
    assert read_git(own) == expected
    assert read_files_at(own, "HEAD", ["models"]) == {"models/m.sql": "select 'own'"}


@pytest.mark.audit
def test_every_command_works_below_names_that_sql_would_read_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Build twice and run the leakage audit. The paths of project, state folder and warehouse contain WORST."""
    below = tmp_path / WORST
    warehouse = write_audited_warehouse(below / WORST)
    monkeypatch.setenv("MART_HOME", str(below / f"home {WORST}"))
    monkeypatch.setenv("MART_DWH", str(warehouse))
    monkeypatch.chdir(write_audited_project(below / f"project {WORST}"))
    for arguments in (
        ("build",),
        ("build",),
        ("audit", "leakage", "--cutoffs", "2", "--perturb", "1"),
    ):
        done = call(*arguments)
        assert done.exit_code == 0, (arguments, done.output, done.exception)


@pytest.mark.parametrize(
    ("variable", "name"), [("MART_DWH", "a\\b"), ("MART_DWH", "what?"), ("MART_HOME", "a\nb")]
)
def test_a_name_that_cannot_work_is_refused_in_one_line(
    toy: Path, monkeypatch: pytest.MonkeyPatch, variable: str, name: str
) -> None:
    (toy / name).mkdir()
    monkeypatch.setenv(variable, str(toy / name))
    done = call("build")
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith(f"mart: {variable} is ") and done.stderr.count("\n") == 1
    assert "rename the folder" in done.stderr
