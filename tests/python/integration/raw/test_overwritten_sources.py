"""Test that the history of an overwritten source is stored outside the mart and survives the loss of the mart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from feature_mart.cli import main
from toy_project import job, write_project, write_warehouse

_SNAPSHOT = """
version: 2
sources:
  - name: dwh
    schema: dwh
    tables:
      - name: present_jobs
snapshots:
  - name: snap_jobs
    relation: source('dwh', 'present_jobs')
    config:
      database: history
      schema: main
      strategy: check
      check_cols: all
      unique_key: job_id
      hard_deletes: new_record
"""
_HOOKS = """
on-run-start:
  - >
    create or replace view dwh.present_jobs as
    select job_id, client_id from dwh.jobs
"""
_SEEN = "select job_id, client_id, dbt_is_deleted from {{ ref('snap_jobs') }}"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_project(tmp_path / "toy")
    settings = folder / "dbt_project.yml"
    settings.write_text(
        settings.read_text().replace("overwritten_sources: []", "overwritten_sources: [jobs]")
        + _HOOKS
    )
    (folder / "models" / "seen_jobs.sql").write_text("{{ config(materialized='table') }}\n" + _SEEN)
    (folder / "models" / "snapshots.yml").write_text(_SNAPSHOT)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MART_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MART_DWH", str(tmp_path / "dwh"))
    return folder


def build(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(main, ["build", "--json", *arguments])
    assert done.exit_code == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def seen(tmp_path: Path) -> list[tuple[Any, ...]]:
    state = tmp_path / "home" / "dwh"
    with duckdb.connect(str(state / "mart.duckdb"), read_only=True) as con:
        return con.execute("select * from seen_jobs order by all").fetchall()


@pytest.mark.audit
def test_history_is_taken_once_a_refresh_and_outlives_the_mart(
    project: Path, tmp_path: Path
) -> None:
    state = tmp_path / "home" / "dwh"
    history = state / "history" / "history.duckdb"
    write_warehouse(tmp_path / "dwh", [job(1), job(2)])
    build("--as-of", "2024-03-02")
    first = [("j1", "c1", "False"), ("j2", "c1", "False")]
    assert seen(tmp_path) == first
    # A second build of the same refresh takes no second snapshot.
    write_warehouse(tmp_path / "dwh", [job(1, client_id="c2")])
    build("--as-of", "2024-03-02")
    assert seen(tmp_path) == first
    build("--as-of", "2024-03-03")
    second = [*first, ("j1", "c2", "False"), ("j2", "c1", "True")]
    assert seen(tmp_path) == sorted(second)
    # Neither the loss of the mart nor a full refresh changes the history.
    (state / "mart.duckdb").unlink()
    build("--as-of", "2024-03-03", "--full-refresh")
    assert seen(tmp_path) == sorted(second)
    # If DuckDB cannot read the history file, the build reads the Parquet copy in the same folder.
    history.write_bytes(b"of another DuckDB" * 1000)
    build("--as-of", "2024-03-04")
    assert seen(tmp_path) == sorted(second)
    assert (history.parent / "unreadable.duckdb").read_bytes().startswith(b"of another")
    history.unlink()
    build("--as-of", "2024-03-05")
    assert seen(tmp_path) == sorted(second)


def test_history_that_cannot_be_read_and_has_no_copy_stops_the_build(
    project: Path, tmp_path: Path
) -> None:
    write_warehouse(tmp_path / "dwh", [job(1)])
    folder = tmp_path / "home" / "dwh" / "history"
    folder.mkdir(parents=True)
    (folder / "history.duckdb").write_bytes(b"of another DuckDB" * 1000)
    done = CliRunner().invoke(main, ["build"])
    assert done.exit_code == 1
    assert "use the DuckDB version that wrote it" in done.stderr
    assert (folder / "history.duckdb").read_bytes().startswith(b"of another")
