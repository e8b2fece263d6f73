"""Select the rows of a file that can be judged, and count the other rows by fault."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import duckdb

from feature_mart.audit.given_file import JOB, GivenFile, Question
from feature_mart.audit.given_keys import load_known, spelling_advice
from feature_mart.audit.given_zones import Shift, find_shifts
from feature_mart.audit.reading import time_advice
from feature_mart.core.duckdb_files import quoted
from feature_mart.core.errors import UsageError
from feature_mart.core.manifest import Manifest

#: `wrong` rows are errors of the file. `not_judged` rows may be errors. `stated` rows are missing from the file on
#: purpose.
FaultKind = Literal["wrong", "not_judged", "stated"]
_REQUESTS = "mart.main.int_job__requests"
_UNREADABLE = "whose time cannot be read"


@dataclass(frozen=True, slots=True)
class RowFault:
    """A fault of rows in a file: the number of rows, an example, and advice, which may be empty."""

    about: str
    rows: int
    example: str
    kind: FaultKind
    advice: str = ""

    @property
    def is_fault(self) -> bool:
        """Return True if the rows are an error of the file."""
        return self.kind == "wrong"


def sort_rows(
    con: duckdb.DuckDBPyConnection,
    given: GivenFile,
    question: Question,
    manifest: Manifest,
    until: datetime,
    zone: str,
) -> tuple[RowFault, ...]:
    """Create the view ``judged`` of the rows that can be judged, and return the faults of the other rows.

    Faults with zero rows are returned too. If the key is the job, ``judged`` also has the columns of the request, and
    jobs that the file lacks count as a fault.

    ``until`` is the time at which the mart's newest refresh is published; later rows are not judged.

    Raises:
        UsageError: no job of the file has a request in the mart.
    """
    is_job = given.keys == (JOB,)
    load_known(con, given.keys)
    keys = ", ".join(f"g.{key}" for key in given.keys)
    missing = " or ".join(f"g.{key} is null" for key in given.keys)
    unknown = {f"whose {key} is not in the mart": key for key in given.keys}
    kinds: list[tuple[str, str, FaultKind]] = [
        ("without a key or a time", f"{missing} or g.raw_t is null", "not_judged"),
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
            ("whose job has no request in the mart", "r.job_id is null", "not_judged"),
            # Compare whole seconds, because the file may lack fractions.
            (
                "with a time before their job was posted",
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
    shifts = find_shifts(con, given.keys, zone)
    con.execute(
        "create temp view judged as from sorted where fault is null and copy = 1 "
        "and n not in (select n from shifted)"
    )
    if is_job and not _row(con, "select count(*) from sorted where requested_at is not null")[0]:
        advice = spelling_advice(con, JOB, "given where job_id is not null")
        raise UsageError(
            f"The mart has none of the file's {JOB}s: check the column of --entity, and the warehouse in MART_DWH. "
            f"{advice[0].upper()}{advice[1:]}."
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
    faults += [_shift_fault(con, shift, shown) for shift in shifts]
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


def _shift_fault(con: duckdb.DuckDBPyConnection, shift: Shift, shown: str) -> RowFault:
    read = "as UTC" if shift.zone == "UTC" else f"in {shift.zone}"
    fault = _fault(
        con,
        f"whose time matches a request only if it is read {read}",
        f"sorted where n in (select n from shifted where read_in = {quoted(shift.zone)})",
        shown,
        "not_judged",
    )
    off = f"the times are {abs(shift.hours):g} h {'early' if shift.hours > 0 else 'late'}"
    written = "+00:00" if shift.zone == "UTC" else f"of {shift.zone}"
    return _advised(fault, f"{off}: write the times with the offset {written}")


def _lost(con: duckdb.DuckDBPyConnection, manifest: Manifest, *, is_sample: bool) -> RowFault:
    """Return the fault for jobs that the file lacks although they were requested during the time that the file covers.

    The covered time is from the first to the last request of the judged rows. Jobs that a consumer excludes from
    training are not counted. With ``is_sample``, missing jobs are not an error, because the question states that the
    file omits jobs on purpose.
    """
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
