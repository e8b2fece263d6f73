"""What a person needs to read when a dbt build failed: what, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from feature_mart.bigquery.errors import is_transient, remedy
from feature_mart.errors import FeatureMartError, TerminalError, TransientError
from feature_mart.runner.dbt import FAILED, DbtResult, Node
from feature_mart.runner.engine import Engine
from feature_mart.settings import Settings

_SHOWN_NODES = 10
_SHOWN_LINES = 12

#: Gives the first rows that a failing check found.
Rows = Callable[[Node], Sequence[str]]


def build_failure(
    settings: Settings, engine: Engine, result: DbtResult, hints: Sequence[str] = ()
) -> FeatureMartError:
    """The error of a build that failed, while what it worked on is still there; the engine leaves it behind.

    ``hints`` are lines about the raw warehouse that may explain the failures; they come first. Transient where nothing
    failed but what may pass when tried again.
    """
    said = [node.message for node in result.nodes if node.status in FAILED]
    said = said or [result.problem or ""]
    ended = engine.abandon(result)
    head = "\n".join((f"The build stopped; {ended}.", *hints))
    message = describe_failures(settings, result, engine.first_rows, head)
    is_passing = settings.bigquery is not None and all(is_transient(text) for text in said)
    return TransientError(message) if is_passing else TerminalError(message)


def describe_failures(settings: Settings, result: DbtResult, rows: Rows, head: str) -> str:
    """One message for all that failed.

    A failing check gives its own message and what to do about it (``meta.message``, ``meta.fix``), with the first
    of its rows; a failing model the first line of what the database said, and on BigQuery what to do.
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
        lines.append(f"  (and {len(failed) - _SHOWN_NODES} more failures)")
    if skipped:
        lines.append(f"  ({skipped} nodes behind these were not built)")
    lines.append(f"  log: {result.target / 'logs' / 'dbt.log'}")
    return "\n".join(lines)


def describe_check(node: Node) -> str:
    """A check in one line: its own message or its name, what it is about, how many rows."""
    what = str(node.meta.get("message") or f"check {node.name}")
    about = f" ({node.about})" if node.about else f" ({node.path})"
    rows = f": {node.failures:,} rows" if node.failures is not None else ""
    return what + about + rows.replace(": 1 rows", ": 1 row")


def describe_warning(engine: Engine, node: Node) -> str:
    """Return a check that only warns, in one line: what, its rows where they are few or say it all, and what to do.

    A check whose rows are findings, not rows of data, says so by ``meta.shows_rows``.
    """
    is_shown = node.failures == 1 or node.meta.get("shows_rows")
    rows = engine.first_rows(node) if is_shown else ()
    return "; ".join(filter(None, (describe_check(node), *rows, node.meta.get("fix"))))


def database_error(message: str) -> str:
    """The first line of the database's words, without dbt's heading over them."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if len(lines) > 1 and " Error in " in lines[0]:
        lines = lines[1:]
    return lines[0][:400] if lines else "no reason was given"


def _describe(settings: Settings, node: Node, rows: Rows) -> list[str]:
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
