"""What a person needs to read when a dbt build failed: what, where, and what to do."""

from __future__ import annotations

from pathlib import Path

import duckdb

from feature_mart.runner.dbt import DbtResult, Node
from feature_mart.settings import Settings

_SHOWN_ROWS = 5


def describe_failures(settings: Settings, result: DbtResult, database: Path) -> str:
    """One message for all that failed in a build.

    A failing check gives its own message and what to do about it (``meta.message``, ``meta.fix``), with the first
    of its rows; a failing model the database's words.
    """
    failed = [node for node in result.nodes if node.status in {"fail", "error", "runtime error"}]
    skipped = sum(node.status == "skipped" for node in result.nodes)
    lines = [f"The build stopped; {settings.mart_path} is as it was before."]
    if result.problem and not failed:
        lines.append(f"  - dbt: {result.problem}")
    for node in failed:
        lines += _describe(node, database)
    if skipped:
        lines.append(f"  ({skipped} nodes behind these were not built)")
    lines.append(f"  log: {result.target / 'logs' / 'dbt.log'}")
    return "\n".join(lines)


def _describe(node: Node, database: Path) -> list[str]:
    if node.status != "fail" or node.kind == "unit_test":
        words = " ".join(node.message.split())
        return [f"  - {node.kind} {node.name} ({node.path}): {words[:600]}"]
    message = str(node.meta.get("message") or f"check {node.name} ({node.path})")
    lines = [f"  - {message}: {node.failures} rows"]
    if node.meta.get("fix"):
        lines.append(f"    to do: {node.meta['fix']}")
    lines += [f"    {row}" for row in _first_rows(node, database)]
    return lines


def _first_rows(node: Node, database: Path) -> list[str]:
    """The first failing rows, as text; none where the check can no longer be asked."""
    if not node.compiled or not database.is_file():
        return []
    try:
        with duckdb.connect(str(database), read_only=True) as con:
            con.execute("set TimeZone = 'UTC'; attach ':memory:' as history")
            found = con.execute(f"select * from ({node.compiled}) limit {_SHOWN_ROWS}")
            names = [column[0] for column in found.description or []]
            rows = found.fetchall()
    except duckdb.Error:
        return []
    shown = [
        ", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True)) for row in rows
    ]
    more = (node.failures or 0) - len(rows)
    return shown + ([f"… and {more} more"] if more > 0 else [])
