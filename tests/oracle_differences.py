"""Compare a built mart with the oracle's rows, value by value."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Rows = list[tuple[Any, ...]]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def comparable(value: Any) -> Any:
    """Return timestamps as microseconds, so that equal ones are equal in any zone."""
    return (value - _EPOCH).total_seconds() if isinstance(value, datetime) else value


def differences(con: Any, expected: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return one line per table, side and row that only one side has."""
    found = []
    for table, rows in expected.items():
        names = [row[0] for row in con.execute(f"describe main.{table}").fetchall()]
        columns = [name for name in names if not rows or name in rows[0]]
        missing = set(rows[0]) - set(names) if rows else set()
        assert not missing, f"{table} lacks {missing}"
        actual: Rows = con.execute(f"select {', '.join(columns)} from main.{table}").fetchall()
        ours = sorted((tuple(map(comparable, row)) for row in actual), key=repr)
        theirs = sorted(
            (tuple(comparable(row[name]) for name in columns) for row in rows), key=repr
        )
        if ours != theirs:
            for side, mine, other in (("mart", ours, theirs), ("oracle", theirs, ours)):
                others = set(other)
                found += [
                    f"{table}: only the {side} has {dict(zip(columns, row, strict=True))}"
                    for row in mine
                    if row not in others
                ][:3]
            found = found or [f"{table}: the same rows, not as often"]
    return found
