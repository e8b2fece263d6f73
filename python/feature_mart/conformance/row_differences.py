"""Compare the rows of two tables bit for bit, in any order."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

#: The number of rows that are searched for the row most like a differing row.
_SEARCHED = 2000
_SHOWN_COLUMNS = 4


def compare_rows(
    here: Iterable[Sequence[Any]], there: Iterable[Sequence[Any]], columns: Sequence[str]
) -> tuple[int, str | None]:
    """Return the number of rows that differ, and an example with at most four differing columns.

    Both tables have ``columns`` in this order. Floats are equal if their 64 bits are equal, so -0.0 differs from 0.0,
    but all NaN are equal. Duplicates count. A row that has other values in the other table counts once. The example is
    None if no row differs.
    """
    ours, our_rows = _counted(here)
    theirs, their_rows = _counted(there)
    only_here, only_there = ours - theirs, theirs - ours
    if not only_here and not only_there:
        return 0, None
    example = _example(
        [our_rows[key] for key in only_here], [their_rows[key] for key in only_there], columns
    )
    return max(only_here.total(), only_there.total()), example


def canonical(value: Any) -> Any:
    """Return a hashable value, which equals another one only if the values are equal bit for bit."""
    if isinstance(value, float):
        return b"nan" if value != value else struct.pack(">d", value)
    if isinstance(value, (list, tuple)):
        return tuple(map(canonical, value))
    if isinstance(value, dict):
        return tuple((name, canonical(part)) for name, part in value.items())
    return value


def _example(
    here: Sequence[Sequence[Any]], there: Sequence[Sequence[Any]], columns: Sequence[str]
) -> str:
    if not here or not there:
        side, row = ("DuckDB", here[0]) if here else ("GoogleSQL", there[0])
        shown = ", ".join(f"{name}={value!s}" for name, value in zip(columns, row, strict=True))
        return f"only {side} has the row {shown[:300]}"
    first = here[0]

    def apart(row: Sequence[Any]) -> list[int]:
        return [
            place
            for place, (one, other) in enumerate(zip(first, row, strict=True))
            if canonical(one) != canonical(other)
        ]

    other = min(there[:_SEARCHED], key=lambda row: len(apart(row)))
    differing = apart(other)
    same = [place for place in range(len(columns)) if place not in differing]
    key = ", ".join(f"{columns[place]}={first[place]!s}" for place in same[:2])
    values = (
        f"{columns[place]}: {_shown(first[place])} on DuckDB, {_shown(other[place])} on GoogleSQL"
        for place in differing[:_SHOWN_COLUMNS]
    )
    return f"{key}; {'; '.join(values)}"


def _shown(value: Any) -> str:
    return str(value) if isinstance(value, datetime) else repr(value)


def _counted(rows: Iterable[Sequence[Any]]) -> tuple[Counter[Any], dict[Any, Sequence[Any]]]:
    """Return the number of occurrences of each canonical row, and one original row for each canonical row."""
    keyed = [(canonical(tuple(row)), row) for row in rows]
    return Counter(key for key, _ in keyed), dict(keyed)
