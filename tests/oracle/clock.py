"""When the mart refreshes, and what a build is told about time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Tables = Mapping[str, list[Row]]


@dataclass(frozen=True, slots=True)
class Clock:
    """One refresh every business day at a local hour; its rows may be used some minutes later."""

    zone: str = "Asia/Tokyo"
    refresh_hour: int = 3
    lag_minutes: int = 60

    def refresh_of(self, day: date) -> datetime:
        """The refresh instant of a business day, in UTC."""
        return datetime.combine(day, time(self.refresh_hour), ZoneInfo(self.zone)).astimezone(UTC)

    def refresh(self, instant: datetime) -> datetime:
        """The first refresh at or after an instant, in UTC."""
        return _refresh(self, instant.astimezone(UTC))

    def refresh_before(self, instant: datetime) -> datetime:
        """The last refresh at or before an instant, in UTC."""
        day = self.local(instant).date()
        today = self.refresh_of(day)
        return today if today <= instant else self.refresh_of(day - timedelta(days=1))

    def available_at(self, as_of_at: datetime) -> datetime:
        """From when the rows of a refresh may be used."""
        return as_of_at + timedelta(minutes=self.lag_minutes)

    def local(self, instant: datetime) -> datetime:
        """An instant on the business zone's wall clock."""
        return instant.astimezone(ZoneInfo(self.zone))


@lru_cache(maxsize=1_000_000)
def _refresh(clock: Clock, instant: datetime) -> datetime:
    day = clock.local(instant).date()
    today = clock.refresh_of(day)
    return today if today >= instant else clock.refresh_of(day + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class LoadClockLine:
    """A period whose ``loaded_at`` is not true, and the lag assumed for keys first loaded in it.

    The period holds its start and not its end; without a start it began with the warehouse.
    """

    trusted_from: datetime
    assumed_lag_hours: int
    untrusted_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class World:
    """All that a build is told beside the raw rows.

    ``as_of`` counts as the last refresh at or before it. ``load_clock`` is keyed by table, with
    one line or several that do not overlap; a table without a line is always trusted.
    ``label_lag_days`` is the price label's. Without a ``history_start`` history begins with the
    first event known.
    """

    as_of: datetime
    clock: Clock = Clock()
    load_clock: Mapping[str, LoadClockLine | Sequence[LoadClockLine]] = field(default_factory=dict)
    label_lag_days: int = 0
    hire_label_lag_days: int = 0
    currency: str = "JPY"
    history_start: datetime | None = None
    term_prior_count: int = 20
    lift_prior_count: int = 5

    def load_clock_lines(self, table: str) -> Sequence[LoadClockLine]:
        """The table's lines, none where its load times are true throughout."""
        lines = self.load_clock.get(table, ())
        return (lines,) if isinstance(lines, LoadClockLine) else lines

    @property
    def as_of_at(self) -> datetime:
        """The build's refresh."""
        return self.clock.refresh_before(self.as_of)
