"""Build a sample on DuckDB as of two refreshes, and compare each build, model by model, with GoogleSQL."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from feature_mart.bigquery.googlesql import load_googlesql
from feature_mart.conformance.duckdb_tables import DuckDBTables
from feature_mart.conformance.models import (
    EXCEPTIONS,
    MartTables,
    ModelComparison,
    compare_models,
)
from feature_mart.conformance.reference import BigQueryModel, compile_for_bigquery
from feature_mart.core.duckdb_files import attach, connect
from feature_mart.core.settings import SAMPLE, Settings, resolve_settings
from feature_mart.raw.warehouse import newest_load
from feature_mart.runner import Progress, build_mart, open_run
from feature_mart.sample import write_sample

#: The number of days between the two builds.
DAYS_BEFORE = 12


@dataclass(frozen=True, slots=True)
class ReferenceReport:
    """The comparison of a sample's models.

    `first` compares the first build, as of the earlier refresh, and `later` the run as of the newest refresh, which
    appends to the first build. Both have the same models in the same order. `python_models` are not evaluated: their
    tables are DuckDB's.
    """

    first: tuple[ModelComparison, ...]
    later: tuple[ModelComparison, ...]
    python_models: tuple[str, ...]

    @property
    def exceptions(self) -> tuple[str, ...]:
        """Return a line for each column that is not compared, with the reason."""
        return tuple(
            f"{model}.{column} is not compared: {reason}"
            for (model, column), reason in EXCEPTIONS.items()
        )


@dataclass(frozen=True, slots=True)
class TwoBuilds:
    """A warehouse built twice on DuckDB: in full as of `first_at`, then incrementally as of `last_at`."""

    settings: Settings
    first: Path
    first_at: datetime
    last: Path
    last_at: datetime


def compare_reference_sample(
    *, jobs: int, seed: int, progress: Progress | None = None
) -> ReferenceReport:
    """Build a sample on DuckDB twice, evaluate each SQL model on GoogleSQL, and compare all rows bit for bit.

    The models of the first build read the tables of the first mart. The models of the later run read the tables of the
    second mart and, as `{{ this }}`, their own table of the first mart.

    Args:
        jobs, seed: size and random seed of the sample, as in `write_sample`.
        progress: called with two zeros and a description of each step.

    Raises:
        TerminalError: GoogleSQL is not installed, or a build failed.
    """

    def show(what: str) -> None:
        if progress is not None:
            progress(0, 0, what)

    load_googlesql()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample = folder / SAMPLE  # seeds/load_clock.csv has lines for a warehouse of this name.
        show("a sample")
        write_sample(sample, jobs, seed)
        settings = resolve_settings(
            dwh=str(sample), environment={"MART_HOME": str(folder / "home")}
        )
        return compare_builds(build_twice(settings, folder, show), show)


def build_twice(
    settings: Settings, folder: Path, show: Callable[[str], None] = lambda _: None
) -> TwoBuilds:
    """Build a warehouse on DuckDB in full, then 12 days later incrementally, and keep both marts in ``folder``."""
    loaded = newest_load(settings.dwh)
    assert loaded is not None
    last_at = settings.clock.refresh_at(loaded)
    first_at = settings.clock.refresh_before(last_at - timedelta(days=DAYS_BEFORE))
    first = folder / "first.duckdb"
    for as_of_at in (first_at, last_at):
        show(f"a build on DuckDB as of {as_of_at:%Y-%m-%d}")
        with open_run(settings, "conformance") as log:
            report = build_mart(
                settings,
                log,
                as_of=as_of_at.isoformat(),
                full_refresh=as_of_at < last_at,
                is_checked=False,
            )
        if as_of_at < last_at:
            shutil.copy(settings.mart_path, first)
    assert report.full_because is None, report.full_because
    return TwoBuilds(settings, first, first_at, settings.mart_path, last_at)


def compare_builds(
    builds: TwoBuilds, show: Callable[[str], None] = lambda _: None
) -> ReferenceReport:
    """Evaluate each SQL model of two builds on GoogleSQL, and compare the results with DuckDB's tables."""
    with open_mart(builds.first) as first, open_mart(builds.last) as last:
        found = []
        for what, as_of_at, tables in (
            ("first build", builds.first_at, first),
            ("later run", builds.last_at, MartTables(last.mart, last.raw, first.mart)),
        ):
            show(f"compile the {what} for BigQuery")
            models = compile_on(tables, builds.settings, as_of_at)
            found.append(compare_models(models, tables, partial(_show_model, show, what)))
    python = tuple(sorted(model.name for model in models if model.select is None))
    return ReferenceReport(found[0], found[1], python)


def _show_model(show: Callable[[str], None], what: str, model: str) -> None:
    show(f"{what}: {model}")


def compile_on(
    tables: MartTables, settings: Settings, as_of_at: datetime | None
) -> tuple[BigQueryModel, ...]:
    """Compile all models for BigQuery. GoogleSQL evaluates the queries that models send while they are compiled."""
    seeds = [path.stem for path in (settings.project / "seeds").rglob("*.csv")]
    return compile_for_bigquery(settings, as_of_at, tables.existing(seeds), tables.query)


@contextmanager
def open_mart(path: Path) -> Iterator[MartTables]:
    """Open a mart's file, and yield its tables and, in the schema `dwh`, its raw tables."""
    with connect() as con:
        attach(con, path, "mart")
        con.execute("use mart.main")
        yield MartTables(DuckDBTables(con), DuckDBTables(con, "dwh"))
