"""Find the version of a key that is known at a refresh, and the refreshes at which an entity's state changes.

Facts enter and leave at the first refresh at or after a time x. At a refresh r, this has happened exactly if x <= r. So
the functions compare times with r, and need not round them to refreshes: a version counts at r if it is the last one
known at r, and a fact is in a window of N days at r if event <= r < event + N days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from .clock import Row, World


def latest_known(versions: Iterable[Row], at: datetime) -> Row | None:
    """Return the last version known at a timestamp; None if no version is known yet.

    Args:
        versions: the versions of a key in chain order, from the first to the last. If two of them become known between
            the same two refreshes, the earlier one is the last known version at no refresh.
        at: the timestamp.
    """
    latest = None
    for version in versions:
        if version["known_at"] <= at:
            latest = version
    return latest


def is_in_window(event_at: datetime, at: datetime, days: int | None) -> bool:
    """Return True if an event happened by `at` and, unless `days` is None, less than `days` days before `at`."""
    return event_at <= at and (days is None or at < event_at + timedelta(days=days))


def moments(versions: Iterable[Row], event: str, windows: Iterable[int]) -> set[datetime]:
    """Return all times at which the contribution of a key can change.

    For each version, these are the time at which the version becomes known, the time of its event, and the times at
    which the event leaves a window.

    Args:
        versions: the versions of the key.
        event: the column with the time of the event.
        windows: the windows in days.
    """
    out = set()
    for version in versions:
        out.add(version["known_at"])
        out.add(version[event])
        out.update(version[event] + timedelta(days=days) for days in windows)
    return out


def state_changes(
    instants: Iterable[datetime], state_at: Callable[[datetime], Row], nothing: Row, world: World
) -> list[Row]:
    """Return one row per refresh at which the state of an entity differs from the state before.

    Args:
        instants: times at which the state can change; each is moved to the first refresh at or after it.
        state_at: computes the entity's state at a refresh from its facts.
        nothing: the state before the first refresh.
        world: the settings of the build.
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
    """Return the newest as-of row with ``available_at <= at``; None if there is none."""
    usable = [row for row in rows if row["available_at"] <= at]
    return max(usable, key=lambda row: row["as_of_at"], default=None)


def by_key(rows: list[Row], key: str) -> dict[Any, list[Row]]:
    """Return rows grouped by the value of a column."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return groups


def values_at(rows: list[Row], at: datetime, columns: Row) -> Row:
    """Return the values of some columns in the newest as-of row available at a timestamp.

    ``columns`` has the names of the columns, with the values to return if there is no such row.
    """
    row = latest_available(rows, at)
    return {name: default if row is None else row[name] for name, default in columns.items()}
