"""Compare the marts that dbt builds, in each mode of a nightly run, with the models' SELECTs alone.

The truncated builds run each model's SELECT or function and nothing else. This module checks that dbt builds the same
tables. It calls dbt as `mart build` does, with hooks, materializations and all Jinja conditions. In each of these
builds, every table must have the same rows as in a build by the SELECTs over the same raw rows:

- a full build over the rows loaded by an earlier refresh, as of that refresh
- an increment on that mart, over all rows, as of the newest refresh
- a full build over the rows loaded by the newest refresh, without a named refresh

A difference is a value that comes from something other than the SELECT, or that depends on the time of the run. dbt
uses the machine's wall clock, and the SELECTs get a simulated one, so values that depend on the wall clock differ too.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from feature_mart.audit.compare import Difference, compare_builds
from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.audit.tables import compare_tables
from feature_mart.core.duckdb_files import connect, copy_to
from feature_mart.core.settings import Clock, Settings
from feature_mart.runner import build_mart, open_run
from feature_mart.runner.compiled import CompiledProject, build_compiled
from feature_mart.runner.dbt import invoke_dbt, require_success

FULL, APPENDED, UNDATED = (
    "full build of the rows loaded by an earlier refresh",
    "incremental build after a full build at an earlier refresh",
    "full build without a named refresh",
)
MODES = (FULL, APPENDED, UNDATED)
_EVERYTHING = (
    "build",
    "--exclude-resource-type",
    "snapshot",
    "test",
    "unit_test",
    "--full-refresh",
    "--no-write-json",
)


@dataclass(frozen=True, slots=True)
class ModeReport:
    """The result of one build mode: the rows compared, and the differences from the SELECTs alone.

    In a difference, `whole` is the value of the SELECTs and `truncated` the value that dbt built.
    """

    mode: str
    rows: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Built:
    """A mart that dbt built in one mode.

    `expected` is the DuckDB file of the build by the SELECTs with which the mart is compared; None for the build by the
    SELECTs over all rows.
    """

    mode: str
    path: Path
    expected: Path | None


def first_refresh(raw: RawWarehouse, clock: Clock, as_of_at: datetime) -> datetime | None:
    """Return the refresh of the full build to whose mart the increment is appended.

    All load times after this refresh are trusted, and at most about a third of the jobs are posted after it.

    Return None if there is no such refresh before ``as_of_at``, for example because the load clock trusts no earlier
    load.
    """
    with connect() as con:
        row = con.execute(
            f"select quantile_disc(posted_at, 0.65) from ({raw.every_row()['jobs']})"
        ).fetchone()
    assert row is not None
    trusted = [line.trusted_from for lines in raw.load_clock.values() for line in lines]
    start = clock.refresh_after(max([row[0], *trusted]))
    return start if start < as_of_at else None


def build_modes(
    settings: Settings,
    project: CompiledProject,
    raw: RawWarehouse,
    as_of_at: datetime,
    folder: Path,
    *,
    has_newest: bool,
) -> list[Built]:
    """Build the mart in each mode that can be compared, in subfolders of ``folder``.

    ``has_newest`` is True if ``as_of_at`` is the newest refresh, which dbt uses if none is named.
    """
    found: list[Built] = []
    start = first_refresh(raw, settings.clock, as_of_at)
    if start is not None:
        found += _build_grown(settings, project, raw, start, as_of_at, folder / "grown")
    if has_newest:
        found.append(_build_undated(settings, raw, as_of_at, folder / "undated"))
    return found


def _build_grown(
    settings: Settings,
    project: CompiledProject,
    raw: RawWarehouse,
    start: datetime,
    as_of_at: datetime,
    folder: Path,
) -> list[Built]:
    """Build the mart as of ``start`` from the rows loaded by then, and append the later rows."""
    shutil.rmtree(folder, ignore_errors=True)
    own = _settings(settings, folder)
    write_raw(raw, own.dwh, start)
    _build(own, start)
    expected, first = folder / "start.duckdb", folder / "first.duckdb"
    loaded = RawWarehouse(own.dwh, raw.load_clock, raw.untimed)
    build_compiled(project, expected, loaded.every_row(), start, threads=1)
    shutil.copy(own.mart_path, first)
    write_raw(raw, own.dwh, None)
    _build(own, as_of_at)
    return [Built(FULL, first, expected), Built(APPENDED, own.mart_path, None)]


def _build_undated(
    settings: Settings, raw: RawWarehouse, as_of_at: datetime, folder: Path
) -> Built:
    """Build the mart in full, without the dbt var as_of.

    Rows loaded after ``as_of_at``, which a perturbed warehouse has, are left out, because dbt would choose the refresh
    of these rows.
    """
    shutil.rmtree(folder, ignore_errors=True)
    own = _settings(settings, folder)
    write_raw(raw, own.dwh, as_of_at)
    database = folder / "mart.duckdb"
    result = invoke_dbt(
        own,
        _EVERYTHING,
        step="build",
        database=database,
        variables={"warehouse": settings.warehouse},
    )
    require_success(result, "The build without a named refresh")
    return Built(UNDATED, database, None)


def write_raw(raw: RawWarehouse, dwh: Path, loaded_by: datetime | None) -> None:
    """Replace the folder ``dwh`` by the rows loaded by ``loaded_by``, or by all rows if ``loaded_by`` is None.

    All rows of tables without load times are written in either case.
    """
    shutil.rmtree(dwh, ignore_errors=True)
    dwh.mkdir(parents=True)
    with connect() as con:
        for table, select in raw.every_row().items():
            is_timed = table not in raw.untimed
            known = (
                f"where loaded_at <= timestamptz '{loaded_by.isoformat()}'"
                if loaded_by is not None and is_timed
                else ""
            )
            columns = "*" if is_timed else "* exclude (loaded_at)"
            copy_to(con, f"select {columns} from ({select}) {known}", dwh / f"{table}.parquet")


def _settings(settings: Settings, folder: Path) -> Settings:
    """Return the settings with the warehouse and the state folder below ``folder``."""
    dwh = folder / "dwh" / settings.warehouse
    return replace(settings, home=folder / "home", dwh=dwh, address=str(dwh), is_sample=False)


def _build(settings: Settings, as_of_at: datetime) -> None:
    with open_run(settings, "build") as log:
        build_mart(settings, log, as_of=as_of_at.isoformat(), is_checked=False)


def compare_mode(project: CompiledProject, built: Built, whole: Path) -> ModeReport:
    """Compare every table of a mart that dbt built; ``whole`` is the build of the SELECTs over all rows."""
    expected = built.expected or whole
    names = [model.name for model in project.models if not model.is_view]
    rows, others = compare_tables(expected, built.path, names)
    differing = [each.model for each in others]
    by_column = compare_builds(project.manifest, differing, expected, built.path)
    compared = {each.model for each in by_column}
    whole_rows = [
        Difference(each.model, "", each.only_first + each.only_second, each.example, "", "")
        for each in others
        if each.model not in compared
    ]
    found = sorted([*by_column, *whole_rows], key=lambda each: names.index(each.model))
    return ModeReport(built.mode, rows, tuple(found))
