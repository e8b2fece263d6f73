"""`mart audit file`: which values of a training file could not have been known, and what would have been right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb

from feature_mart.audit.given_file import JOB, Feature, Given, Question, load_given
from feature_mart.audit.values import Versions, is_same, load_versions, scaled, type_of
from feature_mart.errors import UsageError
from feature_mart.manifest import Manifest
from feature_mart.settings import Clock

Verdict = Literal["right", "leaks", "stale", "other"]
_EXAMPLE_TEXT = 40
#: How a file comes to be wrong: by how many days its values are ahead, or behind; None for the newest values.
_SHIFTS = (-90, -30, -7, -1, 1, 7, 30, 90, None)
_FITS = 0.5


@dataclass(frozen=True, slots=True)
class Example:
    """A row whose value is not right; `known_at` is None where the mart never had the file's value."""

    entity: str
    at: datetime
    value: str
    right: str
    known_at: datetime | None


@dataclass(frozen=True, slots=True)
class Fit:
    """How many of a column's values that are not right were right so many days later; None: are the newest."""

    days: int | None
    rows: int


@dataclass(frozen=True, slots=True)
class ColumnVerdict:
    """A column of the file beside a feature of the mart, value by value.

    `same` rows hold what the mart could serve at their time; `later` what it only could afterwards, `older` what it
    could before, `either` what it could at both, `neither` what it never could. `lead_median` and `lead_most` say how
    long after a row's time its `later` value became known. `has_versions` is False where the mart has only the value of
    the request, so that nothing can be said of the others. `fit` is the shift in time that explains most.
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

    @property
    def judged(self) -> int:
        """How many rows were compared."""
        return self.same + self.later + self.older + self.either + self.neither

    @property
    def verdict(self) -> Verdict:
        """What explains the values that are not right: the future, the past, or neither.

        One shift in time that explains half of them decides. Else those decide that the mart had at one side only: a
        column of another definition meets a later value by chance as often as an older one, so it leaks when later
        ones are more than those, and a fifth at least of all that differ.
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
class RowFault:
    """Rows of one kind, and one of them; `is_fault` is False for what only could not be judged."""

    about: str
    rows: int
    example: str
    is_fault: bool


@dataclass(frozen=True, slots=True)
class FileReport:
    """The verdict on a file. `is_local` says that its times had no offset; `unjudged` are columns without a feature."""

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
    def is_good(self) -> bool:
        """Whether no column leaks and no row is lost, doubled or impossible."""
        return not any(fault.is_fault and fault.rows for fault in self.faults) and not any(
            column.verdict == "leaks" for column in self.columns
        )


def judge_file(
    question: Question, mart: Path, manifest: Manifest, clock: Clock, as_of_at: datetime
) -> FileReport:
    """Compare a file with what the mart at ``mart``, as of a refresh, could serve at each row's time.

    Raises:
        UsageError: the file cannot be read, or the question names what neither it nor the mart has.
    """
    with duckdb.connect() as con:
        con.execute(f"set TimeZone = '{clock.timezone}'; set enable_progress_bar = false")
        con.execute(f"attach '{mart}' as mart (read_only)")
        given = load_given(con, question, manifest, clock.timezone)
        until = as_of_at + timedelta(minutes=clock.publish_lag_minutes)
        faults = _prepare(con, given, manifest, until)
        columns = tuple(
            _judge(con, given, number, feature) for number, feature in enumerate(given.features)
        )
        rows, first, last = _row(con, "select count(*), min(t), max(t) from given")
    return FileReport(
        question.path, rows, first, last, given.is_local, as_of_at, faults, columns, given.unjudged
    )


