"""Draw random schedules of builds from a seed, with skipped, late, repeated and killed refreshes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from feature_mart.core.settings import Clock

#: The days from one refresh to the next are drawn from these numbers. The days between two refreshes are skipped.
_GAPS = (1, 1, 1, 1, 2, 3, 7, 30)
_REPEATED, _KILLED = 0.2, 0.2
_MOST_DELAY_S = 6 * 3600
_MOST_BEFORE_S = 30 * 3600
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Refresh:
    """A build of a schedule: the refresh to build, the time at which the build runs, and whether the audit kills it.

    Raw rows loaded between `as_of_at` and `ran_at` exist when the build runs, and must not be used.
    """

    as_of_at: datetime
    ran_at: datetime
    is_killed: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """A series of builds of one mart.

    Attributes:
        storms: timestamps just after which a perturbed warehouse changes.
        is_backfill: True if every raw row exists from the first build on; otherwise each build finds only the rows
            loaded by its `ran_at`.
    """

    number: int
    refreshes: tuple[Refresh, ...]
    storms: tuple[datetime, ...]
    is_backfill: bool

    def count(self) -> dict[str, int]:
        """Return the numbers of built, repeated and killed refreshes, and the number of days without a refresh."""
        built = [refresh.as_of_at for refresh in self.refreshes if not refresh.is_killed]
        distinct = sorted(set(built))
        return {
            "built": len(built),
            "repeated": len(built) - len(distinct),
            "killed": len(self.refreshes) - len(built),
            "skipped": (distinct[-1] - distinct[0]) // _DAY + 1 - len(distinct),
        }


def draw_schedule(
    number: int, seed: int, clock: Clock, span: Sequence[datetime], builds: int, is_backfill: bool
) -> Schedule:
    """Return a schedule with ``builds`` different refreshes that succeed, starting between the timestamps of ``span``.

    ``builds`` is at least two. At least one refresh is killed and at least one is repeated. The last refresh may be
    later than ``span``, for example if the drawn gaps are longer than ``span``.
    """
    rng = Random(f"{seed}/{number}")
    gaps = [rng.choice(_GAPS) for _ in range(builds - 1)]
    first, last = span
    slack = max((last - first) // _DAY - sum(gaps), 0)
    day = clock.refresh_at(first + rng.randint(0, slack) * _DAY)
    killed, repeated = rng.randrange(1, builds), rng.randrange(builds)
    refreshes: list[Refresh] = []
    for position in range(builds):
        if position in {killed} or rng.random() < _KILLED:
            refreshes.append(_refresh(rng, day, is_killed=True))
        refreshes.append(_refresh(rng, day))
        if position in {repeated} or rng.random() < _REPEATED:
            refreshes.append(_refresh(rng, day))
        if position < len(gaps):
            day = clock.refresh_at(day + gaps[position] * _DAY)
    storms = sorted(
        {each.as_of_at - timedelta(seconds=rng.randint(0, _MOST_BEFORE_S)) for each in refreshes}
    )
    return Schedule(number, tuple(refreshes), tuple(storms), is_backfill)


def _refresh(rng: Random, at: datetime, *, is_killed: bool = False) -> Refresh:
    return Refresh(at, at + timedelta(seconds=rng.randint(0, _MOST_DELAY_S)), is_killed)
