"""Find bulk loads, which are rows loaded at once and long after their events, and propose load clock lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from feature_mart.runner.first_loads import FEW_KEYS, FirstLoads, Lags, LoadDay, Minute, Moved
from feature_mart.runner.load_clock import LoadClockLine

#: A day contains a bulk load if it fulfils two conditions. First, the number of keys that were first loaded on the day
#: is over half of all keys, or at least _LEAST_KEYS and at least _TIMES times the median number of the other load days.
_LEAST_KEYS, _TIMES = 20, 7
#: Second, the upper quartile of the day's lags exceeds the usual lag of the other days (at least 0) by more than
#: OVERDUE. If there are fewer than _LEAST_DAYS other days, only a day with over half of the keys counts, and the usual
#: lag is assumed to be 0.
OVERDUE, _LEAST_DAYS = timedelta(hours=24), 7
#: Overdue loads less than _APART apart form one piece. Pieces at most _JOINED_WITHIN apart may belong to one bulk load.
#: A minute or piece with less than a fraction _FEW of the keys of the largest minute or piece is left out, because its
#: keys are stragglers.
_APART, _JOINED_WITHIN, _FEW = timedelta(hours=1), timedelta(days=1), 0.05


@dataclass(frozen=True, slots=True)
class Bulk:
    """The period of a bulk load of a table: from `start` (included) to `end` (excluded), in whole seconds.

    `days` are the business days on which the bulk load has rows. `is_first` is True if no key was loaded before the
    bulk load.
    """

    start: datetime
    end: datetime
    days: tuple[str, ...]
    is_first: bool

    @property
    def day(self) -> str:
        """Return the bulk load's day as text, or its first and last day if there are several."""
        first, last = self.days[0], self.days[-1]
        return first if first == last else f"{first} to {last}"

    def line(self, hours: float) -> LoadClockLine:
        """Return the load clock line for exactly the bulk load's period; ``hours`` is the lag to assume."""
        return LoadClockLine(self.end, hours, None if self.is_first else self.start)


@dataclass(frozen=True, slots=True)
class BulkLoad:
    """A bulk load of a table for which the load clock has no line, and a proposed line.

    `keys` is the number of keys first loaded in the bulk load, and `of` the number of the table's keys. `line` is None
    if no line is proposed, because a line would change nothing. `moved` describes the keys that the line makes known
    earlier. `compared` is the number of keys outside of bulk loads from which the lag of the line is computed; 0 if the
    lag is a guess.
    """

    table: str
    day: str
    keys: int
    of: int
    line: LoadClockLine | None
    moved: Moved
    compared: int

    def seed_line(self, warehouse: str) -> str | None:
        """Return the proposed line as text for seeds/load_clock.csv; None if no line is proposed."""
        return None if self.line is None else self.line.seed_line(warehouse, self.table, self.note)

    @property
    def note(self) -> str:
        """Return the note of the proposed line: the day of the bulk load, and how the line's lag was found."""
        return f"bulk load of {self.day}; {lag_note(self.compared)}"


def lag_note(compared: int) -> str:
    """Return a note on how a lag was found: from ``compared`` keys loaded as usual, or as a guess if there are none."""
    if not compared:
        return "the lag is a guess"
    return f"90% of the {compared} keys loaded as usual arrived within this lag"


@dataclass(frozen=True, slots=True)
class LoadHistory:
    """The days on which keys of a table were first loaded, and the bulk loads of the table.

    `usual` is the median `lag` of the days without a bulk load; None if none of these days has a lag.
    """

    days: tuple[LoadDay, ...]
    bulks: tuple[Bulk, ...]
    usual: timedelta | None

    @property
    def keys(self) -> int:
        """Return the number of the table's keys."""
        return sum(day.keys for day in self.days)

    @property
    def bulk_days(self) -> frozenset[str]:
        """Return the days that contain a bulk load."""
        return frozenset(day for bulk in self.bulks for day in bulk.days)

    @property
    def ordinary_days(self) -> frozenset[str]:
        """Return the days that have no bulk load and a lag of at most the usual lag plus `OVERDUE`."""
        usual, bulk_days = self.usual, self.bulk_days
        return frozenset(
            each.day
            for each in self.days
            if each.day not in bulk_days
            and usual is not None
            and each.lag is not None
            and each.lag <= usual + OVERDUE
        )


def read_history(loads: FirstLoads) -> LoadHistory:
    """Return the load days of a table and the bulk loads found in them."""
    days = loads.days()
    found = _bulk_days(days)
    usual = _usual([day for day in days if day not in found])
    bulks: tuple[Bulk, ...] = ()
    if found:
        over = OVERDUE + max(usual or timedelta(0), timedelta(0))
        bulks = _bulks(days, loads.minutes([day.day for day in found], over))
    return LoadHistory(tuple(days), bulks, usual)


def usual_lags(loads: FirstLoads, history: LoadHistory) -> Lags:
    """Return the lags of the keys that were first loaded outside of bulk loads."""
    return loads.lags([bulk.line(0) for bulk in history.bulks])


