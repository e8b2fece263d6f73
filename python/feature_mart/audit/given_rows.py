"""Which rows of a file can be judged: the others are counted by what is wrong with them, or why they cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import duckdb

from feature_mart.audit.given_file import JOB, Given, Question
from feature_mart.audit.given_keys import load_known, spelling_advice
from feature_mart.audit.reading import time_advice
from feature_mart.duckdb_files import quoted
from feature_mart.errors import UsageError
from feature_mart.manifest import Manifest

#: `wrong` rows are mistakes of the file, `not_judged` ones may be; what is `stated` is none.
FaultKind = Literal["wrong", "not_judged", "stated"]
_REQUESTS = "mart.main.int_job__requests"
_UNREADABLE = "whose time cannot be read"
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class RowFault:
    """Rows of one kind, one of them, and what to do about it, where there is something to say."""

    about: str
    rows: int
    example: str
    kind: FaultKind
    advice: str = ""

    @property
    def is_fault(self) -> bool:
        """Return whether the rows are a mistake of the file."""
        return self.kind == "wrong"


def sort_rows(
    con: duckdb.DuckDBPyConnection,
    given: Given,
    question: Question,
    manifest: Manifest,
    until: datetime,
    zone: str,
) -> tuple[RowFault, ...]:
    """Put the rows that can be judged into `judged`, with their job's keys; count the others by fault.

    Raises:
        UsageError: the mart knows none of the file's jobs.
    """
    is_job = given.keys == (JOB,)
    load_known(con, given.keys)
    keys = ", ".join(f"g.{key}" for key in given.keys)
    missing = " or ".join(f"g.{key} is null" for key in given.keys)
    unknown = {f"whose {key} the mart does not know": key for key in given.keys}
    kinds: list[tuple[str, str, FaultKind]] = [
        ("without an entity or a time", f"{missing} or g.raw_t is null", "not_judged"),
        (_UNREADABLE, "g.t is null", "not_judged"),
        (
            "after the mart's newest refresh",
            f"g.t > timestamptz {quoted(until.isoformat())}",
            "not_judged",
        ),
    ]
    kinds += [
        (about, f"g.{key} not in (select k from known_{key})", "not_judged")
        for about, key in unknown.items()
    ]
    if is_job:
        kinds += [
            ("whose job was not posted by then", "r.job_id is null", "not_judged"),
            # A file may have dropped what is below a second.
            (
                "before their job was posted",
                "g.t < date_trunc('second', r.requested_at)",
                "wrong",
            ),
        ]
    case = " ".join(f"when {where} then {quoted(about)}" for about, where, _ in kinds)
    join = f"left join {_REQUESTS} r on g.{JOB} = r.job_id" if is_job else ""
    own = "r.* exclude (job_id), " if is_job else ""
    con.execute(
        f"create temp table sorted as select g.*, {own}case {case} end as fault, "
        f"row_number() over (partition by {keys}, g.t order by g.n) as copy from given g {join}"
    )
    con.execute("create temp view judged as from sorted where fault is null and copy = 1")
    if is_job and not _row(con, "select count(*) from sorted where requested_at is not null")[0]:
        advice = spelling_advice(con, JOB, "given where job_id is not null")
        raise UsageError(
            f"The mart knows none of the file's {JOB}s: does --entity name the right column, and MART_DWH the "
            f"right warehouse? {advice[0].upper()}{advice[1:]}."
        )
    shown = (
        " || ', ' || ".join(f"'{key}=' || coalesce({key}, 'NULL')" for key in given.keys)
        + " || ', ' || coalesce(t::varchar, raw_t, 'NULL')"
    )
    faults = []
    for about, _, kind in kinds:
        source = f"sorted where fault = {quoted(about)}"
        fault = _fault(con, about, source, shown, kind)
        if fault.rows and about in unknown:
            fault = _advised(fault, spelling_advice(con, unknown[about], source))
        elif fault.rows and about == _UNREADABLE:
            fault = _advised(fault, time_advice(_row(con, f"select min(raw_t) from {source}")[0]))
        faults.append(fault)
    doubled = "sorted where copy > 1 and fault is null"
    faults.append(_fault(con, "doubled", doubled, shown, "wrong"))
    faults.append(_shifted(con, given, zone, shown))
    if is_job:
        faults.append(_lost(con, manifest, is_sample=question.is_sample))
    return tuple(faults)


def _advised(fault: RowFault, advice: str) -> RowFault:
    return RowFault(fault.about, fault.rows, fault.example, fault.kind, advice)


def _fault(
    con: duckdb.DuckDBPyConnection, about: str, source: str, shown: str, kind: FaultKind
) -> RowFault:
    rows, example = _row(con, f"select count(*), min({shown}) from {source}")
    return RowFault(about, rows, example or "", kind)


def _shifted(con: duckdb.DuckDBPyConnection, given: Given, zone: str, shown: str) -> RowFault:
    """Count the rows whose time is that of a request in another zone only, if they are half of all and more than fit.

    Times in UTC are often written without an offset, and local times with that of UTC.
    """
    about = "whose time is that of a request only if it is read "
    has = {row[0] for row in con.execute(f"describe {_REQUESTS}").fetchall()}
    if not set(given.keys) <= has:
        return RowFault(about + "in another zone", 0, "", "not_judged")
    keys = ", ".join(given.keys)
    local, utc = f"timezone({quoted(zone)}, t)", "timezone('UTC', t)"
    readings = {
        "t": "t",
        "as_utc": f"if(is_local, timezone('UTC', {local}), null)",
        "as_local": f"if(is_local, null, timezone({quoted(zone)}, {utc}))",
    }
    # A file may have dropped the seconds.
    fits = {
        name: f"coalesce(({keys}, date_trunc('minute', {read})) in "
        f"(select ({keys}, date_trunc('minute', requested_at)) from {_REQUESTS}), false)"
        for name, read in readings.items()
    }
    con.execute(
        "create or replace temp table zone_readings as select *, "
        + ", ".join(f"{fit} as fits_{name}" for name, fit in fits.items())
        + " from sorted where t is not null"
    )
    rows, fitting, as_utc, as_local = _row(
        con,
        "select count(*), count(*) filter (fits_t), count(*) filter (fits_as_utc), "
        "count(*) filter (fits_as_local) from zone_readings",
    )
    if max(as_utc, as_local) <= fitting or max(as_utc, as_local) < _HALF * rows:
        return RowFault(about + "in another zone", 0, "", "not_judged")
    is_utc = as_utc >= as_local
    fault = _fault(
        con,
        about + ("as UTC" if is_utc else f"in {zone}"),
        f"zone_readings where {'fits_as_utc' if is_utc else 'fits_as_local'}",
        shown,
        "not_judged",
    )
    seconds = _row(
        con,
        f"select mode(epoch(t) - epoch({readings['as_utc' if is_utc else 'as_local']})) from zone_readings",
    )
    shift = f"the times are {abs(seconds[0]) / 3600:g} h {'early' if seconds[0] < 0 else 'late'}"
    written = "+00:00" if is_utc else f"the offset of {zone}"
    return _advised(fault, f"{shift}: write them with {written}")


def _lost(con: duckdb.DuckDBPyConnection, manifest: Manifest, *, is_sample: bool) -> RowFault:
    """Count jobs requested between the file's first and last that every consumer trains on, and the file has not."""
    excluded = " union ".join(
        f"select job_id from mart.main.{consumer.training_model} where exclusion_reason is not null"
        for consumer in manifest.consumers
    )
    lost = (
        f"{_REQUESTS} where requested_at between (select min(requested_at) from judged) "
        "and (select max(requested_at) from judged) and job_id not in (select job_id from sorted "
        "where job_id is not null)"
    )
    if excluded:
        lost += f" and job_id not in ({excluded})"
    kind: FaultKind = "stated" if is_sample else "wrong"
    return _fault(con, "lost", lost, "'job_id=' || job_id || ', ' || requested_at", kind)


def _row(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = con.execute(sql).fetchone()
    assert row is not None
    return row
