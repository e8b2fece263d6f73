"""Describe the failures of a dbt build: what failed, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from feature_mart.bigquery.errors import is_transient, remedy
from feature_mart.core.errors import FeatureMartError, TerminalError, TransientError
from feature_mart.core.settings import Settings
from feature_mart.runner.dbt import FAILED, DbtResult, Node
from feature_mart.runner.engine import Engine

_SHOWN_NODES = 10
_SHOWN_LINES = 12

#: Returns the first rows that a failing check found.
ReadRows = Callable[[Node], Sequence[str]]


def build_failure(
    settings: Settings, engine: Engine, result: DbtResult, hints: Sequence[str] = ()
) -> FeatureMartError:
    """Abandon a failed build and return its error.

    Call this while the database of the build still exists: the message shows rows of it. ``hints`` are lines about the
    raw warehouse that may explain the failures; they come first. The error is a TransientError if a retry may solve
    each failure, which occurs only on BigQuery; else a TerminalError.
    """
    said = [node.message for node in result.nodes if node.status in FAILED]
    said = said or [result.problem or ""]
    ended = engine.abandon(result)
    head = "\n".join((f"The build stopped; {ended}.", *hints))
    message = describe_failures(settings, result, engine.first_rows, head)
    is_passing = settings.bigquery is not None and all(is_transient(text) for text in said)
    return TransientError(message) if is_passing else TerminalError(message)


def describe_failures(settings: Settings, result: DbtResult, rows: ReadRows, head: str) -> str:
    """Return one message for all failures; ``head`` is its first line.

    A failing check is described by its message and remedy (``meta.message``, ``meta.fix``) and the first rows that it
    found. A failing model is described by the first line of the database's error, on BigQuery with what to do.
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


def describe_check(node: Node) -> str:
    """Return one line about a check: its message or name, the model it tests, and the number of rows found."""
    what = str(node.meta.get("message") or f"check {node.name}")
    about = f" ({node.about})" if node.about else f" ({node.path})"
    rows = f": {node.failures:,} rows" if node.failures is not None else ""
    return what + about + rows.replace(": 1 rows", ": 1 row")


def describe_warning(engine: Engine, node: Node) -> str:
    """Return one line about a check that only warns: what it found, in some cases the rows, and what to do.

    Rows are shown if there is only one, or if ``meta.shows_rows`` says that they are findings, not rows of data.
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
