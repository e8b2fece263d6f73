"""Query the first loads of a table's keys by day and minute, the lags of the keys, and the effect of a load clock line.

A line of seeds/load_clock.csv changes only keys that were first loaded in the line's period, so only the first row of
each key is read. Each engine provides these rows as a SELECT in which times are whole numbers. The queries over this
SELECT are the same on both engines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from feature_mart.runner.load_clock import LoadClockLine

#: The minimum number of keys from which the usual lag of a table is computed. A table with at most this many keys is
#: not searched for bulk loads.
FEW_KEYS = 100
#: The lag to propose, in hours, if too few keys were loaded as usual to compute a lag.
GUESSED_HOURS = 24
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class LoadDay:
    """A business day on which keys were first loaded.

    `keys` is the number of keys. `lag` is the upper quartile of the delays between the keys' events and first loads,
    None if no event time is known.
    """

    day: str
    keys: int
    lag: timedelta | None


@dataclass(frozen=True, slots=True)
class Lags:
    """The delays between the events and first loads of `keys` keys: the median and, as `most`, the 90th percentile."""

    keys: int
    median: timedelta
    most: timedelta

    @property
    def hours(self) -> int:
        """Return the hours to assume as lag: the 90th percentile rounded up, at least 1, or a guess for few keys."""
        if self.keys < FEW_KEYS:
            return GUESSED_HOURS
        return max(1, -(-self.most // timedelta(hours=1)))


@dataclass(frozen=True, slots=True)
class Moved:
    """The keys that a load clock line makes known earlier.

    `keys` is the number of keys. `median` and `greatest` are the median and the maximum of the durations by which keys
    become known earlier. `example` is one of the keys; None if there are no keys.
    """

    keys: int
    median: timedelta
    greatest: timedelta
    example: str | None


@dataclass(frozen=True, slots=True)
class PeriodDay:
    """A day of a load clock line's period.

    `keys` is the number of keys first loaded on the day, and `moved` the number of these keys that the line makes known
    earlier. `example` is one of the moved keys, None if there is none.
    """

    day: str
    keys: int
    moved: int
    example: str | None


@dataclass(frozen=True, slots=True)
class Minute:
    """The first loads of one minute of a business day: the times of the first and last load, and the number of keys.

    A minute may occur twice: once for the overdue keys (`is_overdue` is True), and once for the other keys.
    """

    day: str
    first: datetime
    last: datetime
    keys: int
    is_overdue: bool


@dataclass(frozen=True, slots=True)
class FirstLoads:
    """The first load of every key of one table.

    ``select`` is a SELECT with one row per key: ``entity``, ``load_day`` (the business day as text), ``loaded_us``
    (microseconds since 1970) and ``lag_us`` (microseconds since the event, NULL if the event time is unknown). ``ask``
    runs a query and returns the rows.
    """

    ask: Callable[[str], Sequence[Sequence[object]]]
    select: str

    def days(self) -> list[LoadDay]:
        """Return the days on which keys were first loaded, in order."""
        rows = self._query(
            f"""
ranked as (
    select
        load_day,
        lag_us,
        row_number() over (partition by load_day order by lag_us asc) as place,
        count(lag_us) over (partition by load_day) as lag_count
    from firsts
    where lag_us is not null
),
lags as ({_quantile("load_day", 3, 4)})
select firsts.load_day, count(*), max(lags.quantile_us)
from firsts left join lags on firsts.load_day = lags.load_day
group by firsts.load_day
order by firsts.load_day"""
        )
        return [LoadDay(str(day), _int(keys), _span(lag)) for day, keys, lag in rows]

    def minutes(self, days: Sequence[str], over: timedelta) -> list[Minute]:
        """Return the minutes of ``days`` in order. Keys whose lag exceeds ``over`` are counted in separate minutes."""
        listed = ", ".join(f"'{day}'" for day in days)
        rows = self._query(
            f"""
