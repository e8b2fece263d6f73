"""What a person needs to read when a dbt build failed: what, where, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from feature_mart.runner.dbt import FAILED, DbtResult, Node
from feature_mart.settings import Settings

_SHOWN_NODES = 10
_SHOWN_ROWS = 5
_SHOWN_LINES = 12


def describe_failures(settings: Settings, result: DbtResult, database: Path) -> str:
    """One message for all that failed in a build, while the copy it worked on is still there.

    A failing check gives its own message and what to do about it (``meta.message``, ``meta.fix``), with the first
    of its rows; a failing model the first line of what the database said.
    """
    failed = [node for node in result.nodes if node.status in FAILED]
    skipped = sum(node.status == "skipped" for node in result.nodes)
    there = settings.mart_path.is_file()
    lines = [
        f"The build stopped; {settings.mart_path} is as it was before."
        if there
        else "The build stopped; no mart was made."
    ]
    if not failed:
        lines.append(f"  - dbt: {result.problem or 'it gave no reason'}")
    for node in failed[:_SHOWN_NODES]:
        lines += _describe(settings, node, database)
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


def database_error(message: str) -> str:
    """The first line of the database's words, without dbt's heading over them."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if len(lines) > 1 and " Error in " in lines[0]:
        lines = lines[1:]
    return lines[0][:400] if lines else "no reason was given"


def _describe(settings: Settings, node: Node, database: Path) -> list[str]:
    where = [f"    sql: {node.compiled_path}"] if node.compiled_path else []
    if node.kind == "unit_test" and node.status == "fail":
        shown = [line.rstrip() for line in node.message.splitlines() if line.strip()]
        head = f"  - unit test {node.name} of {node.about} ({node.path})"
        return [head, *(f"    {line}" for line in shown[:_SHOWN_LINES]), *where]
    if node.status != "fail":
        kind = node.kind.replace("_", " ")
        return [f"  - {kind} {node.name} ({node.path}): {database_error(node.message)}", *where]
    lines = [f"  - {describe_check(node)}"]
    if node.meta.get("fix"):
        lines.append(f"    to do: {node.meta['fix']}")
    rows = [f"    {row}" for row in first_rows(settings, node, database)]
    return [*lines, *rows, *where]


def first_rows(settings: Settings, node: Node, database: Path) -> Sequence[str]:
    """The first failing rows as text, in order; none where the check can no longer be asked."""
    if not node.compiled or not database.is_file():
        return []
    history = f"'{str(settings.history_path).replace(chr(39), chr(39) * 2)}' as history (read_only)"
    try:
        with duckdb.connect(str(database), read_only=True) as con:
            con.execute("set TimeZone = 'UTC'")
            if settings.history_path.is_file():
                con.execute(f"attach {history}")
            found = con.execute(
                f"select columns(*)::varchar from ({node.compiled}) order by all limit {_SHOWN_ROWS}"
            )
            names = [str(column[0]) for column in found.description or []]
            rows = found.fetchall()
    except duckdb.Error:
        return []
    shown = [
        ", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True)) for row in rows
    ]
    more = (node.failures or 0) - len(rows)
    return shown + ([f"… and {more:,} more"] if more > 0 else [])
