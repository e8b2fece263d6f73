"""Check that Python and the engine, which have separate time zone databases, agree on the business zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from feature_mart.core.errors import TerminalError
from feature_mart.core.settings import Clock
from feature_mart.core.zones import load_zone
from feature_mart.runner.engine import Engine

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
#: The length of the compared period before the refresh, if the engine does not return the earliest raw time.
_YEARS = timedelta(days=3653)


def check_zone(engine: Engine, clock: Clock, as_of_at: datetime) -> None:
    """Compare Python's and the engine's UTC offsets and refreshes.

    The period is from the earliest time in the raw rows, or ten years before ``as_of_at`` if the engine does not return
    this time, to a day after ``as_of_at``.

    Raises:
        TerminalError: an offset or a refresh differs, so the refreshes in the mart would differ from those in settings
            and manifests.
    """
    first = (engine.first_time() or as_of_at - _YEARS).replace(minute=0, second=0, microsecond=0)
    last = max(as_of_at, first) + _DAY
    _compare_offsets(engine, clock, first, last)
    zone = load_zone(clock.timezone)
    days = [first.astimezone(zone).date() - _DAY]
    while days[-1] <= last.astimezone(zone).date():
        days.append(days[-1] + _DAY)
    found = engine.refreshes(clock, days)
    for day, refresh in zip(days, found, strict=True):
        if refresh != clock.refresh_of(day):
            raise TerminalError(
                f"The refresh of {day} at {clock.refresh_hour}:00 in {clock.timezone} is "
                f"{_utc(clock.refresh_of(day))} by the settings and {_utc(refresh)} by {engine.version}, because a "
                "clock change repeats or skips this hour. Set dbt var refresh_hour to an hour without clock changes."
            )


def _compare_offsets(engine: Engine, clock: Clock, first: datetime, last: datetime) -> None:
    there = dict(engine.zone_offsets(clock.timezone, first, last))
    here = dict(_offsets(clock.timezone, first, last))
    if there == here:
        return
    at = min(set(there.items()) ^ set(here.items()))[0]
    offsets = [
        f"{changes[max(each for each in changes if each <= at)] / 3600:+g}"
        for changes in (here, there)
    ]
    raise TerminalError(
        f"The rules of {clock.timezone} differ between the package tzdata and {engine.version}: from {_utc(at)} the "
        f"UTC offset is {offsets[0]} hours by tzdata and {offsets[1]} hours by {engine.version}, which changes the "
        "time of a refresh. Install versions of tzdata and the database from the same year, or set dbt var "
        "business_timezone to a zone without this difference."
    )


def _offsets(zone: str, first: datetime, last: datetime) -> Iterator[tuple[datetime, int]]:
    """Yield the zone's UTC offset in seconds at ``first``, and at each later hour up to ``last`` with a new offset."""
    rules, at, before = load_zone(zone), first, None
    while at <= last:
        offset = at.astimezone(rules).utcoffset()
        assert offset is not None
        seconds = int(offset.total_seconds())
        if seconds != before:
            yield at, seconds
            before = seconds
        at += _HOUR


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"
