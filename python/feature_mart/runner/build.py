"""Build the mart on a copy, and put it in its place only when every blocking check has passed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from feature_mart.errors import TerminalError, UsageError
from feature_mart.runner.dbt import DbtResult, Node, Progress, invoke_dbt, require_success
from feature_mart.runner.failures import describe_failures
from feature_mart.runner.report import RunLog
from feature_mart.runner.state import (
    BuiltMart,
    TestCounts,
    clock_document,
    hash_definitions,
    hold_state,
    read_built,
    write_built,
)
from feature_mart.settings import Settings, parse_as_of
from feature_mart.warehouse import check_warehouse, newest_load

_CHECKS = frozenset({"test", "unit_test"})


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    `full_because` is None for a build that appended; else why it was done in full. `warnings` are messages
    of checks that only warn.
    """

    as_of_at: datetime
    full_because: str | None
    models: int
    tests: TestCounts
    warnings: tuple[str, ...]
    manifest_path: Path


def build_mart(
    settings: Settings,
    log: RunLog,
    *,
    as_of: str | None = None,
    full_refresh: bool = False,
    select: Sequence[str] = (),
    progress: Progress | None = None,
) -> BuildReport:
    """Build and test the mart of one warehouse as of a refresh.

    With ``select`` only those models (dbt's selection) are built anew, at the refresh that the mart stands at.

    Raises:
        UsageError: the raw warehouse is not as the contract says, or the refresh lies behind the mart's.
        LeaseHeldError: another process is building it.
        TerminalError: a model or a check failed; the earlier mart stays as it was.
    """
    check_warehouse(settings.dwh, settings.overwritten_sources)
    with hold_state(settings):
        built = read_built(settings.mart_path)
        wanted = _choose_refresh(settings, built, as_of, select)
        log.as_of_at = wanted
        definitions = hash_definitions(settings.project)
        because = _why_full(settings, built, wanted, definitions, full_refresh)
        database = settings.scratch_dir / log.run_id / "mart.duckdb"
        database.parent.mkdir(parents=True)
        try:
            if because is None or select:
                shutil.copyfile(settings.mart_path, database)
            report = _build_copy(
                settings, log, database, built, wanted, because, definitions, select, progress
            )
        finally:
            shutil.rmtree(database.parent, ignore_errors=True)
        return report


def _choose_refresh(
    settings: Settings, built: BuiltMart | None, as_of: str | None, select: Sequence[str]
) -> datetime:
    if select:
        if built is None:
            raise UsageError(
                "--select builds parts of a mart, and there is none yet: `mart build`."
            )
        if as_of is not None and parse_as_of(as_of, settings.clock) != built.as_of_at:
            raise UsageError(
                f"--select builds parts of the mart as of {built.as_of_at:%Y-%m-%d %H:%M}Z; leave "
                "--as-of out, or build the whole."
            )
        return built.as_of_at
    if as_of is not None:
        return parse_as_of(as_of, settings.clock)
    reached = settings.clock.refresh_before(settings.now)
    newest = newest_load(settings.dwh)
    if newest is None or settings.overwritten_sources:
        return reached
    return min(reached, settings.clock.refresh_at(newest))


def _why_full(
    settings: Settings,
    built: BuiltMart | None,
    wanted: datetime,
    definitions: str,
    full_refresh: bool,
) -> str | None:
    """Why the mart is to be built in full; None where it may append.

    Raises:
        UsageError: it would have to be, in a way that changes history unasked.
    """
    if full_refresh:
        return "--full-refresh"
    if built is None:
        return "no mart yet, or none that this DuckDB can read"
    if built.clock != clock_document(settings):
        raise UsageError(
            f"The clock has changed from {built.clock} to {clock_document(settings)}, which changes "
            "history: build with --full-refresh, or set it back in dbt_project.yml."
        )
    if wanted < built.as_of_at:
        raise UsageError(
            f"The mart stands at {built.as_of_at:%Y-%m-%d %H:%M}Z, after the refresh asked for, "
            f"{wanted:%Y-%m-%d %H:%M}Z: build with --full-refresh to go back."
        )
    if built.address != settings.address:
        return "another warehouse"
    if built.duckdb_version != duckdb.__version__:
        return f"DuckDB {duckdb.__version__} instead of {built.duckdb_version}"
    if built.definitions != definitions:
        return "definitions have changed"
    return None


