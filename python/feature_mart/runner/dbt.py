"""Run dbt in this process, one command at a time, report dbt's events as progress, and return the results as data."""

from __future__ import annotations

import gc
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_mart.core.errors import TerminalError
from feature_mart.core.services import BigQueryAddress
from feature_mart.core.settings import Settings
from feature_mart.runner.git import read_git

#: A function that is called with the number of finished steps, the total number of steps (0 if unknown), and the name
#: of a step.
Progress = Callable[[int, int, str], None]

#: The statuses that dbt gives to failed nodes.
FAILED = frozenset({"fail", "error", "runtime error"})


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a dbt run.

    `kind` is model, seed, snapshot, test, unit_test, exposure or operation. `status` is the status that dbt reports.
    `rows` is None if the adapter reports no number of rows. `failures` is the number of failures of a test, None if dbt
    reports none. `about` is the object of a test, as ``model`` or ``model.column``; empty for other nodes. `compiled`
    is the compiled SQL, None if there is none. `path` is the node's file in the project.
    """

    id: str
    name: str
    kind: str
    status: str
    wall_s: float
    message: str
    rows: int | None
    failures: int | None
    about: str
    compiled: str | None
    compiled_path: str | None
    path: str
    materialized: str
    meta: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DbtResult:
    """The result of a dbt command.

    `problem` is the error of a command that failed before its nodes ran, else None. `target` is the folder of dbt's
    files.
    """

    nodes: tuple[Node, ...]
    success: bool
    problem: str | None
    target: Path


def load_dbt() -> None:
    """Import dbt, which takes two seconds. Audits call this function in worker processes before dbt is needed."""
    import dbt.adapters.duckdb.impl
    import dbt.cli.main  # noqa: F401


def invoke_dbt(
    settings: Settings,
    arguments: Sequence[str],
    *,
    step: str,
    database: Path,
    variables: Mapping[str, object],
    progress: Progress | None = None,
) -> DbtResult:
    """Run a dbt command in this process and return its result. dbt prints nothing.

    ``arguments`` are the command and its options. dbt writes its files to ``target/<step>`` in the state folder.
    ``database`` is the DuckDB file for dbt, and ``variables`` are dbt vars.

    Raises:
        KeyboardInterrupt: the process was interrupted. dbt cancels its queries first.
    """
    # Importing dbt takes seconds, so only the commands that run dbt import it.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    target = settings.target_dir(step)
    target.mkdir(parents=True, exist_ok=True)

    def on_event(event: Any) -> None:
        if progress is not None and event.info.name in _FINISHED:
            data = event.data
            name = getattr(data, "description", "") or getattr(data, "name", "")
            progress(int(getattr(data, "index", 0)), int(getattr(data, "total", 0)), str(name))

    command = [
        *arguments,
        *("--project-dir", str(settings.project)),
        *("--profiles-dir", str(settings.project / "profiles"), "--target", settings.target),
        *("--target-path", str(target), "--log-path", str(target / "logs")),
        *("--vars", json.dumps(dict(variables)), "--log-level", "none"),
        *("--log-level-file", "info", "--no-use-colors", "--no-print"),
    ]
    with _environment(settings, database), _quiet_log(), _rare_collection():
        try:
            outcome = dbtRunner(callbacks=[on_event]).invoke(command)
        finally:
            DuckDBConnectionManager.close_all_connections()
    stop = _interrupt_behind(outcome.exception)
    if stop is not None:
        raise stop
    results = getattr(outcome.result, "results", None) or ()
    nodes = tuple(_node(result) for result in results)
    problem = None
    if outcome.exception is not None and not nodes:
        problem = _first_lines(str(outcome.exception))
    return DbtResult(nodes, bool(outcome.success), problem, target)


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Ignore log lines that cannot be written, for example to a full disk. Python would print a traceback for each."""
    saved, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = saved


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Run Python's garbage collector less often. By default, the collector takes a tenth of dbt's parsing time."""
    saved = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*saved)


def _interrupt_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """Return the KeyboardInterrupt among the causes of an error; None if there is none.

    If dbt fails to cancel queries after an interrupt, dbt raises another error, which hides the interrupt.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


_FINISHED = frozenset(
    {
        "LogModelResult",
        "LogTestResult",
        "LogSeedResult",
        "LogSnapshotResult",
        "LogNodeResult",
        "LogNodeNoOpResult",
        "LogSkipBecauseError",
        "SkippingDetails",
    }
)


