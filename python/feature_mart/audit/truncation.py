"""Compare builds over the raw rows known by a cutoff with a build over all rows; no earlier value may change.

For each cutoff T, the raw rows known only after T are removed; for builds as of the last refresh by T, also the rows
known only after that refresh. Seed rows with a date are removed in the same way. A row known only by
assumption gets its initial state. The project's own compiled SQL and Python functions then build the mart again. The
values of the builds are compared without a tolerance:

(a) as of the last refresh by T, with the whole build: every as-of row with ``as_of_at <= T``, and every feature row and
    mart row, without labels, of a job that was requested and known by that refresh;
(b) as of the whole build's refresh, with the whole build: every feature row and mart row, without labels, of a job
    requested before the next refresh after T is published. The truncated build contains these requests even if they
    were loaded after T, but nothing else that became known after T. The limit is the publication, because the values of
    a refresh are not served before;
(c) as of the last refresh by T, with a build over all rows as of the same refresh: every training mart, labels
    included, and every model whose key has neither a job nor a refresh;
(d) as of the last refresh by T, with the whole build: every label that was known by that refresh according to the
    whole build.

The truncated builds use another wall clock and other random numbers than the whole build.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

from feature_mart.audit.compare import (
    SPINE,
    Compared,
    Difference,
    compare_features,
    compare_labels,
    compare_marts,
    compare_requests,
    judged_models,
    varying_columns,
)
from feature_mart.audit.cutoffs import Cutoff
from feature_mart.audit.load_clock import LineVerdict
from feature_mart.audit.modes import Built, ModeReport, compare_mode
from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.audit.reach import Fault
from feature_mart.audit.seed_labels import InputReport
from feature_mart.core.settings import Clock
from feature_mart.runner import Progress
from feature_mart.runner.compiled import BuildConditions, CompiledProject, build_compiled
from feature_mart.runner.dbt import load_dbt

_WORKERS = 2
#: Builds over all rows and truncated builds use different wall clocks and random numbers, so that a model that depends
#: on either is found.
_WHOLE = BuildConditions(built_after=timedelta(minutes=5), chance=0.25)
_TRUNCATED = BuildConditions(built_after=timedelta(days=411, hours=7), chance=0.75)

_NO_INPUTS = InputReport()


@dataclass(frozen=True, slots=True)
class CutoffReport:
    """The result for one cutoff. `rows` is the number of compared rows in all comparisons; 0 if nothing was judged."""

    cutoff: Cutoff
    rows: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class LeakageReport:
    """The result of a leakage audit, including the parts that could not be judged.

    Attributes:
        constant: for each model, the feature columns that had only one value in the rows compared.
        untimed: raw tables without load times.
        load_clock: a verdict for each line of the load clock, which no cutoff can judge.
        faults: accesses to something other than a model's inputs, and the other faults of `find_faults`. If there are
            any, nothing was built.
        modes: the result of each mode in which dbt builds.
        covered: two counts of pairs of a row and a varying column: the pairs with a cutoff within a day after the row's
            time, and all pairs. Such a cutoff finds a leak that lasts one day. None if the pairs were not counted.
        inputs: the result for seeds and dbt vars, which may follow a label. Cutoffs cannot judge vars and seed rows
            without a date, because their values are the same in every build.
    """

    as_of_at: datetime
    cutoffs: tuple[CutoffReport, ...]
    constant: Mapping[str, tuple[str, ...]]
    untimed: tuple[str, ...]
    load_clock: tuple[LineVerdict, ...] = ()
    faults: tuple[Fault, ...] = ()
    modes: tuple[ModeReport, ...] = ()
    covered: tuple[int, int] | None = None
    inputs: InputReport = _NO_INPUTS

    @property
    def is_clean(self) -> bool:
        """Return True if the audit found no fault.

        Nothing differs, models read only their inputs, no seed or var follows a label, and the load clock is right.
        """
        is_right = all(verdict.is_right for verdict in self.load_clock)
        found = self.leaks or self.faults or self.differs_by_mode or self.inputs.followed
        return is_right and not found

    @property
    def differs_by_mode(self) -> bool:
        """Return True if the tables that dbt builds differ from the SELECTs in any mode."""
        return any(report.differences for report in self.modes)

    @property
    def leaks(self) -> bool:
        """Return True if a value differs at any cutoff."""
        return any(report.differences for report in self.cutoffs)

    @property
    def empty(self) -> tuple[Cutoff, ...]:
        """Return the cutoffs at which no rows were compared."""
        return tuple(report.cutoff for report in self.cutoffs if report.rows == 0)

    @property
    def columns(self) -> frozenset[str]:
        """Return the names of the columns that differ at any cutoff; "" stands for rows that only one build has."""
        return frozenset(
            difference.column for report in self.cutoffs for difference in report.differences
        )


@dataclass(frozen=True, slots=True)
class _Build:
    """A build as of a refresh.

    The build contains all rows if `known_by` is None, otherwise the rows known by that time. If `requests_until` is
    set, the build also contains the requests made before that time.
    """

    as_of_at: datetime
    known_by: datetime | None = None
    requests_until: datetime | None = None

    def path(self, folder: Path) -> Path:
        """Return the path of the build's file in ``folder``."""
        known = "whole" if self.known_by is None else f"{self.known_by:%Y%m%dT%H%M%S.%f}"
        requests = "-requests" if self.requests_until else ""
        return folder / f"{self.as_of_at:%Y%m%dT%H%M}-{known}{requests}.duckdb"

    def rows(self, raw: RawWarehouse) -> dict[str, str]:
        """Return SELECTs of the raw rows in this build."""
        if self.known_by is None:
            return raw.every_row()
        if self.requests_until is not None:
            return raw.known_by_with_requests(self.known_by, self.requests_until)
        return raw.known_by(self.known_by)


