"""Build one sample on both engines, on BigQuery in two increments and on DuckDB in full, and compare the tables."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from feature_mart.audit.raw_rows import read_raw_warehouse
from feature_mart.bigquery import load_folder, open_client
from feature_mart.conformance.reference_sample import DAYS_BEFORE
from feature_mart.conformance.tables import TableComparison, compare_engines
from feature_mart.core.errors import UsageError
from feature_mart.core.services import BigQueryAddress
from feature_mart.core.settings import SAMPLE, Settings, resolve_settings
from feature_mart.raw.warehouse import newest_load
from feature_mart.runner import Progress, build_mart, open_run
from feature_mart.runner.compiled import build_compiled, compile_project
from feature_mart.sample import write_sample


def compare_sample(
    settings: Settings,
    *,
    jobs: int,
    seed: int,
    is_checked: bool = False,
    progress: Progress | None = None,
) -> tuple[TableComparison, ...]:
    """Build a sample on BigQuery as of two refreshes and on DuckDB in one full build, and compare all tables.

    The mart and the sample are written to datasets named after the mart's dataset, with `_conformance` and
    `_conformance_raw` appended. These datasets are kept for inspection.

    Args:
        jobs, seed: size and random seed of the sample, as in `write_sample`.
        is_checked: also run the mart's tests on BigQuery.
        progress: called with two zeros and a description of each step.

    Raises:
        UsageError: the target is not BigQuery.
        FeatureMartError: a build or a request to BigQuery failed.
    """
    if settings.bigquery is None:
        raise UsageError(
            "--tables compares BigQuery with DuckDB: name a BigQuery target with --target, such as bigquery_dev, or "
            "googlesql for Google's reference implementation."
        )

    def show(what: str) -> None:
        if progress is not None:
            progress(0, 0, what)

    there = _conformance_settings(settings, settings.bigquery)
    address = there.bigquery
    assert address is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample = folder / SAMPLE  # seeds/load_clock.csv has lines for a warehouse of this name.
        show("a sample")
        write_sample(sample, jobs, seed)
        loaded = newest_load(sample)
        assert loaded is not None
        last = settings.clock.refresh_at(loaded)
        client = open_client(address, {"mart_command": "conformance"})
        load_folder(client, address, sample, address.raw.rpartition(".")[2], show)
        for as_of_at in (settings.clock.refresh_before(last - timedelta(days=DAYS_BEFORE)), last):
            show(f"a build on BigQuery as of {as_of_at:%Y-%m-%d}")
            with open_run(there, "conformance") as log:
                build_mart(
                    there,
                    log,
                    as_of=as_of_at.isoformat(),
                    full_refresh=as_of_at < last,
                    is_checked=is_checked,
                )
        show("a build on DuckDB")
        here = resolve_settings(dwh=str(sample), environment={"MART_HOME": str(folder / "home")})
        project = compile_project(here, last, folder)
        raw = read_raw_warehouse(sample, project.seeds, here.warehouse)
        whole = folder / "whole.duckdb"
        build_compiled(project, whole, raw.every_row(), last)
        show("compare the tables")
        tables = [model.name for model in project.models if not model.is_view]
        return compare_engines(client, address, whole, tables)


def _conformance_settings(settings: Settings, address: BigQueryAddress) -> Settings:
    """Return the settings with separate datasets for the mart and the sample, named after the mart's dataset."""
    dataset = f"{address.dataset}_conformance"
    raw = f"{address.project}.{dataset}_raw"
    return replace(
        settings,
        warehouse=SAMPLE,
        warehouse_id=raw,
        state_name=f"{address.project}.{dataset}",
        address=f"{raw} on BigQuery",
        bigquery=replace(address, raw=raw, dataset=dataset),
    )