def find_bulks(
    table: str, loads: FirstLoads, known: Sequence[LoadClockLine] = ()
) -> list[BulkLoad]:
    """Return a table's bulk loads whose periods overlap no line in ``known``.

    If there is neither a bulk load nor a known line, but over half of the keys were first loaded on one day, the result
    is one `BulkLoad` for this day, without a proposed line.
    """
    history = read_history(loads)
    # Run the queries below only if there are new bulk loads, because each query on BigQuery costs money.
    new = [b for b in history.bulks if not any(touch(b.line(0), other) for other in known)]
    found = []
    lags = usual_lags(loads, history) if new else Lags(0, timedelta(0), timedelta(0))
    compared = lags.keys if lags.keys >= FEW_KEYS else 0
    for bulk in new:
        line = bulk.line(lags.hours)
        keys = sum(day.keys for day in loads.period_days(line))
        moved = loads.moved(line)
        fitting = line if moved.keys else None
        found.append(BulkLoad(table, bulk.day, keys, history.keys, fitting, moved, compared))
    if not found and not known and history.keys > FEW_KEYS and not history.bulks:
        most = max(history.days, key=lambda day: day.keys)
        if 2 * most.keys > history.keys:
            none = Moved(0, timedelta(0), timedelta(0), None)
            found.append(BulkLoad(table, most.day, most.keys, history.keys, None, none, 0))
    return found


def _bulk_days(days: Sequence[LoadDay]) -> list[LoadDay]:
    """Return the days with a bulk load, in the order in which they are found.

    Each day found is removed before the next search, because a large bulk load would hide smaller ones.
    """
    rest = sorted(days, key=lambda day: -day.keys)
    found: list[LoadDay] = []
    while (number := _next_bulk(rest)) is not None:
        found.append(rest.pop(number))
    return found


def _next_bulk(days: Sequence[LoadDay]) -> int | None:
    """Return the index of the first day that has a bulk load, compared with the other days; None if no day has one.

    ``days`` are sorted by the number of keys, the largest first.
    """
    total = sum(day.keys for day in days)
    if total <= FEW_KEYS:
        return None
    for number, day in enumerate(days):
        is_most = 2 * day.keys > total
        middle = (len(days) - 1) // 2
        usual_keys = days[middle if middle < number else middle + 1].keys if len(days) > 1 else 0
        if not is_most and day.keys < max(_LEAST_KEYS, _TIMES * usual_keys):
            return None  # The remaining days have fewer keys, so none has a bulk load.
        if day.lag is None or day.lag <= OVERDUE:
            continue
        others = [*days[:number], *days[number + 1 :]]
        if len(others) < _LEAST_DAYS:
            if is_most:
                return number
            continue
        usual = _usual(others)
        if usual is None or day.lag > max(usual, timedelta(0)) + OVERDUE:
            return number
    return None


def _usual(days: Sequence[LoadDay]) -> timedelta | None:
    lags = sorted(day.lag for day in days if day.lag is not None)
    return lags[(len(lags) - 1) // 2] if lags else None


def _bulks(days: Sequence[LoadDay], minutes: Sequence[Minute]) -> tuple[Bulk, ...]:
    """Group the overdue minutes into bulk loads. Pieces at most a day apart, without a load between them, are joined.

    Stragglers are left out, because they occur on any day and the load clock must not assume an earlier time for them.
    """
    pieces: list[list[Minute]] = []
    few = _FEW * max((minute.keys for minute in minutes if minute.is_overdue), default=0)
    for minute in minutes:
        if not minute.is_overdue or minute.keys < few:
            continue
        if pieces and minute.first - pieces[-1][-1].last < _APART:
            pieces[-1].append(minute)
        else:
            pieces.append([minute])
    small = _FEW * max((_count(piece) for piece in pieces), default=0)
    joined: list[list[Minute]] = []
    for piece in pieces:
        if _count(piece) < small:
            continue
        if joined and _are_adjacent(joined[-1][-1], piece[0], days, minutes):
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(_bulk(piece, days, minutes) for piece in joined)


def _count(piece: Sequence[Minute]) -> int:
    return sum(minute.keys for minute in piece)


def _are_adjacent(
    one: Minute, other: Minute, days: Sequence[LoadDay], minutes: Sequence[Minute]
) -> bool:
    if other.first - one.last > _JOINED_WITHIN or any(
        one.day < day.day < other.day for day in days
    ):
        return False
    return not any(one.last < minute.first < other.first for minute in minutes)


def _bulk(piece: Sequence[Minute], days: Sequence[LoadDay], minutes: Sequence[Minute]) -> Bulk:
    start = piece[0].first.replace(microsecond=0)
    end = max(minute.last for minute in piece).replace(microsecond=0) + timedelta(seconds=1)
    is_first = piece[0].first <= minutes[0].first and piece[0].day == days[0].day
    return Bulk(start, end, tuple(dict.fromkeys(minute.day for minute in piece)), is_first)


def touch(one: LoadClockLine, other: LoadClockLine) -> bool:
    """Return True if the periods of two load clock lines overlap."""

    def starts_before(line: LoadClockLine, end: datetime) -> bool:
        return line.untrusted_from is None or line.untrusted_from < end

    return starts_before(one, other.trusted_from) and starts_before(other, one.trusted_from)
