"""Audit a small warehouse with a cutoff at every refresh, for leaks that affect only one week, entity or row.

The five cutoffs of `mart audit leakage` find a leak that is present all year. A leak in a single week or a few rows
shows only at a cutoff shortly afterwards, so this audit has a cutoff at every refresh. The warehouse must be small,
because the mart is built twice for each of about a thousand cutoffs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from feature_mart.audit.compare import AS_OF, JOB, SPINE, grain, judged_models
from feature_mart.audit.cutoffs import Cutoff
from feature_mart.audit.leakage import Subject, open_subject
from feature_mart.audit.probes import add_probes, add_requests
from feature_mart.audit.reach import find_faults
from feature_mart.audit.truncation import LeakageReport, build_whole, compare_each
from feature_mart.audit.universes import write_universes
from feature_mart.core.duckdb_files import connect
from feature_mart.core.errors import UsageError
from feature_mart.core.settings import Settings
from feature_mart.runner import Progress, RunLog

#: Number of random timestamps after which the warehouse is perturbed.
_STORMS = 24
_DAY = timedelta(days=1)


def audit_every_refresh(
    settings: Settings,
    log: RunLog,
    *,
    jobs: int = 300,
    nights: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> LeakageReport:
    """Audit the project for leaks at every refresh of a generated warehouse of ``jobs`` postings.

    Call this inside `open_run`. ``nights`` is the number of newest refreshes to audit; None to audit all refreshes
    between the first and last posting of the sample. If `find_faults` finds a fault, the report has only the faults.

    Raises:
        UsageError: MART_DWH is set, although the generated warehouse uses the sample's load clock; or the sample
            cannot be audited.
        TerminalError: a model could not be built.
    """
    if not settings.is_sample:
        raise UsageError(
            "--every-refresh generates its own warehouse and uses the sample's load clock: unset MART_DWH."
        )
    with open_subject(settings, log, None) as subject:
        faults = find_faults(subject.project.read_document(), settings.project)
        if faults:
            return LeakageReport(subject.as_of_at, (), {}, subject.raw.untimed, faults=faults)
        with log.stage("small warehouse"):
            subject, cutoffs = small_subject(subject, jobs, seed)
            cutoffs = cutoffs[-nights:] if nights is not None else cutoffs
            whole = build_whole(subject.project, subject.raw, subject.as_of_at, subject.folder)
        with log.stage("cutoffs"):
            report = compare_each(
                subject.project,
                subject.raw,
                settings.clock,
                subject.as_of_at,
                cutoffs,
                subject.folder,
                progress=progress,
            )
        return replace(report, covered=_covered(subject, report, cutoffs, whole))


def small_subject(subject: Subject, jobs: int, seed: int) -> tuple[Subject, list[Cutoff]]:
    """Return a subject for a generated warehouse with synthetic requests, and the cutoffs.

    The warehouse has ``jobs`` generated postings, and the synthetic requests in addition. The cutoffs are the refreshes
    that lie between the first and the last posting of ``subject.raw`` and precede the refresh of the build.
    """
    clock, folder, rng = subject.settings.clock, subject.folder, Random(seed)
    with connect() as con:
        row = con.execute(
            f"select min(posted_at), max(posted_at) from ({subject.raw.every_row()['jobs']})"
        ).fetchone()
    assert row is not None
    first, last = row
    storms = sorted(first + rng.random() * (last - first) for _ in range(_STORMS))
    raw = write_universes(folder / "small", subject.project.seeds, 1, jobs, storms, seed)
    cutoffs: list[Cutoff] = []
    at: datetime = clock.refresh_after(first)
    while at < min(last, subject.as_of_at):
        cutoffs.append(Cutoff(at, "a refresh"))
        at = clock.refresh_after(at)
    instants, probes = [cutoff.at for cutoff in cutoffs], folder / "probes"
    add_probes(raw, instants, clock, probes)
    add_requests(raw, instants, clock, probes)
    return replace(subject, raw=replace(raw, probes=probes)), cutoffs


def _covered(
    subject: Subject, report: LeakageReport, cutoffs: list[Cutoff], whole: Path
) -> tuple[int, int]:
    """Return two counts of (row, column) pairs: pairs with a cutoff within a day after the row's time, and all pairs.

    The row's time is `as_of_at`, or `requested_at` for a job. Constant columns are not counted.
    """
    manifest = subject.project.manifest
    instants = [cutoff.at for cutoff in cutoffs]
    seen = every = 0
    with connect(whole, read_only=True) as con:
        con.execute("create temp table instants (cut_at timestamptz)")
        con.executemany("insert into instants values (?)", [(at,) for at in instants])
        for name in judged_models([model.name for model in subject.project.models]):
            constant = report.constant.get(name, ())
            columns = [
                each
                for each in manifest.columns(name)
                if each.role is None and each.name not in constant
            ]
            times = {
                AS_OF: f"select as_of_at as own_at from main.{name}",
                JOB: f"select s.requested_at as own_at from main.{name} join main.{SPINE} s using (job_id)",
            }.get(grain(manifest, name))
            if times is None:
                continue
            row = con.execute(
                f"select count(*), count(*) filter (exists (select 1 from instants where cut_at >= own_at "
                f"and cut_at < own_at + to_seconds({int(_DAY.total_seconds())}))) from ({times})"
            ).fetchone()
            assert row is not None
            every += row[0] * len(columns)
            seen += row[1] * len(columns)
    return seen, every
