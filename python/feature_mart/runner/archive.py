"""Recognize a warehouse whose data end long before the refresh, and propose a refresh at the end of the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from feature_mart.core.settings import Settings
from feature_mart.core.zones import load_zone
from feature_mart.runner.engine import Engine
from feature_mart.runner.load_clock import LoadClockLine

#: The days without an event after which a warehouse counts as an archive. A pause of some weeks is normal.
QUIET_DAYS = 30


@dataclass(frozen=True, slots=True)
class Archive:
    """A warehouse whose newest event is `days` days before the refresh.

    `ends_at` is the time of this event, `column` the column with this time (``table.column``), and `as_of` the
    business day of the first refresh that contains the event, for use with --as-of.
    """

    column: str
    ends_at: datetime
    days: int
    as_of: date


def find_archive(
    settings: Settings, engine: Engine, as_of_at: datetime, lines: Iterable[LoadClockLine]
) -> Archive | None:
    """Return a description of the archive if the raw rows end long before a refresh; None if the rows are current.

    The result is also None if the engine returns no newest event, as on BigQuery. ``lines`` are the present and
    proposed lines of the load clock. The newest event is assumed to be known after the longest lag of these lines.
    """
    found = engine.newest_event()
    if found is None:
        return None
    column, ends_at = found
    if as_of_at - ends_at < timedelta(days=QUIET_DAYS):
        return None
    lag = timedelta(hours=max((line.assumed_lag_hours for line in lines), default=0))
    end = settings.clock.refresh_at(ends_at + lag)
    day = end.astimezone(load_zone(settings.clock.timezone)).date()
    return Archive(column, ends_at, (as_of_at - ends_at).days, day)
