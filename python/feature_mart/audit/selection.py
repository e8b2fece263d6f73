"""Implement `mart audit selection`: find the rows that a change of the project moves, and label bias among them.

The project is built twice over the same raw warehouse as of the same refresh: as it is, and as it was at a commit. For
each consumer, the audit counts the rows that enter or leave the spine and the marts, change their label or exclusion,
or are in another split of an export. It marks groups of labels that are significantly more frequent among the moved
rows than among the other rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from feature_mart.audit.leakage import Subject, open_subject
from feature_mart.audit.moved_rows import ConsumerMoves, Side, compare_rows
from feature_mart.core.errors import TerminalError
from feature_mart.core.manifest import Consumer
from feature_mart.core.settings import Settings
from feature_mart.core.zones import load_zone
from feature_mart.exporter import Window, assign_splits
from feature_mart.runner import Progress, RunLog, extract_commit
from feature_mart.runner.compiled import CompiledProject, build_compiled, compile_project

_STEPS = 5


@dataclass(frozen=True, slots=True)
class ConsumerReport:
    """The rows that a change moves for one consumer, and the consumer's split windows before and after the change.

    The windows of a mart without labelled rows are empty.
    """

    moved: ConsumerMoves
    windows_before: tuple[Window, ...]
    windows_after: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class SelectionReport:
    """The rows that a change moves, by consumer; `base` is the caller's name of the commit, `commit` its full hash."""

    base: str
    commit: str
    as_of_at: datetime
    consumers: tuple[ConsumerReport, ...]
    not_judged: tuple[str, ...]

    @property
    def has_moved(self) -> bool:
        """Return True if any row moved."""
        return any(each.moved.moves for each in self.consumers)


def audit_selection(
    settings: Settings,
    log: RunLog,
    base: str,
    commit: str,
    *,
    as_of: str | None = None,
    progress: Progress | None = None,
) -> SelectionReport:
    """Compare the project with its state at a commit, over the same raw rows.

    Call this inside `open_run`. ``base`` is the caller's name of the commit, used in messages; ``commit`` is the full
    hash of the commit. ``as_of`` names the refresh to build; None means the refresh that a full build would choose.

    Raises:
        UsageError: there is no such commit, ``as_of`` is not valid, or the warehouse cannot be audited.
        TerminalError: either project could not be compiled or built.
    """

    def show(done: int, what: str) -> None:
        if progress is not None:
            progress(done, _STEPS, what)

    show(0, "compile")
    with open_subject(settings, log, as_of) as subject:
        show(1, f"compile {base}")
        with log.stage("base"):
            code, folder = subject.folder / "code", subject.folder / "base"
            extract_commit(settings.project, commit, code)
            folder.mkdir()
            former = _compile_base(subject, code, folder, base)
        show(2, f"build {base}")
        with log.stage("build base"):
            then = _build(subject, former, folder / "built.duckdb", f"At {base}: ")
        show(3, "build")
        with log.stage("build"):
            now = _build(subject, subject.project, subject.folder / "built.duckdb", "")
        show(4, "compare")
        with log.stage("compare"):
            return _compare(subject, former, then, now, base, commit)


def _compile_base(subject: Subject, code: Path, folder: Path, base: str) -> CompiledProject:
    settings = replace(subject.settings, project=code)
    try:
        return compile_project(settings, subject.as_of_at, folder, step="audit-base")
    except TerminalError as error:
        raise TerminalError(f"At {base}: {error}") from None


def _build(subject: Subject, project: CompiledProject, database: Path, where: str) -> Path:
    try:
        build_compiled(project, database, subject.raw.every_row(), subject.as_of_at)
    except TerminalError as error:
        raise TerminalError(f"{where}{error}") from None
    return database


def _compare(
    subject: Subject, former: CompiledProject, then: Path, now: Path, base: str, commit: str
) -> SelectionReport:
    before, after = _by_name(former), _by_name(subject.project)
    reports = []
    for name in sorted(before.keys() & after.keys()):
        sides = (
            _side(subject, former, then, before[name]),
            _side(subject, subject.project, now, after[name]),
        )
        windows = (sides[0].splits.windows, sides[1].splits.windows)
        reports.append(ConsumerReport(compare_rows(*sides), *windows))
    gone = [f"{name}: removed consumer" for name in sorted(before.keys() - after.keys())]
    new = [f"{name}: new consumer" for name in sorted(after.keys() - before.keys())]
    return SelectionReport(base, commit, subject.as_of_at, tuple(reports), (*new, *gone))


def _by_name(project: CompiledProject) -> Mapping[str, Consumer]:
    return {consumer.name: consumer for consumer in project.manifest.consumers}


def _side(subject: Subject, project: CompiledProject, built: Path, consumer: Consumer) -> Side:
    columns = project.manifest.columns(consumer.training_model)
    zone = load_zone(subject.settings.clock.timezone)
    return Side(built, consumer, assign_splits(built, consumer, columns, zone))
