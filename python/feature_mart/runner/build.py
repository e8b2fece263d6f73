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
from feature_mart.runner.dbt import DbtResult, Node, Progress, invoke_dbt
from feature_mart.runner.decide import choose_refresh, why_full
from feature_mart.runner.failures import describe_check, describe_failures, first_rows
from feature_mart.runner.history import take_snapshots
from feature_mart.runner.profiles import keep_profiles, restore_profiles
from feature_mart.runner.report import RunLog
from feature_mart.runner.state import (
    BuiltMart,
    CheckCounts,
    clock_document,
    hash_definitions,
    read_built,
    write_built,
)
from feature_mart.settings import Settings
from feature_mart.warehouse import check_warehouse, newest_load

_CHECKS = frozenset({"test", "unit_test"})


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    `full_because` is None for a build that appended; else why it was done in full. `models` counts those built,
    `tests` the checks of this build. `warnings` are messages of checks that only warn.
    """

    as_of_at: datetime
    full_because: str | None
    models: int
    tests: CheckCounts
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Task:
    """A build, decided. `select` is empty for the whole; without `is_checked` no check runs."""

    wanted: datetime
    because: str | None
    definitions: str
    select: tuple[str, ...]
    is_checked: bool
    built: BuiltMart | None


def build_mart(
    settings: Settings,
    log: RunLog,
    *,
    as_of: str | None = None,
    full_refresh: bool = False,
    select: Sequence[str] = (),
    is_checked: bool = True,
    progress: Progress | None = None,
) -> BuildReport:
    """Build and test the mart of one warehouse as of a refresh, inside `open_run`.

    With ``select`` only those models (dbt's selection) are built anew, at the refresh that the mart stands at.
    Without ``is_checked`` it is not tested, which is for audits that look at the rows themselves.

    Raises:
        UsageError: the raw warehouse is not as the contract says, or the refresh lies behind the mart's.
        TerminalError: a model or a check failed; the earlier mart stays as it was.
        TransientError: another program has the mart open for writing.
    """
    check_warehouse(settings.dwh, settings.overwritten_sources)
    built = read_built(settings.mart_path)
    loaded = None if settings.overwritten_sources else newest_load(settings.dwh)
    wanted = choose_refresh(
        settings, built, loaded, as_of=as_of, full_refresh=full_refresh, select=select
    )
    log.as_of_at = wanted
    definitions = hash_definitions(settings.project)
    because = why_full(settings, built, wanted, definitions, full_refresh)
    task = _Task(wanted, because, definitions, tuple(select), is_checked, built)
    draft = settings.draft_path
    shutil.rmtree(draft.parent, ignore_errors=True)
    draft.parent.mkdir(parents=True)
    if because is None or select:
        shutil.copyfile(settings.mart_path, draft)
    else:
        restore_profiles(settings, draft)
    variables = dbt_variables(settings, wanted)
    if settings.overwritten_sources and not select:
        with log.stage("snapshot"):
            take_snapshots(settings, draft, variables, is_taken=_stands_at(built, wanted))
    with log.stage("build"):
        result = _run_dbt(settings, log, task, variables, progress)
        tests = _commit(settings, log, task, result)
    return BuildReport(
        as_of_at=wanted,
        full_because=because,
        models=sum(node.kind == "model" and node.status == "success" for node in result.nodes),
        tests=tests,
        warnings=tuple(_warning(settings, node) for node in result.nodes if node.status == "warn"),
    )


def dbt_variables(settings: Settings, as_of_at: datetime) -> dict[str, object]:
    """The dbt vars of one build."""
    return {"as_of": as_of_at.isoformat(), "warehouse": settings.warehouse}


def _stands_at(built: BuiltMart | None, wanted: datetime) -> bool:
    return built is not None and built.as_of_at >= wanted


def _run_dbt(
    settings: Settings,
    log: RunLog,
    task: _Task,
    variables: dict[str, object],
    progress: Progress | None,
) -> DbtResult:
    arguments = ["build", "--exclude-resource-type", "snapshot"]
    if not task.is_checked:
        arguments += ["test", "unit_test"]
    if task.because is not None:
        arguments.append("--full-refresh")
    if task.select:
        arguments += ["--select", *task.select]
    result = invoke_dbt(
        settings,
        arguments,
        step="build",
        database=settings.draft_path,
        variables=variables,
        progress=progress,
    )
    log.nodes = result.nodes
    log.tests = _count_tests(result.nodes)
    if not result.success:
        raise TerminalError(describe_failures(settings, result, settings.draft_path))
    if task.select and not any(node.kind in {"model", "seed"} for node in result.nodes):
        raise UsageError(f"--select {' '.join(task.select)} names no model of this project.")
    return result


def _commit(settings: Settings, log: RunLog, task: _Task, result: DbtResult) -> CheckCounts:
    """Write into the finished copy what it was built from, and put it in the mart's place: one step."""
    definitions, tests = task.definitions, log.tests
    if task.select and task.built is not None:
        # The rest was checked when it was built. Of a part built from new definitions the rest is at the old ones,
        # so the mart has none of its own, and the next whole build is full.
        tests = task.built.tests
        if task.built.definitions != definitions:
            definitions = "several"
    record = BuiltMart(
        address=settings.address,
        as_of_at=task.wanted,
        duckdb_version=duckdb.__version__,
        clock=clock_document(settings),
        definitions=definitions,
        run_id=log.run_id,
        tests=tests,
    )
    write_built(settings.draft_path, record, result.target / "manifest.json")
    log.marts = _describe_marts(settings.draft_path, result)
    keep_profiles(settings, settings.draft_path)
    settings.draft_path.replace(settings.mart_path)
    return log.tests


def _count_tests(nodes: Sequence[Node]) -> CheckCounts:
    checks = [node for node in nodes if node.kind in _CHECKS]
    return CheckCounts(
        passed=sum(node.status == "pass" for node in checks),
        failed=sum(node.status in {"fail", "error"} for node in checks),
        warned=sum(node.status == "warn" for node in checks),
    )


def _warning(settings: Settings, node: Node) -> str:
    """A check that only warns, with its row where it found one, and what to do."""
    rows = first_rows(settings, node, settings.mart_path) if node.failures == 1 else ()
    return "; ".join(filter(None, (describe_check(node), *rows, node.meta.get("fix"))))


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