def whole_path(as_of_at: datetime, folder: Path) -> Path:
    """Return the path of the whole build, the build over all rows as of ``as_of_at``."""
    return _Build(as_of_at).path(folder)


def build_whole(
    project: CompiledProject,
    raw: RawWarehouse,
    as_of_at: datetime,
    folder: Path,
    *,
    base: Path | None = None,
    changed: Collection[str] = (),
) -> Path:
    """Make the whole build, with which the builds of each cutoff are compared, and return the path of its file.

    ``base`` and ``changed`` are as in `compare_cutoffs`.
    """
    build = _Build(as_of_at)
    _make(project, raw, build, folder, base, changed, threads=2)
    return build.path(folder)


def compare_cutoffs(
    project: CompiledProject,
    raw: RawWarehouse,
    clock: Clock,
    as_of_at: datetime,
    cutoffs: Sequence[Cutoff],
    folder: Path,
    *,
    base: Path | None = None,
    changed: Collection[str] = (),
    is_small: bool = False,
    pool: Executor | None = None,
    modes: Callable[[], list[Built]] | None = None,
    progress: Progress | None = None,
) -> LeakageReport:
    """Make the builds of each cutoff, two at a time, compare them, and return a report of cutoffs and build modes.

    The whole build is made unless its file exists in ``folder``. ``pool`` comes from `open_pool`; None opens a new one.
    ``modes`` makes dbt's own builds in a worker process, so it must be picklable.

    With ``base``, the folder of an earlier audit over the same rows and cutoffs, only the models in ``changed`` are
    built and compared. With ``is_small``, all builds are made in this process, one after the other, because starting
    two processes would take longer.
    """
    whole = _Build(as_of_at)
    needed: dict[_Build, None] = {whole: None}
    for cutoff in cutoffs:
        for build in _builds(clock, as_of_at, cutoff.at):
            needed[build] = None
    if whole.path(folder).exists():
        del needed[whole]
    # Build the longest first, to keep both workers busy until the end.
    by_length = sorted(needed, key=lambda build: build.known_by or build.as_of_at, reverse=True)
    with nullcontext(pool) if pool is not None else _pool(is_small) as pool:
        by_dbt = pool.submit(modes) if modes is not None else None
        waiting = [
            pool.submit(_make, project, raw, build, folder, base, changed) for build in by_length
        ]
        for number, done in enumerate(as_completed(waiting), start=1):
            done.result()
            if progress is not None:
                progress(number, len(waiting), "truncated builds")
        names = judged_models(
            [model.name for model in project.models if base is None or model.name in changed]
        )
        judged = [
            pool.submit(_judge, project, names, clock, as_of_at, cutoff, folder)
            for cutoff in cutoffs
        ]
        by_mode = [
            pool.submit(compare_mode, project, built, whole.path(folder))
            for built in (by_dbt.result() if by_dbt is not None else ())
        ]
        reports = [each.result() for each in judged]
        found_modes = tuple(each.result() for each in by_mode)
    return LeakageReport(
        as_of_at,
        tuple(report for report, _ in reports),
        _constant(project, [compared for _, seen in reports for compared in seen]),
        raw.untimed,
        modes=found_modes,
    )


