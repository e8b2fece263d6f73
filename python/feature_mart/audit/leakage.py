"""Implement `mart audit leakage`.

The audit compiles the project once, chooses cutoffs, perturbs the warehouse if asked, and compares builds over the rows
known by each cutoff with a build over all rows. It also checks the inputs of the models, the lines of the load clock,
the builds by dbt, and the values of seeds and dbt vars.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from feature_mart.audit.cutoffs import LABEL_MODEL, Cutoff, choose_cutoffs
from feature_mart.audit.load_clock import judge_load_clock
from feature_mart.audit.modes import build_modes
from feature_mart.audit.perturb import perturb_warehouse
from feature_mart.audit.probes import add_probes
from feature_mart.audit.raw_rows import RawWarehouse, read_raw_warehouse
from feature_mart.audit.reach import find_faults
from feature_mart.audit.seed_labels import judge_seeds_and_vars
from feature_mart.audit.truncation import LeakageReport, compare_cutoffs, open_pool, whole_path
from feature_mart.core.errors import UsageError
from feature_mart.core.settings import Settings
from feature_mart.raw.warehouse import check_warehouse, newest_load
from feature_mart.runner import Progress, RunLog
from feature_mart.runner.compiled import CompiledProject, build_compiled, compile_project
from feature_mart.runner.decide import check_as_of, choose_refresh
from feature_mart.runner.load_clock import read_load_clock


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of an audit: the compiled project, a raw warehouse, and the refresh of the build.

    `folder` is a scratch folder, empty at the start and removed when the audit ends.
    """

    settings: Settings
    project: CompiledProject
    raw: RawWarehouse
    as_of_at: datetime
    folder: Path


@contextmanager
def open_subject(settings: Settings, log: RunLog, as_of: str | None) -> Iterator[Subject]:
    """Compile the project, read the load clock, and yield the subject of an audit.

    Call this inside `open_run`. The mart itself is not changed. ``as_of`` names the refresh to build; None means the
    refresh that a full build would choose.

    Raises:
        UsageError: the raw warehouse, the load clock, ``as_of`` or a seed's known_from is not valid, or a source is
            overwritten.
        TerminalError: dbt could not compile the project.
    """
    if settings.overwritten_sources:
        raise UsageError(
            f"{', '.join(settings.overwritten_sources)}: overwritten sources cannot be audited, because their rows do "
            "not record when they were known. To audit the definitions on the current rows, set overwritten_sources "
            "to [] in dbt_project.yml."
        )
    read_load_clock(settings.project, settings.warehouse)
    check_warehouse(settings.dwh)
    as_of_at = choose_refresh(settings, None, newest_load(settings.dwh), as_of=as_of)
    log.as_of_at = as_of_at
    folder = settings.scratch_dir / "audit"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with log.stage("compile"):
            project = compile_project(settings, as_of_at, folder)
        raw = read_raw_warehouse(settings.dwh, project.seeds, settings.warehouse)
        yield Subject(settings, project, raw, as_of_at, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def audit_leakage(
    settings: Settings,
    log: RunLog,
    *,
    as_of: str | None = None,
    cutoffs: int = 5,
    seed: int = 0,
    perturb: int | None = None,
    progress: Progress | None = None,
) -> LeakageReport:
    """Audit every feature table and mart of a warehouse for leaks.

    Call this inside `open_run`. ``as_of`` names the refresh to build; None means the refresh that a full build would
    choose. ``cutoffs`` is the number of cutoffs, and ``seed`` determines them. With ``perturb`` (a second seed), the
    audit uses a perturbed copy of the warehouse, which reveals more leaks. The load clock is always judged on the
    original warehouse.

    Raises:
        UsageError: ``as_of`` is not valid, or the warehouse cannot be audited.
        TerminalError: a model could not be built.
    """

    def show(done: int, what: str) -> None:
        if progress is not None:
            progress(done, 0, what)

    show(0, "compile")
    check_as_of(settings, as_of)
    with open_pool() as pool, open_subject(settings, log, as_of) as subject:
        with log.stage("reach"):
            faults = find_faults(subject.project.read_document(), settings.project)
        if faults:
            # The isolated builds below would fail on the first fault.
            return LeakageReport(subject.as_of_at, (), {}, subject.raw.untimed, faults=faults)
        by_line = pool.submit(
            judge_load_clock, subject.raw, settings.clock.timezone, settings.warehouse
        )
        with log.stage("choose cutoffs"):
            chosen = _choose(subject, cutoffs, seed)
        if perturb is not None:
            show(1, "the perturbed warehouse")
            with log.stage("perturb"):
                subject = perturbed(subject, chosen, perturb)
        instants = [cutoff.at for cutoff in chosen]
        probed = add_probes(subject.raw, instants, settings.clock, subject.folder / "probes")
        subject = replace(subject, raw=probed)
        with log.stage("cutoffs"):
            report = compare_cutoffs(
                subject.project,
                subject.raw,
                settings.clock,
                subject.as_of_at,
                chosen,
                subject.folder,
                pool=pool,
                modes=partial(
                    build_modes,
                    settings,
                    subject.project,
                    subject.raw,
                    subject.as_of_at,
                    subject.folder,
                    has_newest=as_of is None and not settings.as_of,
                ),
                progress=progress,
            )
        with log.stage("seeds and vars"):
            whole = whole_path(subject.as_of_at, subject.folder)
            inputs = judge_seeds_and_vars(subject.project, settings.project, whole)
    return replace(report, load_clock=by_line.result(), inputs=inputs)


def _choose(subject: Subject, count: int, seed: int) -> tuple[Cutoff, ...]:
    """Return the cutoffs, chosen from a build of the label model and the models that it reads."""
    project, labels = subject.project, subject.folder / "labels.duckdb"
    rows, only = subject.raw.every_row(), project.upstream(LABEL_MODEL)
    build_compiled(project, labels, rows, subject.as_of_at, only=only)
    return choose_cutoffs(subject.raw, labels, subject.settings.clock, count, seed)


def perturbed(subject: Subject, cutoffs: tuple[Cutoff, ...], seed: int) -> Subject:
    """Return the subject with a perturbed copy of the warehouse, in a subfolder of the subject's folder."""
    folder = subject.folder / "perturbed"
    instants = [cutoff.at for cutoff in cutoffs]
    raw = perturb_warehouse(subject.raw, folder / "dwh", instants, seed)
    return replace(subject, raw=raw, folder=folder)
