"""Build a mart on the emulated BigQuery with `mart` itself, and the same mart on DuckDB to compare it with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from click.testing import CliRunner, Result

from bigframes_stand_in import notebooks
from bigquery_emulator import Emulator
from feature_mart.audit.raw_rows import read_raw_warehouse
from feature_mart.bigquery import load_folder, open_client
from feature_mart.cli import main
from feature_mart.conformance import TableComparison, compare_engines
from feature_mart.core.duckdb_files import copy_to, parquet
from feature_mart.core.raw_contract import CONTRACT
from feature_mart.core.settings import Settings, resolve_settings
from feature_mart.runner import build_mart, open_run
from feature_mart.runner.compiled import build_compiled, compile_project

PROJECT_ID = "mart-test"


def environment_of(emulator: Emulator, home: Path, **others: str) -> dict[str, str]:
    """Return environment variables for a mart on the emulator.

    dbt makes no retries, and the other clients retry for at most 10 seconds.
    """
    return {
        "MART_TARGET": "bigquery_ci",
        "MART_GCP_PROJECT": PROJECT_ID,
        "MART_GCP_LOCATION": "US",
        "MART_GCS_BUCKET": "none",
        "MART_BQ_API_ENDPOINT": emulator.endpoint,
        "MART_BQ_STORAGE_ENDPOINT": emulator.storage_endpoint,
        "MART_BQ_TIMEOUT_S": "120",
        "MART_BQ_RETRY_S": "10",
        "MART_BQ_RETRIES": "0",
        # The emulator has one database connection and refuses concurrent calls.
        "MART_BQ_THREADS": "1",
        "MART_HOME": str(home),
        **others,
    }


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set these environment variables and unset every other MART_ variable; restore the environment on exit."""
    saved = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("MART_")]:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def call(variables: Mapping[str, str], *arguments: str) -> Result:
    """Run a `mart` command in this process, with the stand-in for the notebook service."""
    with environment(variables):
        address = resolve_settings().bigquery
        assert address is not None
        with notebooks(open_client(address)):
            return CliRunner().invoke(main, [*arguments])


def result_of(variables: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    """Run a `mart` command with `--json`, assert that it succeeds, and return the object that it prints."""
    done = call(variables, *arguments, "--json")
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@dataclass(frozen=True, slots=True)
class EmulatedMart:
    """A mart on the emulator. `raw` is the folder with the mart's raw tables as Parquet files."""

    variables: Mapping[str, str]
    settings: Settings
    raw: Path

    @property
    def client(self) -> Any:
        assert self.settings.bigquery is not None
        return open_client(self.settings.bigquery)

    def load(self, dataset: str) -> None:
        """Load the raw tables into a dataset, and create the dataset if necessary."""
        assert self.settings.bigquery is not None
        load_folder(self.client, self.settings.bigquery, self.raw, dataset)

    def build(self, as_of: str, *, full_refresh: bool = False) -> None:
        """Build the mart as of a refresh, without running the checks."""
        with (
            environment(self.variables),
            notebooks(self.client),
            open_run(self.settings, "build") as log,
        ):
            build_mart(self.settings, log, as_of=as_of, full_refresh=full_refresh, is_checked=False)

    def compare(self, as_of_at: datetime, folder: Path) -> tuple[TableComparison, ...]:
        """Compare every table with the same table of one full build on DuckDB."""
        variables = {"MART_HOME": str(folder / "home")}
        here = resolve_settings(dwh=str(self.raw), environment=variables)
        here = replace(here, warehouse=self.settings.warehouse)
        project = compile_project(here, as_of_at, folder)
        raw = read_raw_warehouse(self.raw, project.seeds, here.warehouse)
        whole = folder / "whole.duckdb"
        build_compiled(project, whole, raw.every_row(), as_of_at)
        tables = [model.name for model in project.models if not model.is_view]
        assert self.settings.bigquery is not None
        return compare_engines(self.client, self.settings.bigquery, whole, tables)


def emulated_mart(variables: Mapping[str, str], raw: Path) -> EmulatedMart:
    """Return a mart with these environment variables and the raw tables in ``raw``. Do not load or build anything."""
    return EmulatedMart(variables, resolve_settings(environment=variables), raw)


def write_slice(source: Path, out: Path, jobs: int) -> Path:
    """Write a warehouse with the last ``jobs`` jobs of another warehouse and all rows that belong to these jobs.

    Tables that do not refer to jobs, such as clients, are copied in full. Return the new folder.
    """
    out.mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(
            "create table chosen as select job_id from (select job_id, max(posted_at) as last_posted_at "
            f"from {parquet(source / 'jobs.parquet')} group by job_id "
            f"order by last_posted_at desc, job_id limit {jobs})"
        )
        for table, columns in CONTRACT.items():
            path = source / f"{table}.parquet"
            where = "true"
            if "job_id" in columns:
                where = "job_id in (from chosen)"
            elif table == "reviews":
                kept = f"select contract_id from {parquet(source / 'contracts.parquet')} where job_id in (from chosen)"
                where = f"contract_id in ({kept})"
            copy_to(con, f"from {parquet(path)} where {where}", out / path.name)
    return out
