"""Audit seeds/load_clock.csv for lines that override plausible load times or assume too short a lag.

Builds at cutoffs cannot find a wrong line, because the line itself defines what was known when. The audit compares
the line with how the rest of the table was loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.core.raw_contract import CONTRACT, INITIAL_STATE
from feature_mart.runner.bulk_loads import LoadHistory, lag_note, read_history, touch, usual_lags
from feature_mart.runner.duckdb_engine import open_first_loads
from feature_mart.runner.first_loads import FEW_KEYS, FirstLoads, Lags, Moved
from feature_mart.runner.load_clock import LoadClockLine

_NOTHING = Moved(0, timedelta(0), timedelta(0), None)


@dataclass(frozen=True, slots=True)
class Sound:
    """The plausible load times that a line of the load clock overrides.

    Attributes:
        keys: the number of keys that the line makes known earlier although they were loaded on days without a bulk
            load.
        days: the number of days in the line's period on which rows were loaded as usual.
        example: one of the keys.
    """

    keys: int
    days: int
    example: str


@dataclass(frozen=True, slots=True)
class LineVerdict:
    """The effect and the faults of a line of the load clock.

    Attributes:
        moved: the keys that the line makes known earlier.
        sound: the plausible load times that the line overrides; None if there are none, or too few keys to compare.
        lags: the lags, from event to load, of the keys loaded as usual; None if there are too few such keys for a
            comparison with the assumed lag.
        corrected: the lines to write instead of a wrong line; empty if the line is right or should be removed.
    """

    table: str
    line: LoadClockLine
    moved: Moved
    sound: Sound | None
    lags: Lags | None
    corrected: tuple[str, ...]

    @property
    def is_short(self) -> bool:
        """Return True if the assumed lag is shorter than the median lag of the keys loaded as usual."""
        assumed = timedelta(hours=self.line.assumed_lag_hours)
        return self.moved.keys > 0 and self.lags is not None and assumed < self.lags.median

    @property
    def is_right(self) -> bool:
        """Return True if the line has no fault."""
        return self.sound is None and not self.is_short

    @property
    def key(self) -> str:
        """Return the name of the table's key column."""
        return next(iter(CONTRACT[self.table]))


def judge_load_clock(raw: RawWarehouse, timezone: str, warehouse: str) -> tuple[LineVerdict, ...]:
    """Judge every line of the load clock for a warehouse.

    ``timezone`` is the zone of the days by which loads are grouped. ``warehouse`` is the name to write in corrected
    lines.
    """
    verdicts: list[LineVerdict] = []
    for table, lines in sorted(raw.load_clock.items()):
        if table not in INITIAL_STATE or table in raw.untimed:
            verdicts += [LineVerdict(table, line, _NOTHING, None, None, ()) for line in lines]
            continue
        with open_first_loads(raw.every_row()[table], table, timezone) as loads:
            history = read_history(loads)
            lags = usual_lags(loads, history)
            for line in lines:
                verdict = _verdict(table, line, loads, history, lags)
                verdicts.append(
                    verdict
                    if verdict.is_right
                    else replace(verdict, corrected=_corrected(verdict, history, lags, warehouse))
                )
    return tuple(verdicts)


def _verdict(
    table: str, line: LoadClockLine, loads: FirstLoads, history: LoadHistory, lags: Lags
) -> LineVerdict:
    is_compared = lags.keys >= FEW_KEYS
    sound = _sound(line, loads, history) if is_compared else None
    return LineVerdict(table, line, loads.moved(line), sound, lags if is_compared else None, ())


def _corrected(
    verdict: LineVerdict, history: LoadHistory, lags: Lags, warehouse: str
) -> tuple[str, ...]:
    """Return the lines to write instead of a wrong line.

    If the wrong line overrides plausible load times, the result has a line for each bulk load in the period of the
    wrong line. Otherwise, the result is the wrong line with another lag.
    """
    line = verdict.line
    hours = lags.hours if verdict.is_short else line.assumed_lag_hours
    right = [replace(line, assumed_lag_hours=hours)]
    if verdict.sound is not None:
        narrow = [bulk.line(hours) for bulk in history.bulks]
        right = [each for each in narrow if touch(each, line)]
    note = lag_note(lags.keys) if verdict.is_short else "bulk load"
    return tuple(each.seed_line(warehouse, verdict.table, note) for each in right)


def _sound(line: LoadClockLine, loads: FirstLoads, history: LoadHistory) -> Sound | None:
    """Return the plausible load times that a line overrides: those of keys loaded on days without a bulk load.

    Return None if there are no such keys or the line's period has no ordinary day.
    """
    days = [day for day in loads.period_days(line) if day.day not in history.bulk_days]
    ordinary = history.ordinary_days & {day.day for day in days}
    moved = [day for day in days if day.moved]
    if not ordinary or not moved:
        return None
    return Sound(sum(day.moved for day in moved), len(ordinary), str(moved[0].example))


def describe_faults(verdict: LineVerdict) -> Sequence[str]:
    """Return a sequence of one message with a line's faults, example keys and remedy; empty if the line is right."""
    faults = []
    if verdict.sound is not None:
        faults.append(
            f"{verdict.sound.keys:,} keys count as known before they were loaded, although their load times look "
            f"correct (on {verdict.sound.days:,} days in the line's period, keys were loaded as usual), for example "
            f"{verdict.key}={verdict.sound.example}"
        )
    if verdict.is_short and verdict.lags is not None:
        faults.append(
            f"{verdict.moved.keys:,} keys count as known {verdict.line.assumed_lag_hours:g} hours after their "
            f"events, for example {verdict.key}={verdict.moved.example}, but half of the {verdict.lags.keys:,} keys "
            f"loaded as usual were loaded {verdict.lags.median / timedelta(hours=1):.1f} hours or more after their "
            "events"
        )
    if not faults:
        return ()
    instead = f"write {' and '.join(verdict.corrected)}" if verdict.corrected else "remove the line"
    return (f"{verdict.table}: {'; and '.join(faults)}; {instead}",)
