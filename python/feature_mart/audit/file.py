"""Implement `mart audit file`: find values of a training file that could not have been known at the row's time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb

from feature_mart.audit.given_file import JOB, Feature, GivenFile, Question, load_given
from feature_mart.audit.given_rows import RowFault, sort_rows
from feature_mart.audit.later_order import Order, find_order
from feature_mart.audit.reading import number_advice, time_advice
from feature_mart.audit.values import Versions, is_same, load_versions, read_value, scaled, type_of
from feature_mart.core.duckdb_files import attach, connect
from feature_mart.core.manifest import Manifest
from feature_mart.core.settings import Clock

Verdict = Literal["right", "leaks", "stale", "other", "not_judged"]
FileVerdict = Literal["good", "leaks", "wrong_rows", "not_judged"]
_EXAMPLE_TEXT = 40
#: The shifts in time, in days, that may explain wrong values: positive for later values, negative for older values,
#: None for the newest values.
_SHIFTS = (-90, -30, -7, -1, 1, 7, 30, 90, None)
_FITS = 0.5


@dataclass(frozen=True, slots=True)
class Example:
    """A row whose value differs from the mart's value.

    `known_at` is the first time after `at` from which the mart could serve the file's value; None if there is no such
    time. In a column that does not leak, `known_at` is also None if the mart could already serve the value by `at`.
    """

    entity: str
    at: datetime
    value: str
    right: str
    known_at: datetime | None


@dataclass(frozen=True, slots=True)
class Fit:
    """The number of differing values that equal the mart's values at a shifted time.

    `days` is the shift, negative for older values; None stands for the newest values.
    """

    days: int | None
    rows: int


@dataclass(frozen=True, slots=True)
class ColumnVerdict:
    """The comparison of a column of the file with a feature of the mart, value by value.

    Attributes:
        has_versions: False if the mart has only the value at the request, so later and older values are unknown.
        same: rows with the value that the mart could serve at the time of the row.
        later, older, either, neither: differing rows whose value the mart could serve only after the time of the row,
            only before it, both before and after it, or never.
        lead_median, lead_most: median and maximum time from a `later` row until the mart could serve the row's value;
            None if there are no such rows.
        fit: the shift in time that explains the most differing rows; None if no shift explains any.
        unreadable: rows whose value cannot be parsed or is ambiguous.
        advice: a text that says how to write values such as `unreadable_example`.
        skipped: rows that were not compared. Without versions of the feature, only rows of jobs at the time of the
            request are compared.
        nan: rows whose value is NaN, which counts as missing.
        valued: compared rows with a value in the file.
        known: compared rows for which the mart had a value.
        order: rank correlation with later values; None unless the column is ordered like later values.
    """

    column: str
    feature: str
    model: str
    has_versions: bool
    same: int
    later: int
    older: int
    either: int
    neither: int
    lead_median: timedelta | None
    lead_most: timedelta | None
    fit: Fit | None
    example: Example | None
    unreadable: int
    unreadable_example: str
    advice: str
    skipped: int
    nan: int
    valued: int
    known: int
    order: Order | None = None

    @property
    def judged(self) -> int:
        """Return the number of rows compared."""
        return self.same + self.later + self.older + self.either + self.neither

    @property
    def verdict(self) -> Verdict:
        """Return the verdict on the column, which depends on when the mart could serve the differing values.

        A column without a leak is judged only if every row was compared, the file and the mart both had values, and
        `order` is not set.
        """
        explained = self._explained
        if self.valued and explained == "leaks":
            return explained
        if self.unreadable or self.skipped or not (self.valued and self.known) or self.order:
            return "not_judged"
        return explained

    @property
    def _explained(self) -> Verdict:
        """Return the verdict on the compared rows.

        If a shift in time explains at least half of the differing rows, the shift decides. Otherwise, the rows whose
        value the mart had only later or only earlier decide. A column with another definition matches later values by
        chance as often as older ones. Therefore, a column leaks only if more rows match later values than older ones,
        and these rows are at least a fifth of the differing rows. A column is stale by the same rule, with later and
        older exchanged.
        """
        wrong = self.judged - self.same
        if wrong == 0:
            return "right"
        if self.fit is not None and self.fit.rows >= _FITS * wrong:
            return "stale" if self.fit.days is not None and self.fit.days < 0 else "leaks"
        if self.later > self.older and 5 * self.later >= wrong:
            return "leaks"
        if self.older > self.later and 5 * self.older >= wrong:
            return "stale"
        return "other"


@dataclass(frozen=True, slots=True)
class FileReport:
    """The result of the audit of a file: the faults of rows, and a verdict for each compared column.

    `is_local` is True if some times of the file had no offset. `unjudged` lists the columns that match no feature.
    """

    path: Path
    rows: int
    first: datetime | None
    last: datetime | None
    is_local: bool
    as_of_at: datetime
    faults: tuple[RowFault, ...]
    columns: tuple[ColumnVerdict, ...]
    unjudged: tuple[str, ...]

    @property
    def verdict(self) -> FileVerdict:
        """Return the verdict on the worst finding: a leak, then a wrong row, then a row or value not judged."""
        if any(column.verdict == "leaks" for column in self.columns):
            return "leaks"
        if any(fault.rows for fault in self.faults if fault.kind == "wrong"):
            return "wrong_rows"
        if any(fault.rows for fault in self.faults if fault.kind == "not_judged") or any(
            column.verdict == "not_judged" for column in self.columns
        ):
            return "not_judged"
        return "good"

    @property
    def is_good(self) -> bool:
        """Return True if everything was judged, no column leaks, and no row is lost, duplicated or impossible."""
        return self.verdict == "good"


def judge_file(
    question: Question, mart: Path, manifest: Manifest, clock: Clock, as_of_at: datetime
) -> FileReport:
    """Compare a file with what the mart at ``mart`` could serve at each row's time.

    ``as_of_at`` is the refresh of the mart. Rows later than the publication of this refresh are not compared.

    Raises:
        UsageError: the file cannot be read, the mart has none of the file's jobs, or the question names a column, key
            or feature that does not exist.
    """
    with connect(zone=clock.timezone) as con:
        attach(con, mart, "mart")
        given = load_given(con, question, manifest, clock.timezone)
        until = as_of_at + timedelta(minutes=clock.publish_lag_minutes)
        faults = sort_rows(con, given, question, manifest, until, clock.timezone)
        columns = tuple(
            _judge(con, given, number, feature, clock.timezone)
            for number, feature in enumerate(given.features)
        )
        rows, first, last = _row(con, "select count(*), min(t), max(t) from given")
    return FileReport(
        question.path, rows, first, last, given.is_local, as_of_at, faults, columns, given.unjudged
    )


def _judge(
    con: duckdb.DuckDBPyConnection, given: GivenFile, number: int, feature: Feature, zone: str
) -> ColumnVerdict:
    kind = type_of(con, feature)
    found = load_versions(con, feature, given.keys, kind)
    read = read_value("raw_value", feature, kind, zone)
    con.execute(
        f"create or replace temp table read_values as select *, {read.value} as given_value, "
        f"{read.is_unreadable} as is_unreadable, {read.is_nan} as is_nan "
        f"from (select *, v{number} as raw_value from judged)"
    )
    own = "j.n, j.t, j.raw_value, j.given_value, j.is_unreadable, j.is_nan"
    if found is not None:
        source = (
            f"select {own}, j.e, v.value is null as is_empty, "
            f"case when v.value is null then {found.empty} else v.value end as right_value "
            f"from (select *, {found.entity} as e from read_values) j "
            "asof left join feature_versions v on j.e = v.e and j.t >= v.available_at"
        )
    elif given.keys == (JOB,):
        # Without versions, the mart has only values at requests, so only rows at the time of a request are compared.
        source = (
            f'select {own}, null as e, false as is_empty, r."{feature.name}" as right_value '
            f"from read_values j join mart.main.{feature.job_model} r on j.job_id = r.job_id "
            "where abs(epoch(j.t) - epoch(r.requested_at)) <= 1"
        )
    else:
        source = f"select {own}, null as e, false as is_empty, null as right_value from read_values j where false"
    con.execute(
        "create or replace temp table compared as select *, "
        f"{scaled('given_value', kind)} as s, {scaled('right_value', kind)} as right_s "
        f"from ({source}) where not is_unreadable"
    )
    con.execute(
        "create or replace temp table differing as select *, coalesce(floor(s), -9e18) as b from compared "
        f"where not {is_same('s', 'right_s')} and not (is_empty and s is null)"
    )
    _place(con, has_versions=found is not None)
    fit = None if found is None else _fit(con, found, kind)
    counts = _row(
        con,
        "select (select count(*) from compared) - count(*), "
        "count(*) filter (later_at is not null and older_at is null), "
        "count(*) filter (later_at is null and older_at is not null), "
        "count(*) filter (later_at is not null and older_at is not null), "
        "count(*) filter (later_at is null and older_at is null), "
        "median(epoch(later_at) - epoch(t)) filter (older_at is null), "
        "max(epoch(later_at) - epoch(t)) filter (older_at is null) from placed",
    )
    median, most = (None if each is None else timedelta(seconds=each) for each in counts[5:])
    same, later, older, either, neither = counts[:5]
    unreadable, text, nan, compared = _row(
        con,
        "select count(*) filter (is_unreadable), min(raw_value::varchar) filter (is_unreadable), "
        "count(*) filter (is_nan), (select count(*) from compared) from read_values",
    )
    valued, known = _row(
        con, "select count(s), count(*) filter (not is_empty and right_s is not null) from compared"
    )
    advice = (
        "" if not unreadable else time_advice(text) if kind == "instant" else number_advice(text)
    )
    column = ColumnVerdict(
        column=feature.column,
        feature=feature.name,
        model=feature.model if found is not None else str(feature.job_model),
        has_versions=found is not None,
        same=same,
        later=later,
        older=older,
        either=either,
        neither=neither,
        lead_median=median,
        lead_most=most,
        fit=fit,
        example=None,
        unreadable=unreadable,
        unreadable_example=(text or "")[:_EXAMPLE_TEXT],
        advice=advice,
        skipped=_row(con, "select count(*) from read_values")[0] - unreadable - compared,
        nan=nan,
        valued=valued,
        known=known,
    )
    if found is not None and column.verdict in ("other", "stale"):
        column = replace(column, order=find_order(con, found, kind))
    return replace(column, example=_example(con, given, column.verdict))


def _fit(con: duckdb.DuckDBPyConnection, found: Versions, kind: str) -> Fit | None:
    """Return the shift in time that explains the most differing values, or None if no shift explains any.

    Ties go to the smallest shift.
    """
    shifts = ", ".join(
        f"({days}, to_days({days}))" if days is not None else "(null, to_days(100000))"
        for days in _SHIFTS
    )
    value = f"case when v.value is null then {found.empty} else v.value end"
    row = con.execute(
        f"select days, count(*) as fitting from (select d.*, h.days, d.t + h.shift as shifted_at from differing d "
        f"cross join (values {shifts}) h(days, shift)) d "
        "asof left join feature_versions v on d.e = v.e and d.shifted_at >= v.available_at "
        f"where {is_same('d.s', scaled(value, kind))} "
        "group by days order by fitting desc, abs(coalesce(days, 100000)), days limit 1"
    ).fetchone()
    return None if row is None else Fit(*row)


def _place(con: duckdb.DuckDBPyConnection, *, has_versions: bool) -> None:
    """Create the table ``placed``: the differing values, with ``later_at`` and ``older_at``.

    ``later_at`` is the first time after the row's time from which the mart could serve the value, and ``older_at`` the
    last such time before or at the row's time. Both are NULL if the feature has no versions, and each is NULL if there
    is no such time.
    """
    if not has_versions:
        never = "null::timestamptz"
        con.execute(
            f"create or replace temp table placed as select *, {never} as later_at, {never} as older_at from differing"
        )
        return
    con.execute(
        "create or replace temp table placed as select d.*, l.available_at as later_at, "
        "o.available_at as older_at from differing d "
        "asof left join version_buckets l on d.e = l.e and d.b = l.b and d.t < l.available_at "
        "asof left join version_buckets o on d.e = o.e and d.b = o.b and d.t >= o.available_at"
    )


def _example(con: duckdb.DuckDBPyConnection, given: GivenFile, verdict: Verdict) -> Example | None:
    """Return an example row, preferably one whose value was known only after the row's time; None if no row differs."""
    shown = " || ', ' || ".join(f"'{key}=' || j.{key}" for key in given.keys)
    known_at = "p.later_at" if verdict == "leaks" else "if(p.older_at is null, p.later_at, null)"
    row = con.execute(
        f"select {shown}, p.t, p.raw_value::varchar, p.right_value::varchar, {known_at} as known_at "
        "from placed p join sorted j on p.n = j.n "
        "order by known_at is null, p.older_at is not null, p.n limit 1"
    ).fetchone()
    if row is None:
        return None
    value, right = (str(each)[:_EXAMPLE_TEXT] for each in row[2:4])
    return Example(row[0], row[1], value, right, row[4])


def _row(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = con.execute(sql).fetchone()
    assert row is not None
    return row
