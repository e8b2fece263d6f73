"""Implement `mart audit incremental`: compare marts after random schedules of builds with full builds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

from feature_mart.audit.leakage import Subject, open_subject
from feature_mart.audit.modes import write_raw
from feature_mart.audit.perturb import perturb_warehouse
from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.audit.schedules import Refresh, Schedule, draw_schedule
from feature_mart.audit.tables import TableDifference, compare_tables
from feature_mart.audit.universes import write_universes
from feature_mart.core.duckdb_files import connect
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.settings import Settings
from feature_mart.runner import Progress, RunLog, build_mart, open_run
from feature_mart.runner.compiled import build_compiled

_BUILDS = 4
_KILLED_WITHIN_S = 12.0
_STARTED_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class ScheduleReport:
    """The result of one schedule: the rows of the final mart, and the tables that differ from a full build.

    `universes` is the number of warehouses that the schedule ran on at once.
    """

    schedule: Schedule
    universes: int
    rows: int
    differences: tuple[TableDifference, ...]


@dataclass(frozen=True, slots=True)
class IncrementalReport:
    """The result of an incremental audit, with the names of the compared models."""

    schedules: tuple[ScheduleReport, ...]
    models: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Return True if every mart equals its full build."""
        return not any(report.differences for report in self.schedules)

    @property
    def count(self) -> int:
        """Return the number of schedules, each counted once for every warehouse that it ran on."""
        return sum(report.universes for report in self.schedules)


def audit_incremental(
    settings: Settings,
    log: RunLog,
    *,
    schedules: int = 2,
    universes: int = 0,
    jobs: int = 60,
    seed: int = 0,
    perturb: int | None = None,
    progress: Progress | None = None,
) -> IncrementalReport:
    """Run random schedules of builds through dbt, and compare each mart with a full build.

    Call this inside `open_run`. The raw rows come from the warehouse or, with ``perturb`` (a seed), from a perturbed
    copy. With ``universes``, the raw rows come instead from this number of generated warehouses, disjoint and
    perturbed, of ``jobs`` postings each.

    Raises:
        UsageError: the warehouse cannot be audited, or ``universes`` is set and the warehouse is not the sample.
        TerminalError: a build failed, other than because the audit killed it.
    """
    if universes and not settings.is_sample:
        raise UsageError(
            "--universes generates its own warehouses and uses the sample's load clock: unset MART_DWH, or leave out "
            f"--universes to audit {settings.warehouse}."
        )
    reports = []
    with open_subject(settings, log, None) as subject:
        for number in range(schedules):
            if progress is not None:
                progress(number, schedules, "schedules")
            with log.stage(f"schedule {number}"):
                schedule, raw = _prepare(subject, number, universes, jobs, seed, perturb)
                reports.append(_run_schedule(subject, schedule, raw, max(universes, 1)))
    return IncrementalReport(
        tuple(reports), tuple(model.name for model in subject.project.models if not model.is_view)
    )


def _prepare(
    subject: Subject, number: int, universes: int, jobs: int, seed: int, perturb: int | None
) -> tuple[Schedule, RawWarehouse]:
    """Return the schedule with this number, and a warehouse with all raw rows that the builds of the schedule load."""
    folder = subject.folder / "raw"
    shutil.rmtree(folder, ignore_errors=True)
    clock = subject.settings.clock
    early, trusted, last = _span(subject.raw)
    is_backfill = trusted >= last or number % 4 == 3
    span = (early if is_backfill else trusted, last)
    schedule = draw_schedule(number, seed, clock, span, _BUILDS, is_backfill)
    if universes:
        first = seed + number * universes
        seeds = subject.project.seeds
        raw = write_universes(folder, seeds, universes, jobs, schedule.storms, first)
    elif perturb is not None:
        raw = perturb_warehouse(subject.raw, folder, schedule.storms, perturb + number)
    else:
        raw = subject.raw
    return schedule, raw


def _span(raw: RawWarehouse) -> tuple[datetime, datetime, datetime]:
    """Return the earliest start of a backfill, the earliest start of other schedules, and the time of the last posting.

    Other schedules start no earlier than the last `trusted_from` of the load clock, after which all load times are
    trusted.
    """
    with connect() as con:
        row = con.execute(
            "select quantile_disc(posted_at, 0.2), quantile_disc(posted_at, 0.4), max(posted_at) "
            f"from ({raw.every_row()['jobs']})"
        ).fetchone()
    assert row is not None
    trusted = [line.trusted_from for lines in raw.load_clock.values() for line in lines]
    return row[0], max([row[1], *trusted]), row[2]


def _run_schedule(
    subject: Subject, schedule: Schedule, raw: RawWarehouse, universes: int
) -> ScheduleReport:
    dwh = subject.folder / "dwh" / subject.settings.warehouse
    settings = replace(
        subject.settings,
        home=subject.folder / "home",
        dwh=dwh,
        address=str(dwh),
        is_sample=False,
    )
    settings.mart_path.unlink(missing_ok=True)
    rng = Random(f"{schedule.number}")
    for refresh in schedule.refreshes:
        write_raw(raw, dwh, None if schedule.is_backfill else refresh.ran_at)
        if refresh.is_killed:
            _build_and_kill(settings, refresh, rng.random() * _KILLED_WITHIN_S)
            continue
        with open_run(settings, "build") as log:
            build_mart(settings, log, as_of=refresh.as_of_at.isoformat(), is_checked=False)
    whole = subject.folder / "whole.duckdb"
    known = RawWarehouse(dwh, raw.load_clock, raw.untimed)
    last = schedule.refreshes[-1].as_of_at
    build_compiled(subject.project, whole, known.every_row(), last)
    names = [model.name for model in subject.project.models if not model.is_view]
    rows, differences = compare_tables(settings.mart_path, whole, names)
    return ScheduleReport(schedule, universes, rows, tuple(differences))


def _build_and_kill(settings: Settings, refresh: Refresh, after_s: float) -> None:
    """Start `mart build` in a subprocess, and kill the process ``after_s`` seconds after the draft appears.

    If no draft appears, the time is counted from the end of the process, or from _STARTED_WITHIN_S seconds after the
    start.

    Raises:
        TerminalError: the build failed before it was killed.
    """
    settings.draft_path.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "feature_mart", "build", "--as-of", refresh.as_of_at.isoformat()],
        cwd=settings.project,
        env=os.environ | {"MART_HOME": str(settings.home), "MART_DWH": str(settings.dwh)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in _moments(_STARTED_WITHIN_S):
        if process.poll() is not None or settings.draft_path.exists():
            break
    time.sleep(after_s)
    process.kill()
    _, message = process.communicate()
    if process.returncode > 0:
        raise TerminalError(f"The refresh of {refresh.as_of_at.isoformat()} failed: {message}")


def _moments(within_s: float) -> Iterator[float]:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        time.sleep(0.05)
        yield until
