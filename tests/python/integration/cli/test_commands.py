"""Test the mart, files and run records after successful and failed builds of a toy project."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from feature_mart.cli import main
from feature_mart.core.settings import resolve_settings
from feature_mart.knowledge.site import open_site
from feature_mart.runner.duckdb_mart import read_document
from feature_mart.runner.state import parse_built
from toy_project import job, write_project, write_warehouse

SLOW = """
{{ config(materialized='table') }}
select count(*) as n from range(3000000000) as a, range(1000) as b where hash(a.range, b.range) % 7 = 1
"""


class Mart:
    """A toy project, its warehouse and its state folder, all in one temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = write_project(folder / "toy")
        self.load([job(1), job(2), job(3)])

    @property
    def state(self) -> Path:
        return self.folder / "home" / "dwh"

    @property
    def path(self) -> Path:
        return self.state / "mart.duckdb"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MART_HOME": str(self.folder / "home"),
            "MART_DWH": str(self.folder / "raw" / "dwh"),
        }

    def load(self, jobs: Sequence[dict[str, Any]]) -> None:
        write_warehouse(self.folder / "raw" / "dwh", jobs)

    def edit(self, name: str, text: str) -> None:
        path = self.project / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def call(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, env=self.environment)

    def build(self, *arguments: str) -> dict[str, Any]:
        done = self.call("build", "--json", *arguments)
        assert done.exit_code == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as con:
            return con.execute(select).fetchall()

    def mark(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def report(self) -> dict[str, Any]:
        """Return the newest run record."""
        newest = max((self.state / "runs").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        document: dict[str, Any] = json.loads(newest.read_text())
        return document


@pytest.fixture
def mart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mart:
    made = Mart(tmp_path)
    monkeypatch.chdir(made.project)
    return made


def test_the_first_build_is_full_and_the_next_appends(mart: Mart) -> None:
    first = mart.build("--as-of", "2024-03-02")
    assert (first["full_because"], first["models"], first["tests"]["passed"]) == (
        "no mart yet",
        3,
        2,
    )
    assert first["as_of_at"] == "2024-03-01T18:00:00+00:00"
    # Skip a day, and build one day twice.
    assert mart.build("--as-of", "2024-03-04")["full_because"] is None
    assert mart.build("--as-of", "2024-03-04")["full_because"] is None
    assert mart.rows("select count(*), max(job_count) from toy_daily") == [(2, 3)]
    report = mart.report()
    assert (report["status"], report["exit_code"], report["warehouse_id"]) == ("done", 0, "dwh")
    assert [stage["name"] for stage in report["stages"]] == ["build"]
    assert report["marts"] == [
        {
            "name": "mart_toy__training",
            "rows": 3,
            "columns": 3,
            "splits": {},
            "excluded": {"void": 1},
        }
    ]
    assert not (mart.state / "scratch").exists()


def test_an_appending_python_model_leaves_no_table_of_its_own_behind(mart: Mart) -> None:
    (mart.project / "models" / "toy_python.py").write_text(
        "def model(dbt, session):\n"
        "    dbt.config(materialized='incremental')\n"
        "    return dbt.ref('toy_daily').df()\n"
    )
    mart.build("--as-of", "2024-03-02")
    assert mart.build("--as-of", "2024-03-04")["full_because"] is None
    assert mart.rows("select count(*) from toy_python")[0][0] > 1
    tables = "select table_name from duckdb_tables() where schema_name = 'main'"
    assert not [name for (name,) in mart.rows(tables) if "__dbt_tmp" in name]


def test_going_back_needs_a_full_refresh(mart: Mart) -> None:
    mart.build("--as-of", "2024-03-04")
    before = mart.mark()
    refused = mart.call("build", "--as-of", "2024-03-02")
    assert refused.exit_code == 2
    assert "build with --full-refresh to go back" in refused.stderr
    assert mart.mark() == before
    assert mart.build("--as-of", "2024-03-02", "--full-refresh")["models"] == 3


def test_a_failing_check_leaves_everything_and_says_what_to_do(mart: Mart) -> None:
    mart.build()
    assert mart.call("docs").exit_code == 0
    before, site = mart.mark(), (mart.state / "site" / "index.html").read_bytes()
    mart.load([job(1), job(2, client_id=None), job(3), job(3)])
    failed = mart.call("build")
    assert (failed.exit_code, failed.stdout) == (1, "")
    lines = failed.stderr.splitlines()
    assert "  - jobs.client_id is NULL in some rows (toy_jobs.client_id): 1 row" in lines
    assert "    to do: fill it in the raw table" in lines
    assert "    job_id=j2, client_id=None" in lines
    assert any(line.startswith("  - check unique_toy_jobs_job_id") for line in lines)
    assert "    unique_field=j3, n_records=2" in lines
    (sql, *_) = [line.removeprefix("    sql: ") for line in lines if "    sql: " in line]
    assert Path(sql).is_file()
    assert "Traceback" not in failed.stderr
    assert mart.mark() == before
    assert (mart.state / "site" / "index.html").read_bytes() == site
    report = mart.report()
    assert (report["status"], report["tests"]) == (
        "failed",
        {"passed": 0, "failed": 2, "warned": 0},
    )
    assert not (mart.state / "scratch").exists()


def test_a_warning_is_shown_and_stops_nothing(mart: Mart) -> None:
    yaml = (mart.project / "models" / "toy.yml").read_text()
    mart.edit(
        "models/toy.yml", yaml.replace("config:\n", "config:\n                severity: warn\n")
    )
    mart.load([job(1), job(2, client_id=None)])
    done = mart.build()
    assert done["tests"] == {"passed": 1, "failed": 0, "warned": 1}
    assert done["warnings"] == [
        "jobs.client_id is NULL in some rows (toy_jobs.client_id): 1 row; "
        "job_id=j2, client_id=None; fill it in the raw table"
    ]


def test_a_broken_model_is_named_with_the_databases_words(mart: Mart) -> None:
    mart.build()
    before = mart.mark()
    mart.edit("models/broken.sql", "select no_such_column from {{ ref('toy_jobs') }}")
    failed = mart.call("build")
    assert failed.exit_code == 1
    assert "  - model broken (models/broken.sql): Binder Error:" in failed.stderr
    assert "no_such_column" in failed.stderr
    mart.edit("models/broken.sql", "select {{ no_such_macro() }}")
    failed = mart.call("build")
    assert failed.exit_code == 1
    assert "no_such_macro" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert mart.mark() == before


def test_changed_definitions_force_a_full_build(mart: Mart) -> None:
    mart.build("--as-of", "2024-03-02")
    daily = mart.project / "models" / "toy_daily.sql"
    mart.edit("models/toy_daily.sql", daily.read_text().replace("count(*)", "10 + count(*)"))
    assert mart.build("--as-of", "2024-03-03")["full_because"] == "definitions have changed"
    assert mart.rows("select job_count from toy_daily") == [(13,)]


def test_a_changed_clock_is_refused_without_full_refresh(mart: Mart) -> None:
    mart.build()
    project = (mart.project / "dbt_project.yml").read_text()
    mart.edit("dbt_project.yml", project.replace("refresh_hour: 3", "refresh_hour: 4"))
    refused = mart.call("build")
    assert refused.exit_code == 2
    assert "refresh_hour from 3 to 4" in refused.stderr
    assert mart.build("--full-refresh")["as_of_at"] == "2024-03-01T19:00:00+00:00"


def test_select_builds_a_part_and_the_next_whole_build_is_full(mart: Mart) -> None:
    assert mart.build()["models"] == 3
    part = mart.build("--select", "mart_toy__training")
    assert (part["models"], part["full_because"]) == (1, None)
    assert mart.build()["full_because"] is None
    path = mart.project / "models" / "mart_toy__training.sql"
    former = path.read_text()
    mart.edit("models/mart_toy__training.sql", former.replace("1.5", "2.5"))
    assert mart.build("--select", "mart_toy__training")["models"] == 1
    assert mart.rows("select distinct price_log from mart_toy__training") == [(2.5,)]
    mart.edit("models/mart_toy__training.sql", former)
    assert mart.build()["full_because"] == "definitions have changed"
    wrong = mart.call("build", "--select", "no_such_model")
    assert wrong.exit_code == 2
    assert "matches no model" in wrong.stderr


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_stopped_build_leaves_nothing_behind(mart: Mart, sent: signal.Signals, code: int) -> None:
    mart.build()
    before = mart.mark()
    mart.edit("models/slow.sql", SLOW)
    process = subprocess.Popen(
        [sys.executable, "-m", "feature_mart", "build"],
        env={"PATH": "/usr/bin:/bin", **mart.environment},
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background jobs with SIGINT ignored, and child processes inherit this setting.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    started = mart.state / "target" / "build" / "run" / "toy" / "models" / "slow.sql"
    while not started.is_file() and process.returncode is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
    process.send_signal(sent)
    _, said = process.communicate()
    assert process.returncode == code, said
    assert "no partial results were kept" in said
    assert "Traceback" not in said
    assert mart.mark() == before
    assert not (mart.state / "scratch").exists()
    report = mart.report()
    assert (report["status"], report["exit_code"]) == ("interrupted", code)


def test_a_killed_build_is_cleared_away_by_the_next(mart: Mart) -> None:
    mart.build()
    left = mart.state / "scratch" / "draft" / "mart.duckdb"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of a mart")
    (mart.state / "lock").write_text("999999\n")
    assert mart.build()["full_because"] is None


def test_an_unreadable_mart_is_built_anew(mart: Mart) -> None:
    mart.build()
    mart.path.write_bytes(b"of another DuckDB" * 1000)
    assert "no finished mart that DuckDB" in mart.build()["full_because"]


def test_docs_are_one_page_served_on_this_machine_only(mart: Mart) -> None:
    mart.build()
    before = mart.mark()
    with duckdb.connect(str(mart.path), read_only=True):
        done = mart.call("docs", "--json")
    site = mart.state / "site"
    told = {"schema": 1, "site": str(site / "index.html"), "published": None}
    assert json.loads(done.stdout) == told
    assert {path.name for path in site.iterdir()} == {"index.html", "manifest.json", "catalog.json"}
    assert "mart_toy__training" in (site / "index.html").read_text()
    assert mart.mark() == before
    with open_site(resolve_settings(environment=mart.environment), 0) as server:
        host, port = server.server_address[:2]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/catalog.json") as answer:
            assert b"mart_toy__training" in answer.read()
        taken = mart.call("docs", "--serve", "--port", str(port))
        server.shutdown()
    assert host == "127.0.0.1"
    assert taken.exit_code == 2
    assert "choose another port with --port" in taken.stderr


def test_an_export_without_consumers_says_where_to_add_one(mart: Mart) -> None:
    mart.build()
    done = mart.call("export", "--all")
    assert done.exit_code == 1
    assert "models/exposures.yml" in done.stderr
    assert mart.call("export", "nobody").exit_code == 2


def test_another_warehouse_of_the_same_name_is_refused_by_every_command(
    mart: Mart, tmp_path: Path
) -> None:
    mart.build()
    other = write_warehouse(tmp_path / "other" / "dwh", [job(9)])
    runs = len(list((mart.state / "runs").iterdir()))
    for command in (("build",), ("docs",), ("export", "--all"), ("run",)):
        environment = {**mart.environment, "MART_DWH": str(other)}
        done = CliRunner().invoke(main, command, env=environment)
        assert done.exit_code == 2, command
        assert "set MART_HOME to another folder" in done.stderr
    assert len(list((mart.state / "runs").iterdir())) == runs


def test_the_record_is_that_of_the_build(mart: Mart) -> None:
    done = mart.build()
    built = parse_built(read_document(mart.path, "built"))
    assert built is not None
    assert (built.run_id, built.address) == (done["run_id"], str(mart.folder / "raw" / "dwh"))
    assert (built.tests.passed, built.tests.failed) == (2, 0)