def _prepare(
    con: duckdb.DuckDBPyConnection,
    given: Given,
    manifest: Manifest,
    until: datetime,
) -> tuple[RowFault, ...]:
    """Into `judged`, with their job's keys, the rows that can be; the others are counted by fault."""
    is_job = given.keys == (JOB,)
    keys = ", ".join(f"g.{key}" for key in given.keys)
    missing = " or ".join(f"g.{key} is null" for key in given.keys)
    late = f"g.t > timestamptz '{until.isoformat()}'"
    kinds = [
        ("without an entity or a time", f"{missing} or g.t is null", False),
        ("after the mart's newest refresh", late, False),
    ]
    if is_job:
        # A file may have dropped what is below a second.
        early = "g.t < date_trunc('second', r.requested_at)"
        kinds += [
            (f"whose {JOB} the mart does not know", "r.job_id is null", False),
            ("before their job was posted", early, True),
        ]
    case = " ".join(f"when {where} then '{_text(about)}'" for about, where, _ in kinds)
    join = f"left join mart.main.int_job__requests r on g.{JOB} = r.job_id" if is_job else ""
    own = "r.* exclude (job_id), " if is_job else ""
    con.execute(
        f"create temp table sorted as select g.*, {own}case {case} end as fault, "
        f"row_number() over (partition by {keys}, g.t order by g.n) as copy from given g {join}"
    )
    con.execute("create temp view judged as from sorted where fault is null and copy = 1")
    if is_job and not _row(con, "select count(*) from sorted where requested_at is not null")[0]:
        raise UsageError(
            f"The mart knows none of the file's {JOB}s: does --entity name the right column, and MART_DWH the "
            "right warehouse?"
        )
    shown = " || ', ' || ".join(f"'{key}=' || {key}" for key in given.keys) + " || ', ' || t"
    faults = [
        _fault(con, about, f"sorted where fault = '{_text(about)}'", shown, is_fault)
        for about, _, is_fault in kinds
    ]
    faults.append(_fault(con, "doubled", "sorted where copy > 1 and fault is null", shown, True))
    if is_job:
        faults.append(_lost(con, manifest))
    return tuple(faults)


def _fault(
    con: duckdb.DuckDBPyConnection, about: str, source: str, shown: str, is_fault: bool
) -> RowFault:
    rows, example = _row(con, f"select count(*), min({shown}) from {source}")
    return RowFault(about, rows, example or "", is_fault)


def _lost(con: duckdb.DuckDBPyConnection, manifest: Manifest) -> RowFault:
    """Jobs requested between the file's first and last that are not in it, though every consumer trains on them."""
    excluded = " union ".join(
        f"select job_id from mart.main.{consumer.training_model} where exclusion_reason is not null"
        for consumer in manifest.consumers
    )
    lost = (
        "mart.main.int_job__requests where requested_at between (select min(requested_at) from judged) "
        "and (select max(requested_at) from judged) and job_id not in (select job_id from sorted "
        "where job_id is not null)"
    )
    if excluded:
        lost += f" and job_id not in ({excluded})"
    return _fault(con, "lost", lost, "'job_id=' || job_id || ', ' || requested_at", True)


def _judge(
    con: duckdb.DuckDBPyConnection, given: Given, number: int, feature: Feature
) -> ColumnVerdict:
    kind = type_of(con, feature)
    found = load_versions(con, feature, given.keys, kind)
    if found is None:
        # What the request was served itself, for rows of that time.
        source = (
            f"select j.n, j.t, null as e, j.v{number} as given_value, false as is_empty, "
            f'r."{feature.name}" as right_value '
            f"from judged j join mart.main.{feature.job_model} r on j.job_id = r.job_id "
            "where abs(epoch(j.t) - epoch(r.requested_at)) <= 1"
        )
    else:
        source = (
            "select j.n, j.t, j.e, j.given_value, v.value is null as is_empty, "
            f"case when v.value is null then {found.empty} else v.value end as right_value "
            f"from (select *, {found.entity} as e, v{number} as given_value from judged) j "
            "asof left join feature_versions v on j.e = v.e and j.t >= v.available_at"
        )
    con.execute(
        "create or replace temp table compared as select *, "
        f"{scaled('given_value', kind)} as s, {scaled('right_value', kind)} as right_s from ({source})"
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
    )
    return replace(column, example=_example(con, given, column.verdict))


def _fit(con: duckdb.DuckDBPyConnection, found: Versions, kind: str) -> Fit | None:
    """The shift in time after which most of the differing values are right; the smallest of equals."""
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
    """Of each value that differs, the next time from which the entity had it, and the last."""
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


def _example(con: duckdb.DuckDBPyConnection, given: Given, verdict: Verdict) -> Example | None:
    """The first row that shows the verdict: of a leak one whose value was known later; else the first that differs."""
    shown = " || ', ' || ".join(f"'{key}=' || j.{key}" for key in given.keys)
    known_at = "p.later_at" if verdict == "leaks" else "if(p.older_at is null, p.later_at, null)"
    row = con.execute(
        f"select {shown}, p.t, p.given_value::varchar, p.right_value::varchar, {known_at} as known_at "
        "from placed p join sorted j on p.n = j.n "
        "order by known_at is null, p.older_at is not null, p.n limit 1"
    ).fetchone()
    if row is None:
        return None
    value, right = (str(each)[:_EXAMPLE_TEXT] for each in row[2:4])
    return Example(row[0], row[1], value, right, row[4])


def _text(value: str) -> str:
    return value.replace("'", "''")


def _row(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = con.execute(sql).fetchone()
    assert row is not None
    return row