def _node(result: Any) -> Node:
    node = result.node
    config = getattr(node, "config", None)
    meta = getattr(config, "meta", None) or getattr(node, "meta", None) or {}
    response = result.adapter_response or {}
    rows = response.get("rows_affected")
    return Node(
        id=str(node.unique_id),
        name=str(node.name),
        kind=str(getattr(node.resource_type, "value", node.resource_type)),
        status=str(getattr(result.status, "value", result.status)),
        wall_s=round(float(result.execution_time), 3),
        message=str(result.message or ""),
        rows=int(rows) if isinstance(rows, int) and rows >= 0 else None,
        failures=result.failures,
        about=_about(node),
        compiled=getattr(node, "compiled_code", None),
        compiled_path=getattr(node, "compiled_path", None),
        path=str(getattr(node, "original_file_path", "")),
        materialized=str(getattr(config, "materialized", "") or ""),
        meta=dict(meta),
    )


def _about(node: Any) -> str:
    """Return the tested model or source, with ``.column`` for a test of a column; empty for other nodes."""
    key = str(getattr(node, "file_key_name", None) or "")
    if key.startswith("sources."):
        about = ".".join(str(part) for part in next(iter(node.sources), ()))
    else:
        tested = getattr(node, "tested_node_unique_id", None)
        about = key.rpartition(".")[2] or str(tested or "").rpartition(".")[2]
    column = getattr(node, "column_name", None)
    return f"{about}.{column}" if about and column else about


def require_success(result: DbtResult, what: str) -> None:
    """Check that a dbt command succeeded. ``what`` is the name of the command in the message.

    Raises:
        TerminalError: the command failed; the message has dbt's reason.
    """
    if not result.success:
        failed = [node for node in result.nodes if node.status in FAILED]
        detail = failed[0].message if failed else result.problem or "see its log"
        raise TerminalError(
            f"{what} failed: {_first_lines(detail)} (log: {result.target / 'logs' / 'dbt.log'})"
        )


def _first_lines(text: str, count: int = 6) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:count])


@contextmanager
def _environment(settings: Settings, database: Path) -> Iterator[None]:
    """Set the environment variables that the profile, sources and macros of the project read, and unset dbt's flags.

    dbt treats each variable ``DBT_<FLAG>`` as the flag. DBT_RESOURCE_TYPES, for example, could exclude the checks. Only
    the variables that a project may read itself are kept (DBT_ENV_CUSTOM_ENV_*, DBT_ENV_SECRET_*). The former
    environment is restored at the end.
    """
    wanted = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", **_labels(settings)}
    if settings.bigquery is not None:
        wanted |= _bigquery_environment(settings.bigquery)
    else:
        history = str(settings.history_path) if settings.overwritten_sources else ":memory:"
        wanted |= {
            "MART_DWH": str(settings.dwh),
            "MART_DUCKDB_PATH": str(database),
            "MART_HISTORY_PATH": history,
        }
    flags = [
        name
        for name in os.environ
        if name.startswith("DBT_")
        and not name.startswith(("DBT_ENV_CUSTOM_ENV_", "DBT_ENV_SECRET_"))
    ]
    saved = {name: os.environ.get(name) for name in (*wanted, *flags)}
    for name in flags:
        del os.environ[name]
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _bigquery_environment(address: BigQueryAddress) -> dict[str, str]:
    return {
        "MART_DWH": address.raw,
        "MART_GCP_PROJECT": address.project,
        "MART_GCP_LOCATION": address.location,
        "MART_DATASET": address.dataset,
        "MART_BQ_MAX_BYTES": str(address.max_bytes),
        "MART_BQ_TIMEOUT_S": str(address.timeout_s),
        "MART_BQ_RETRY_S": str(address.retry_s),
        "MART_BQ_API_ENDPOINT": address.endpoint,
    }


def _labels(settings: Settings) -> dict[str, str]:
    """Return the environment variables with the labels of BigQuery jobs, by which the jobs of a run can be found.

    macros/project/job_labels.sql reads the variables.
    """
    commit = read_git(settings.project).commit
    return {
        "MART_RUN_LABEL": f"{settings.now:%Y%m%dt%H%M%Sz}",
        "MART_COMMIT_LABEL": commit[:12] if commit else "unknown",
    }
