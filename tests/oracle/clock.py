"""Compute refreshes, and hold the settings of a build."""

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
    """Compute the times of refreshes: one every business day at a local hour.

    Attributes:
        zone: the business zone.
        refresh_hour: the local hour of the refresh.
        lag_minutes: minutes between a refresh and the time from which its rows may be used.
    """

    zone: str = "Asia/Tokyo"
    refresh_hour: int = 3
    lag_minutes: int = 60

    def refresh_of(self, day: date) -> datetime:
        """Return the time of the refresh of a business day, in UTC."""
        return datetime.combine(day, time(self.refresh_hour), ZoneInfo(self.zone)).astimezone(UTC)

    def refresh(self, instant: datetime) -> datetime:
        """Return the first refresh at or after a timestamp, in UTC."""
        return _refresh(self, instant.astimezone(UTC))

    def refresh_before(self, instant: datetime) -> datetime:
        """Return the last refresh at or before a timestamp, in UTC."""
        day = self.local(instant).date()
        today = self.refresh_of(day)
        return today if today <= instant else self.refresh_of(day - timedelta(days=1))

    def available_at(self, as_of_at: datetime) -> datetime:
        """Return the time from which the rows of a refresh may be used."""
        return as_of_at + timedelta(minutes=self.lag_minutes)

    def local(self, instant: datetime) -> datetime:
        """Convert a timestamp to the business zone."""
        return instant.astimezone(ZoneInfo(self.zone))


@lru_cache(maxsize=1_000_000)
def _refresh(clock: Clock, instant: datetime) -> datetime:
    day = clock.local(instant).date()
    today = clock.refresh_of(day)
    return today if today >= instant else clock.refresh_of(day + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class LoadClockLine:
    """Describe a period in which ``loaded_at`` does not show when rows were known.

    Attributes:
        trusted_from: the end of the period, excluded.
        assumed_lag_hours: hours from the event of a key that was first loaded in the period to the assumed
            ``known_at`` of the key's initial version.
        untrusted_from: the start of the period, included; None if the period begins with the warehouse.
    """

    trusted_from: datetime
    assumed_lag_hours: int
    untrusted_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class World:
    """Hold the settings of a build that the oracle uses: the refresh, the clock, the load clock and dbt vars.

    Attributes:
        as_of: the build's refresh is the last one at or before this time.
        clock: the times of the refreshes.
        load_clock: for each table, one line or several lines whose periods do not overlap. A table without a line has
            correct load times.
        label_lag_days: dbt var ``price_label_lag_days``.
        hire_label_lag_days: dbt var ``hire_label_lag_days``.
        currency: dbt var ``currency``.
        history_start: dbt var ``history_start``; None to begin with the earliest known event.
        term_prior_count: dbt var ``term_prior_count``.
        lift_prior_count: dbt var ``lift_prior_count``.
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
        """Return the load clock's lines for a table; an empty sequence if all load times of the table are correct."""
        lines = self.load_clock.get(table, ())
        return (lines,) if isinstance(lines, LoadClockLine) else lines

    @property
    def as_of_at(self) -> datetime:
        """Return the refresh of the build, in UTC."""
        return self.clock.refresh_before(self.as_of)