judged as (
    select
        load_day,
        loaded_us,
        loaded_us - mod(loaded_us, 60000000) as minute_us,
        case when lag_us > {over // _US} then 1 else 0 end as is_overdue
    from firsts
    where load_day in ({listed})
)
select load_day, min(loaded_us), max(loaded_us), count(*), is_overdue
from judged
group by load_day, minute_us, is_overdue
order by min(loaded_us), max(loaded_us)"""
        )
        return [
            Minute(str(day), _instant(first), _instant(last), _int(keys), bool(_int(is_overdue)))
            for day, first, last, keys, is_overdue in rows
        ]

    def lags(self, without: Sequence[LoadClockLine]) -> Lags:
        """Return the lags of the keys that were first loaded outside of the periods of the lines ``without``."""
        outside = [f"not ({_within(line)})" for line in without]
        rows = self._query(
            f"""
ranked as (
    select
        1 as one,
        lag_us,
        row_number() over (order by lag_us asc) as place,
        count(*) over () as lag_count
    from firsts
    where {" and ".join(["lag_us is not null", *outside])}
),
medians as ({_quantile("one", 1, 2)}),
mosts as ({_quantile("one", 9, 10)})
select count(*), max(medians.quantile_us), max(mosts.quantile_us)
from ranked
left join medians on ranked.one = medians.one
left join mosts on ranked.one = mosts.one"""
        )
        keys, median, most = rows[0]
        return Lags(_int(keys), _span(median) or timedelta(0), _span(most) or timedelta(0))

    def period_days(self, line: LoadClockLine) -> list[PeriodDay]:
        """Return the days of a line's period, each with the number of keys that the line makes known earlier."""
        moved = f"lag_us > {_lag_us(line)}"
        rows = self._query(
            f"""
judged as (
    select
        load_day,
        case when {moved} then 1 else 0 end as is_moved,
        case when {moved} then entity end as moved_entity
    from firsts
    where {_within(line)}
)
select load_day, count(*), sum(is_moved), min(moved_entity)
from judged
group by load_day
order by load_day"""
        )
        return [
            PeriodDay(str(day), _int(keys), _int(count), None if key is None else str(key))
            for day, keys, count, key in rows
        ]

    def moved(self, line: LoadClockLine) -> Moved:
        """Return a description of the keys that a line makes known earlier."""
        rows = self._query(
            f"""
ranked as (
    select
        1 as one,
        entity,
        lag_us - ({_lag_us(line)}) as lag_us,
        row_number() over (order by lag_us asc) as place,
        count(*) over () as lag_count
    from firsts
    where lag_us > {_lag_us(line)} and {_within(line)}
),
medians as ({_quantile("one", 1, 2)})
select count(*), max(medians.quantile_us), max(ranked.lag_us), min(ranked.entity)
from ranked left join medians on ranked.one = medians.one"""
        )
        keys, median, greatest, example = rows[0]
        zero = timedelta(0)
        key = None if example is None else str(example)
        return Moved(_int(keys), _span(median) or zero, _span(greatest) or zero, key)

    def _query(self, rest: str) -> Sequence[Sequence[object]]:
        comma = "," if not rest.lstrip().startswith("select") else ""
        return self.ask(f"with firsts as ({self.select}){comma}{rest}")


def _within(line: LoadClockLine) -> str:
    ends = f"loaded_us < {(line.trusted_from - _EPOCH) // _US}"
    if line.untrusted_from is None:
        return ends
    return f"loaded_us >= {(line.untrusted_from - _EPOCH) // _US} and {ends}"


def _lag_us(line: LoadClockLine) -> int:
    return round(line.assumed_lag_hours * 3_600_000_000)


def _quantile(by: str, of: int, parts: int) -> str:
    """Return a SELECT of the quantile ``of``/``parts`` of ``lag_us`` for each group in ``ranked``, not interpolated."""
    past = f"{parts} * place - {of} * lag_count"
    return (
        f"select {by}, max(case when {past} >= 0 and {past} < {parts} then lag_us end) as quantile_us "
        f"from ranked group by {by}"
    )


def _int(value: object) -> int:
    return int(str(value)) if value is not None else 0


def _instant(microseconds: object) -> datetime:
    return _EPOCH + _int(microseconds) * _US


def _span(microseconds: object) -> timedelta | None:
    return None if microseconds is None else _int(microseconds) * _US