def compare_each(
    project: CompiledProject,
    raw: RawWarehouse,
    clock: Clock,
    as_of_at: datetime,
    cutoffs: Sequence[Cutoff],
    folder: Path,
    *,
    is_small: bool = False,
    progress: Progress | None = None,
) -> LeakageReport:
    """Compare as `compare_cutoffs` does, without comparison (c), and delete each cutoff's builds to save space.

    `build_whole` must have run before. With ``is_small`` all builds are made in this process.
    """
    names = judged_models([model.name for model in project.models])
    reports: list[CutoffReport] = []
    with _pool(is_small) as pool:
        waiting = [
            pool.submit(_make_and_judge, project, raw, names, clock, as_of_at, cutoff, folder)
            for cutoff in cutoffs
        ]
        for number, each in enumerate(waiting, start=1):
            reports.append(each.result())
            if progress is not None:
                progress(number, len(waiting), "refreshes")
    compared = varying_columns(project.manifest, names, _Build(as_of_at).path(folder))
    return LeakageReport(as_of_at, tuple(reports), _constant(project, compared), raw.untimed)


def _make_and_judge(
    project: CompiledProject,
    raw: RawWarehouse,
    names: Sequence[str],
    clock: Clock,
    as_of_at: datetime,
    cutoff: Cutoff,
    folder: Path,
) -> CutoffReport:
    builds = _builds(clock, as_of_at, cutoff.at)[:2]
    try:
        for build in builds:
            _make(project, raw, build, folder, None, ())
        report, _ = _judge(project, names, clock, as_of_at, cutoff, folder, has_marts=False)
        return report
    finally:
        for build in builds:
            build.path(folder).unlink(missing_ok=True)


def open_pool() -> Executor:
    """Return a pool of two worker processes, which import dbt (two seconds) while the caller does other work."""
    pool = ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn"))
    for _ in range(_WORKERS):
        pool.submit(load_dbt)
    return pool


def _pool(is_small: bool) -> Executor:
    return ThreadPoolExecutor(1) if is_small else open_pool()


def _builds(clock: Clock, as_of_at: datetime, at: datetime) -> tuple[_Build, _Build, _Build]:
    """Return the three builds of a cutoff: one for (a), (c) and (d), one for (b), and one over all rows for (c).

    The first build contains no row known after its refresh, so cutoffs between the same two refreshes share this build.
    """
    last = min(clock.refresh_before(at), as_of_at)
    return _Build(last, last), _Build(as_of_at, at, next_served_at(clock, at)), _Build(last)


def next_served_at(clock: Clock, at: datetime) -> datetime:
    """Return the time at which the first refresh after ``at`` is published and its values can be served."""
    return clock.refresh_after(at) + timedelta(minutes=clock.publish_lag_minutes)


def _make(
    project: CompiledProject,
    raw: RawWarehouse,
    build: _Build,
    folder: Path,
    base: Path | None,
    changed: Collection[str],
    threads: int = 1,
) -> None:
    build_compiled(
        project,
        build.path(folder),
        build.rows(raw),
        build.as_of_at,
        conditions=_WHOLE if build.known_by is None else _TRUNCATED,
        known_by=build.known_by,
        base=None if base is None else build.path(base),
        only=changed,
        kept=(SPINE,),
        threads=threads,
    )


def _judge(
    project: CompiledProject,
    names: Sequence[str],
    clock: Clock,
    as_of_at: datetime,
    cutoff: Cutoff,
    folder: Path,
    *,
    has_marts: bool = True,
) -> tuple[CutoffReport, list[Compared]]:
    builds = _builds(clock, as_of_at, cutoff.at)
    truncated, requests, before = (build.path(folder) for build in builds)
    manifest, whole = project.manifest, _Build(as_of_at).path(folder)
    served_at = next_served_at(clock, cutoff.at)
    brief = {"is_brief": not has_marts}
    results = [
        compare_features(manifest, names, whole, truncated, builds[0].as_of_at, **brief),
        compare_requests(manifest, names, whole, requests, served_at, **brief),
        compare_labels(manifest, names, whole, truncated, builds[0].as_of_at),
    ]
    if has_marts:
        results.append(compare_marts(manifest, names, before, truncated))
    differences = tuple(each for found, _ in results for each in found)
    compared = [each for _, seen in results for each in seen]
    return CutoffReport(cutoff, sum(each.rows for each in compared), differences), compared


def _constant(project: CompiledProject, compared: Sequence[Compared]) -> dict[str, tuple[str, ...]]:
    constant: dict[str, tuple[str, ...]] = {}
    for model in dict.fromkeys(each.model for each in compared):
        own = [each for each in compared if each.model == model]
        varying = frozenset().union(*(each.varying for each in own))
        columns = tuple(
            column.name
            for column in project.manifest.columns(model)
            if column.role is None and column.name not in varying
        )
        if columns:
            constant[model] = columns
    return constant
