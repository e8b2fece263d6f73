"""Describe the failures of a dbt build: what failed, where, and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from feature_mart.bigquery.errors import is_transient, remedy
from feature_mart.core.errors import FeatureMartError, TerminalError, TransientError
from feature_mart.core.settings import Settings
from feature_mart.runner.dbt import FAILED, DbtResult, Node
from feature_mart.runner.engine import Engine

_SHOWN_NODES = 10
_SHOWN_LINES = 12

#: The pattern of the compiled query of dbt's test not_null.
_NOT_NULL = re.compile(
    r"\s*select\s+(?P<column>\w+)\s+(?P<rest>from\s.+\bis\s+null)\s*", re.DOTALL | re.IGNORECASE
)

#: A function that returns the first rows that a failing check found.
ReadRows = Callable[[Node], Sequence[str]]


def build_failure(
    settings: Settings, engine: Engine, result: DbtResult, hints: Sequence[str] = ()
) -> FeatureMartError:
    """Abandon a failed build and return its error.

    Call this while the database of the build still exists, because the message shows rows from it. ``hints`` are lines
    about the raw warehouse that may explain the failures; the message shows them first. The error is a TransientError
    if a retry may solve all failures, which occurs only on BigQuery, and otherwise a TerminalError.
    """
    said = [node.message for node in result.nodes if node.status in FAILED]
    said = said or [result.problem or ""]
    ended = engine.abandon(result)
    head = "\n".join((f"The build stopped; {ended}.", *hints))
    message = describe_failures(settings, result, engine.first_rows, head)
    is_passing = settings.bigquery is not None and all(is_transient(text) for text in said)
    return TransientError(message) if is_passing else TerminalError(message)


def describe_failures(settings: Settings, result: DbtResult, rows: ReadRows, head: str) -> str:
    """Return one message that begins with ``head`` and describes at most `_SHOWN_NODES` failures.

    A failing check is described by its message and remedy (``meta.message``, ``meta.fix``) and the first rows that it
    found, a failing unit test by the first lines of dbt's message. A model that failed, or a check that could not run,
    is described by the first line of the database's error and, on BigQuery, a remedy if one is known. ``rows`` returns
    the first rows of a check.
    """
    failed = [node for node in result.nodes if node.status in FAILED]
    skipped = sum(node.status == "skipped" for node in result.nodes)
    lines = [head]
    if not failed:
        problem = result.problem or "it gave no reason"
        lines += [f"  - dbt: {problem}", *_to_do(settings, problem)]
    for node in failed[:_SHOWN_NODES]:
        lines += _describe(settings, node, rows)
    if len(failed) > _SHOWN_NODES:
        lines.append(f"  (and {len(failed) - _SHOWN_NODES} more failures; see the log)")
    if skipped:
        lines.append(f"  ({skipped} nodes that depend on these were not built)")
    lines.append(f"  log: {result.target / 'logs' / 'dbt.log'}")
    return "\n".join(lines)


def show_keys(result: DbtResult) -> DbtResult:
    """Return a result in which the query of each not_null test that found rows also selects the key of the rows.

    dbt's own query selects only the NULL column, so the rows could not be identified.
    """
    nodes = tuple(
        _with_key(result.target, node)
        if node.failures and _NOT_NULL.fullmatch(node.compiled or "")
        else node
        for node in result.nodes
    )
    return replace(result, nodes=nodes)


def _with_key(target: Path, node: Node) -> Node:
    found = _NOT_NULL.fullmatch(node.compiled or "")
    assert found is not None
    column, rest = found["column"], found["rest"]
    keys = [name for name in _key(_columns(target, node.id)) if name != column]
    return replace(node, compiled=f"select {', '.join((*keys, column))} {rest}")


def _columns(target: Path, test_id: str) -> Mapping[str, Any]:
    """Return the columns, with their YAML entries, of the model or source that a test checks.

    ``target`` is the folder of dbt's manifest.json, and ``test_id`` the id of the test.
    """
    manifest = json.loads((target / "manifest.json").read_bytes())
    test = manifest["nodes"].get(test_id, {})
    tested = test.get("attached_node") or next(
        iter(test.get("depends_on", {}).get("nodes", ())), ""
    )
    node = manifest["nodes"].get(tested) or manifest["sources"].get(tested) or {}
    columns: Mapping[str, Any] = node.get("columns", {})
    return columns


def _key(columns: Mapping[str, Any]) -> list[str]:
    """Return the columns that identify a row: those with the role key, else those named ``…_id``, else the first."""
    keys = [
        name
        for name, column in columns.items()
        if column.get("config", {}).get("meta", {}).get("role") == "key"
    ]
    return keys or [name for name in columns if name.endswith("_id")] or list(columns)[:1]


def describe_check(node: Node) -> str:
    """Return one line about a check: its message or name, the tested object or else the file, and the rows found."""
    what = str(node.meta.get("message") or f"check {node.name}")
    about = f" ({node.about})" if node.about else f" ({node.path})"
    rows = f": {node.failures:,} rows" if node.failures is not None else ""
    return what + about + rows.replace(": 1 rows", ": 1 row")


def describe_warning(engine: Engine, node: Node) -> str:
    """Return one line about a check that only warns: what the check found, in some cases the rows, and what to do.

    Rows are shown if there is only one, or if ``meta.shows_rows`` states that the rows are findings, not data.
    """
    is_shown = node.failures == 1 or node.meta.get("shows_rows")
    rows = engine.first_rows(node) if is_shown else ()
    return "; ".join(filter(None, (describe_check(node), *rows, node.meta.get("fix"))))


def database_error(message: str) -> str:
    """Return the first line of the database's error, without dbt's heading, at most 400 characters."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if len(lines) > 1 and " Error in " in lines[0]:
        lines = lines[1:]
    return lines[0][:400] if lines else "no reason was given"


def _describe(settings: Settings, node: Node, rows: ReadRows) -> list[str]:
    where = [f"    sql: {node.compiled_path}"] if node.compiled_path else []
    if node.kind == "unit_test" and node.status == "fail":
        shown = [line.rstrip() for line in node.message.splitlines() if line.strip()]
        head = f"  - unit test {node.name} of {node.about} ({node.path})"
        return [head, *(f"    {line}" for line in shown[:_SHOWN_LINES]), *where]
    if node.status != "fail":
        kind = node.kind.replace("_", " ")
        said = f"  - {kind} {node.name} ({node.path}): {database_error(node.message)}"
        return [said, *_to_do(settings, node.message), *where]
    lines = [f"  - {describe_check(node)}"]
    if node.meta.get("fix"):
        lines.append(f"    to do: {node.meta['fix']}")
    return [*lines, *(f"    {row}" for row in rows(node)), *where]


def _to_do(settings: Settings, text: str) -> list[str]:
    advice = remedy(text, settings.bigquery) if settings.bigquery is not None else None
    return [f"    to do: {advice}"] if advice else []
