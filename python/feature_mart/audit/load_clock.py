"""The audit of seeds/load_clock.csv: does a line distrust load times that look sound, or assume too short a lag?

Taking the future away cannot see a wrong line, since the line itself says what was known when. What can be seen is how
the rest of the table was loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.raw_contract import CONTRACT, INITIAL_STATE
from feature_mart.runner.bulk_loads import LoadHistory, lag_note, read_history, touch, usual_lags
from feature_mart.runner.duckdb_engine import open_first_loads
from feature_mart.runner.first_loads import FEW_KEYS, FirstLoads, Lags, Moved
from feature_mart.runner.load_clock import LoadClockLine

_NOTHING = Moved(0, timedelta(0), timedelta(0), None)


@dataclass(frozen=True, slots=True)
class Sound:
    """Keys of a period that were loaded on ordinary days and that its line makes known earlier; one of them."""

    keys: int
    days: int
    example: str


@dataclass(frozen=True, slots=True)
class LineVerdict:
    """What a line of the load clock does, and what is wrong with it.

    `sound` is None where the line distrusts no load time that looks sound. `lags` are those of the keys loaded as
    usual, None where they are too few to compare the assumed lag with. `corrected` are the lines that belong in its
    place, for a line that is wrong; none where it is to go.
    """

    table: str
    line: LoadClockLine
    moved: Moved
    sound: Sound | None
    lags: Lags | None
    corrected: tuple[str, ...]

    @property
    def is_short(self) -> bool:
        """Return whether the assumed lag is shorter than half of the keys loaded as usual had it."""
        assumed = timedelta(hours=self.line.assumed_lag_hours)
        return self.moved.keys > 0 and self.lags is not None and assumed < self.lags.median

    @property
    def is_right(self) -> bool:
        """Return whether nothing is wrong with it."""
        return self.sound is None and not self.is_short

    @property
    def key(self) -> str:
        """Return the name of the table's key."""
        return next(iter(CONTRACT[self.table]))


def judge_load_clock(raw: RawWarehouse, timezone: str, warehouse: str) -> tuple[LineVerdict, ...]:
    """Judge every line that holds for a warehouse; days are those of ``timezone``."""
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
    """Return the lines that belong in a wrong one's place: of its bulk loads, or the same with another lag."""
    line = verdict.line
    hours = lags.hours if verdict.is_short else line.assumed_lag_hours
    right = [replace(line, assumed_lag_hours=hours)]
    if verdict.sound is not None:
        narrow = [bulk.line(hours) for bulk in history.bulks]
        right = [each for each in narrow if touch(each, line)]
    note = lag_note(lags.keys) if verdict.is_short else "bulk load"
    return tuple(each.seed_line(warehouse, verdict.table, note) for each in right)


def _sound(line: LoadClockLine, loads: FirstLoads, history: LoadHistory) -> Sound | None:
    """Return what a line changes beside bulk loads, where days on which rows were loaded as usual lie in its period."""
    days = [day for day in loads.period_days(line) if day.day not in history.bulk_days]
    ordinary = history.ordinary_days & {day.day for day in days}
    moved = [day for day in days if day.moved]
    if not ordinary or not moved:
        return None
    return Sound(sum(day.moved for day in moved), len(ordinary), str(moved[0].example))


def describe_faults(verdict: LineVerdict) -> Sequence[str]:
    """Return what is wrong with a line, with a key and the corrected line, as one text; none where it is right."""
    faults = []
    if verdict.sound is not None:
        faults.append(
            f"{verdict.sound.keys:,} keys count as known before they were loaded though their load times look sound "
            f"({verdict.sound.days:,} days of its period were loaded as usual), "
            f"for example {verdict.key}={verdict.sound.example}"
        )
    if verdict.is_short and verdict.lags is not None:
        faults.append(
            f"{verdict.moved.keys:,} keys count as known {verdict.line.assumed_lag_hours:g} hours after their events, "
            f"for example {verdict.key}={verdict.moved.example}, but half of the {verdict.lags.keys:,} keys loaded as "
            f"usual took {verdict.lags.median / timedelta(hours=1):.1f} hours or more"
        )
    if not faults:
        return ()
    instead = f"write {' and '.join(verdict.corrected)}" if verdict.corrected else "drop the line"
    return (f"{verdict.table}: {'; and '.join(faults)}; {instead}",)
