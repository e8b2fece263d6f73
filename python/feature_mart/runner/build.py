"""Build and test the mart, and publish it only if every blocking check has passed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.settings import Settings
from feature_mart.runner.dbt import DbtResult, Node, Progress, invoke_dbt
from feature_mart.runner.decide import choose_refresh, full_build_reason
from feature_mart.runner.engine import Engine, Outset
from feature_mart.runner.failures import build_failure, describe_warning, show_keys
from feature_mart.runner.load_clock import check_load_clock
from feature_mart.runner.mart import open_engine
from feature_mart.runner.report import RunLog
from feature_mart.runner.state import (
    BuiltMart,
    CheckCounts,
    clock_document,
    format_built,
    hash_definitions,
    parse_built,
)
from feature_mart.runner.unjudged import UNJUDGED, Unjudged, read_unjudged
from feature_mart.runner.zone_check import check_zone

_CHECKS = frozenset({"test", "unit_test"})


@dataclass(frozen=True, slots=True)
class BuildReport:
    """The result of a build.

    `full_because` is the reason for a full build; None for a build that appended. `models` is the number of models
    built, and `tests` has the numbers of checks by result. `warnings` are the messages of the checks that warned.
    `unjudged` are the checks that had too little to compare.
    """

    as_of_at: datetime
    full_because: str | None
    models: int
    tests: CheckCounts
    warnings: tuple[str, ...]
    unjudged: tuple[Unjudged, ...]


@dataclass(frozen=True, slots=True)
class _Task:
    """The decisions about a build.

    `wanted` is the refresh to build. `because` is the reason for a full build; None for a build that appends.
    `definitions` is the hash of the files that decide the rows. `select` is dbt's selection, empty for the whole mart.
    Checks run only if `is_checked` is True. `built` is the record of the present mart; None if there is no mart that
    the engine can read, or if the mart may contain rows of an unfinished build.
    """

    engine: Engine
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
    hints: Callable[[], Sequence[str]] = tuple,
) -> BuildReport:
    """Build and test the mart of one warehouse as of a refresh, inside `open_run`.

    ``as_of`` is the value of --as-of; None for the default refresh. If ``select``, dbt's selection, is not empty, only
    the selected models are built, at the refresh of the present mart. If ``is_checked`` is False, no test runs; audits
    pass False, because they compare the rows themselves. ``hints`` returns lines that may explain a failure, such as an
    undeclared bulk load; the message shows them before the failures.

    Raises:
        UsageError: the raw warehouse breaks the raw contract, a line of the load clock is not valid, ``select`` matches
            no model, or as `choose_refresh` and `full_build_reason`.
        TerminalError: a model or a check failed, dbt left one out, or the engine's time zone rules differ from
            Python's. The former mart stays in place.
        TransientError: another program has the mart open for writing, or a retry on BigQuery may succeed.
    """
    engine = open_engine(settings)
    check_load_clock(settings.project, settings.warehouse)
    engine.check_raw()
    built = None if engine.is_unfinished() else parse_built(engine.read_document("built"))
    wanted = choose_refresh(
        settings,
        built,
        engine.newest_load(),
        as_of=as_of,
        full_refresh=full_refresh,
        select=select,
    )
    log.as_of_at = wanted
    check_zone(engine, settings.clock, wanted)
    definitions = hash_definitions(settings.project)
    because = full_build_reason(settings, engine, built, wanted, definitions, full_refresh)
    is_new = because is not None and not select
    engine.begin(Outset(is_new, log.run_id))
    task = _Task(engine, wanted, because, definitions, tuple(select), is_checked, built)
    variables = dbt_variables(settings, wanted)
    if settings.overwritten_sources and not select:
        with log.stage("snapshot"):
            engine.take_snapshots(variables, is_taken=_stands_at(built, wanted))
    with log.stage("build"):
        result = _run_dbt(settings, log, task, variables, progress, hints)
        tests = _commit(settings, log, task, result)
    return BuildReport(
        as_of_at=wanted,
        full_because=because,
        models=sum(node.kind == "model" and node.status == "success" for node in result.nodes),
        tests=tests,
        warnings=tuple(
            describe_warning(engine, node) for node in result.nodes if node.status == "warn"
        ),
        unjudged=_unjudged(task, result),
    )


def dbt_variables(settings: Settings, as_of_at: datetime) -> dict[str, object]:
    """Return the dbt vars of a build as of a refresh."""
    return {"as_of": as_of_at.isoformat(), "warehouse": settings.warehouse}


def _stands_at(built: BuiltMart | None, wanted: datetime) -> bool:
    return built is not None and built.as_of_at >= wanted


def _run_dbt(
    settings: Settings,
    log: RunLog,
    task: _Task,
    variables: dict[str, object],
    progress: Progress | None,
    hints: Callable[[], Sequence[str]],
) -> DbtResult:
    arguments = ["build", "--exclude-resource-type", "snapshot"]
    if not task.is_checked:
        arguments += ["test", "unit_test"]
    if task.because is not None:
        arguments.append("--full-refresh")
    if task.select:
        arguments += ["--select", *task.select]
    result = show_keys(
        invoke_dbt(
            settings,
            arguments,
            step="build",
            database=task.engine.database,
            variables=variables,
            progress=progress,
        )
    )
    log.nodes = result.nodes
    log.tests = _count_tests(result.nodes)
    if not result.success:
        raise build_failure(settings, task.engine, result, hints())
    if task.select and not any(node.kind in {"model", "seed"} for node in result.nodes):
        task.engine.abandon(result)
        raise UsageError(
            f"--select {' '.join(task.select)} matches no model of this project: check the names."
        )
    if not task.select:
        _require_whole(task, result)
    return result


def _require_whole(task: _Task, result: DbtResult) -> None:
    """Raise TerminalError if dbt left out a model, a seed or a check of the project, or if there is no check at all.

    A selector, a flag or an environment variable can leave nodes out. Without this function, the mart would be
    published with unbuilt or unchecked models. If the task runs no checks, only models and seeds are required.
    """
    manifest = json.loads((result.target / "manifest.json").read_text(encoding="utf-8"))
    kinds = {"model", "seed", *(_CHECKS if task.is_checked else ())}
    wanted = {
        key
        for key, node in (manifest["nodes"] | manifest["unit_tests"]).items()
        if node["resource_type"] in kinds
    }
    left_out = sorted(wanted - {node.id for node in result.nodes})
    has_checks = any(node.kind in _CHECKS for node in result.nodes)
    if not left_out and (has_checks or not task.is_checked):
        return
    ended = task.engine.abandon(result)
    if not left_out:
        raise TerminalError(
            f"The project has no checks, so nothing was published; {ended}. Add a test to a model."
        )
    raise TerminalError(
        f"dbt left out {len(left_out):,} of {len(wanted):,} models and checks, for example {left_out[0]}, so nothing "
        f"was published; {ended}. Look for a selector in the project, or a flag in dbt_project.yml, that excludes "
        "them."
    )


def _commit(settings: Settings, log: RunLog, task: _Task, result: DbtResult) -> CheckCounts:
    """Publish the finished build with its record, and return the counts of the build's checks."""
    definitions, tests = task.definitions, log.tests
    if task.select and task.built is not None:
        # The models that are not selected were checked in the earlier build, so keep its check counts. If the
        # definitions have changed since, the mart mixes models of several definitions. Record "several" instead of a
        # hash: it never equals the current hash, so the next build without a selection is a full build.
        tests = task.built.tests
        if task.built.definitions != definitions:
            definitions = "several"
    record = BuiltMart(
        address=settings.address,
        as_of_at=task.wanted,
        engine=task.engine.version,
        clock=clock_document(settings),
        definitions=definitions,
        run_id=log.run_id,
        tests=tests,
    )
    marts = [
        node.name for node in result.nodes if node.kind == "model" and node.name.startswith("mart_")
    ]
    log.marts = task.engine.describe_marts(marts)
    manifest = (result.target / "manifest.json").read_text(encoding="utf-8")
    task.engine.publish({"built": format_built(record), "dbt_manifest": manifest})
    return log.tests


def _count_tests(nodes: Sequence[Node]) -> CheckCounts:
    checks = [node for node in nodes if node.kind in _CHECKS]
    return CheckCounts(
        passed=sum(node.status == "pass" for node in checks),
        failed=sum(node.status in {"fail", "error"} for node in checks),
        warned=sum(node.status == "warn" for node in checks),
    )


def _unjudged(task: _Task, result: DbtResult) -> tuple[Unjudged, ...]:
    """Return the checks that had too little to compare.

    The result is empty if this build ran no checks or did not build the model that records them.
    """
    is_measured = any(node.name == UNJUDGED and node.status == "success" for node in result.nodes)
    if not is_measured or not task.is_checked:
        return ()
    built = parse_built(task.engine.read_document("built"))
    return read_unjudged(task.engine, None if built is None else built.published_at)