def _build_copy(
    settings: Settings,
    log: RunLog,
    database: Path,
    built: BuiltMart | None,
    wanted: datetime,
    because: str | None,
    definitions: str,
    select: Sequence[str],
    progress: Progress | None,
) -> BuildReport:
    variables = dbt_variables(settings, wanted)
    if settings.overwritten_sources and not select:
        with log.stage("snapshot"):
            _take_snapshots(settings, database, variables, built, wanted)
    arguments = ["build", "--exclude-resource-type", "snapshot"]
    if because is not None:
        arguments.append("--full-refresh")
    if select:
        arguments += ["--select", *select]
    with log.stage("build"):
        result = invoke_dbt(
            settings,
            arguments,
            step="build",
            database=database,
            variables=variables,
            progress=progress,
        )
    log.nodes = result.nodes
    log.tests = _count_tests(result.nodes)
    if not result.success:
        raise TerminalError(describe_failures(settings, result, database))
    if select and not any(node.kind == "model" for node in result.nodes):
        raise UsageError(f"--select {' '.join(select)} names no model.")
    record = BuiltMart(
        address=settings.address,
        as_of_at=wanted,
        duckdb_version=duckdb.__version__,
        clock=clock_document(settings),
        # A part built from new definitions leaves the rest at the old ones, so the next whole build is full.
        definitions=built.definitions if select and built else definitions,
        run_id=log.run_id,
        tests=log.tests,
    )
    write_built(database, record)
    log.marts = _describe_marts(database, result)
    database.replace(settings.mart_path)
    manifest = settings.state_dir / "manifest.json"
    if not select:
        staged = database.parent / "manifest.json"
        shutil.copyfile(result.target / "manifest.json", staged)
        staged.replace(manifest)
    return BuildReport(
        as_of_at=wanted,
        full_because=because,
        models=sum(node.kind == "model" and node.status == "success" for node in result.nodes),
        tests=log.tests,
        warnings=tuple(_warning(node) for node in result.nodes if node.status == "warn"),
        manifest_path=manifest,
    )


def dbt_variables(settings: Settings, as_of_at: datetime) -> dict[str, object]:
    """The dbt vars of one build."""
    return {"as_of": as_of_at.isoformat(), "warehouse": settings.warehouse}


def _take_snapshots(
    settings: Settings,
    database: Path,
    variables: dict[str, object],
    built: BuiltMart | None,
    wanted: datetime,
) -> None:
    """Note what overwritten sources hold now; once a refresh, since its rows are sealed then."""
    if built is not None and built.as_of_at >= wanted and settings.history_path.is_file():
        return
    settings.history_path.parent.mkdir(parents=True, exist_ok=True)
    taken = variables | {"snapshot_at": settings.now.isoformat()}
    for command in (["seed"], ["snapshot"]):
        result = invoke_dbt(settings, command, step="snapshot", database=database, variables=taken)
        require_success(result, f"dbt {command[0]} of the overwritten sources")


def _count_tests(nodes: Sequence[Node]) -> TestCounts:
    checks = [node for node in nodes if node.kind in _CHECKS]
    return TestCounts(
        passed=sum(node.status == "pass" for node in checks),
        failed=sum(node.status in {"fail", "error"} for node in checks),
        warned=sum(node.status == "warn" for node in checks),
    )


def _warning(node: Node) -> str:
    message = str(node.meta.get("message") or node.name)
    fix = node.meta.get("fix")
    return f"{message} ({node.failures} rows)" + (f": {fix}" if fix else "")


def _describe_marts(database: Path, result: DbtResult) -> list[dict[str, Any]]:
    """Rows, columns and exclusions of the marts that this build made."""
    described = []
    with duckdb.connect(str(database), read_only=True) as con:
        for node in result.nodes:
            if node.kind != "model" or not node.name.startswith("mart_"):
                continue
            columns = con.execute(f"describe main.{node.name}").fetchall()
            count = con.execute(f"select count(*) from main.{node.name}").fetchone()
            excluded: dict[str, int] = {}
            if any(column[0] == "exclusion_reason" for column in columns):
                excluded = dict(
                    con.execute(
                        f"select exclusion_reason, count(*) from main.{node.name} "
                        "where exclusion_reason is not null group by all order by all"
                    ).fetchall()
                )
            described.append(
                {
                    "name": node.name,
                    "rows": int(count[0]) if count else 0,
                    "columns": len(columns),
                    "splits": {},
                    "excluded": excluded,
                }
            )
    return described
