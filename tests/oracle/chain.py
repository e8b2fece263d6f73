"""What a key looked like at a refresh, and the rows at which an entity's state changed.

Refreshes are a grid, so all the rules about first refreshes are plain comparisons seen from one of
its points r: the first refresh >= x has passed at r exactly when x <= r. So a version counts at r
when it is the last known at r, and a fact is in its window at r when event <= r < event + N days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from .clock import Row, World


def latest_known(versions: Iterable[Row], at: datetime) -> Row | None:
    """The last version known at an instant, of versions in chain order; None before the first.

    Two versions first seen by one refresh: the first of them is the last known at no refresh.
    """
    latest = None
    for version in versions:
        if version["known_at"] <= at:
            latest = version
    return latest


def is_in_window(event_at: datetime, at: datetime, days: int | None) -> bool:
    """Whether an event has happened and, unless ``days`` is None, not yet left its window."""
    return event_at <= at and (days is None or at < event_at + timedelta(days=days))


def moments(versions: Iterable[Row], event: str, windows: Iterable[int]) -> set[datetime]:
    """Every instant at which a key's contribution can change: known, happened, out of a window."""
    out = set()
    for version in versions:
        out.add(version["known_at"])
        out.add(version[event])
        out.update(version[event] + timedelta(days=days) for days in windows)
    return out


def state_changes(
    instants: Iterable[datetime], state_at: Callable[[datetime], Row], nothing: Row, world: World
) -> list[Row]:
    """One row per refresh at which the state differs from the state before it.

    Args:
        instants: when the state can change; only their first refreshes are looked at.
        state_at: the entity's state at a refresh, counted afresh from its facts.
        nothing: the state before the first refresh.
    """
    rows = []
    before = nothing
    for as_of_at in sorted({world.clock.refresh(instant) for instant in instants}):
        if as_of_at > world.as_of_at:
            break
        state = state_at(as_of_at)
        if state != before:
            available_at = world.clock.available_at(as_of_at)
            rows.append({"as_of_at": as_of_at, "available_at": available_at, **state})
        before = state
    return rows


def latest_available(rows: Iterable[Row], at: datetime) -> Row | None:
    """The newest as-of row that may be used at an instant (at exactly that instant: used)."""
    usable = [row for row in rows if row["available_at"] <= at]
    return max(usable, key=lambda row: row["as_of_at"], default=None)


def by_key(rows: list[Row], key: str) -> dict[Any, list[Row]]:
    """Return rows in groups of one key."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return groups


def values_at(rows: list[Row], at: datetime, columns: Row) -> Row:
    """Return columns of the newest as-of row that may be used at an instant, or the values given if there is none."""
    row = latest_available(rows, at)
    return {name: default if row is None else row[name] for name, default in columns.items()}
