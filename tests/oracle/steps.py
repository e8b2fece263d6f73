"""What single things add to an entity, refresh by refresh, and the entity's state recounted from them."""

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
    """What one thing adds from each refresh on at which that can change; None adds nothing."""
    refreshes = {world.clock.refresh(instant) for instant in instants if instant is not None}
    return [(at, value_at(at)) for at in sorted(refreshes) if at <= world.as_of_at]


def recounted(
    things: Iterable[list[Step]], state_of: Callable[[list[Any]], Row], nothing: Row, world: World
) -> list[Row]:
    """One row per refresh at which the state, counted over all that stands then, is another one."""
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
