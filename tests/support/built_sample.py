"""Build the mart of a small sample from the compiled SQL, without a dbt build, for tests that read a mart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from feature_mart.audit.raw_rows import RawWarehouse, read_raw_warehouse
from feature_mart.core.manifest import Manifest
from feature_mart.core.settings import Clock, resolve_settings
from feature_mart.raw.warehouse import newest_load
from feature_mart.runner.compiled import build_compiled, compile_project
from feature_mart.sample import write_sample


@dataclass(frozen=True, slots=True)
class BuiltSample:
    """A mart as of a refresh before the end of the sample. Some raw rows were loaded after that refresh."""

    mart: Path
    raw: RawWarehouse
    clock: Clock
    as_of_at: datetime
    manifest: Manifest


def build_sample(folder: Path, jobs: int, seed: int) -> BuiltSample:
    """Write a sample into ``folder``, and build all models as of a refresh in January of the sample's last year.

    Take the time of the newest load, replace its month by January, and use the last refresh at or before this time.
    """
    warehouse = folder / "sample"  # seeds/load_clock.csv has lines for a warehouse named `sample`.
    write_sample(warehouse, jobs=jobs, seed=seed)
    settings = resolve_settings(dwh=str(warehouse), environment={"MART_HOME": str(folder / "home")})
    as_of_at = settings.clock.refresh_before(newest_load(warehouse).replace(month=1))
    project = compile_project(settings, as_of_at, folder)
    raw = read_raw_warehouse(warehouse, project.seeds, settings.warehouse)
    mart = folder / "built.duckdb"
    build_compiled(project, mart, raw.every_row(), as_of_at)
    return BuiltSample(mart, raw, settings.clock, as_of_at, project.manifest)
