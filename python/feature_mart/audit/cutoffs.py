"""Choose random cutoffs for the leakage audit, some of them at times at which leaks are likely."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from random import Random

import duckdb

from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.core.duckdb_files import connect
from feature_mart.core.errors import UsageError
from feature_mart.core.settings import Clock
from feature_mart.core.zones import load_zone

#: The model whose `label_known_at` values are candidates for the cutoff at a label time.
LABEL_MODEL = "int_job__price_label"
#: Cutoffs lie between these quantiles of the posting times, so that there are rows before and after each cutoff. There
#: are two exceptions: the cutoff at a business midnight may be up to a day before the first quantile, and the cutoff
#: for the load clock lies between the quantile _EARLY and `trusted_from` of a line of the load clock.
_FROM, _TO = 0.3, 0.97
_EARLY = 0.02
#: The cutoff for a bulk load in mid-history lies at most this long before `untrusted_from`. Before `untrusted_from`,
#: the rows of the bulk load are known only by assumption.
_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Cutoff:
    """A cutoff time, and the reason why it was chosen."""

    at: datetime
    about: str


def choose_cutoffs(
    warehouse: RawWarehouse, whole: Path, clock: Clock, count: int, seed: int
) -> tuple[Cutoff, ...]:
    """Return at most ``count`` distinct cutoffs, the earliest first.

    ``whole`` is the DuckDB file of a full build that contains at least the raw tables and LABEL_MODEL.

    The candidates are, in this order: a load time, the microsecond before the load, a business midnight, a label time,
    and a random time before the end of the first period that the load clock distrusts. Without labels or such a period,
    random times are used instead. All further candidates are random times.

    Raises:
        UsageError: no contract or job was loaded between the quantiles _FROM and _TO of the posting times, for example
            because all rows were loaded at once.
    """
    rng = Random(seed)
    with connect(whole, read_only=True) as con:
        first, last = _span(con, _FROM), _span(con, _TO)
        early = _span(con, _EARLY)
        loads = _instants(con, "dwh.contracts", "loaded_at", first, last) or _instants(
            con, "dwh.jobs", "loaded_at", first, last
        )
        labels = _instants(con, LABEL_MODEL, "label_known_at", first, last)
    if not loads:
        raise UsageError(
            f"{warehouse.folder}: all rows have the same loaded_at, so there is nothing to audit. Use a warehouse "
            "with several loads."
        )
    load = rng.choice(loads)
    found = [Cutoff(load, "a load time"), Cutoff(_just_before(load), "just before it")]
    day = _anywhere(rng, first, last).astimezone(load_zone(clock.timezone)).date()
    midnight = datetime.combine(day, time(), load_zone(clock.timezone)).astimezone(UTC)
    found.append(Cutoff(midnight, "a business midnight"))
    if labels:
        found.append(Cutoff(rng.choice(labels), "a label time"))
    periods = [
        (
            line.trusted_from,
            max(early, line.untrusted_from - _BEFORE) if line.untrusted_from else early,
        )
        for lines in warehouse.load_clock.values()
        for line in lines
    ]
    if periods and min(periods)[0] > min(periods)[1]:
        until, since = min(periods)
        at = _anywhere(rng, since, until)
        found.append(Cutoff(at, "a random time before trusted_from in the load clock"))
    while len({cutoff.at for cutoff in found}) < count:
        found.append(Cutoff(_anywhere(rng, first, last), "any time"))
    distinct = {cutoff.at: cutoff for cutoff in reversed(found[:count])}
    return tuple(distinct[at] for at in sorted(distinct))


def _just_before(instant: datetime) -> datetime:
    return instant - timedelta(microseconds=1)


def _span(con: duckdb.DuckDBPyConnection, share: float) -> datetime:
    """Return the posting time at the quantile ``share`` (0 to 1)."""
    row = con.execute("select quantile_disc(posted_at, ?) from dwh.jobs", [share]).fetchone()
    assert row is not None
    at: datetime = row[0]
    return at


def _instants(
    con: duckdb.DuckDBPyConnection, table: str, column: str, first: datetime, last: datetime
) -> list[datetime]:
    rows = con.execute(
        f"select distinct {column} from {table} where {column} between ? and ? order by all",
        [first, last],
    ).fetchall()
    return [row[0] for row in rows]


def _anywhere(rng: Random, first: datetime, last: datetime) -> datetime:
    return first + timedelta(
        microseconds=rng.randrange(int((last - first) / timedelta(microseconds=1)))
    )
