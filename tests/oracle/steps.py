"""Compute the state of an entity at each refresh, from the values of the entity's facts at that refresh."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from .clock import Row, World

Step = tuple[datetime, Any]


def steps(
    instants: Iterable[datetime | None], value_at: Callable[[datetime], Any], world: World
) -> list[Step]:
    """Return the values of one fact, each with the refresh from which the fact has the value.

    Args:
        instants: times at which the value can change; None entries are ignored.
        value_at: computes the value at a refresh; None if the fact does not count then.
        world: the settings of the build.
    """
    refreshes = {world.clock.refresh(instant) for instant in instants if instant is not None}
    return [(at, value_at(at)) for at in sorted(refreshes) if at <= world.as_of_at]


def recounted(
    things: Iterable[list[Step]], state_of: Callable[[list[Any]], Row], nothing: Row, world: World
) -> list[Row]:
    """Return one row per refresh at which the state of an entity differs from the state before.

    Args:
        things: the steps of each fact of the entity.
        state_of: computes the state from the values of the facts that count.
        nothing: the state before the first step.
        world: the settings of the build.
    """
    changes: dict[datetime, list[tuple[int, Any]]] = defaultdict(list)
    for number, thing in enumerate(things):
        for at, value in thing:
            changes[at].append((number, value))
    rows = []
    standing: dict[int, Any] = {}
    before = nothing
    for as_of_at in sorted(changes):
        standing.update(changes[as_of_at])
        state = state_of([value for value in standing.values() if value is not None])
        if state != before:
            available_at = world.clock.available_at(as_of_at)
            rows.append({"as_of_at": as_of_at, "available_at": available_at, **state})
        before = state
    return rows
