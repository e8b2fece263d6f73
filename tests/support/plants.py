"""Plant changes in a copy of the project, and return the results of the leakage audit for each.

The models of the unchanged project are built once. For each plant, dbt compiles the changed project, and only models
whose compiled code differs and the models downstream of them are built again, which takes seconds.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import yaml

from compiled_mart import PROJECT
from feature_mart.audit.cutoffs import choose_cutoffs
from feature_mart.audit.every_refresh import small_subject
from feature_mart.audit.leakage import open_subject
from feature_mart.audit.load_clock import describe_faults, judge_load_clock
from feature_mart.audit.modes import build_modes, compare_mode
from feature_mart.audit.perturb import perturb_warehouse
from feature_mart.audit.probes import add_probes
from feature_mart.audit.raw_rows import read_raw_warehouse
from feature_mart.audit.reach import find_faults
from feature_mart.audit.seed_labels import judge_seeds_and_vars
from feature_mart.audit.truncation import build_whole, compare_cutoffs, compare_each
from feature_mart.core.errors import TerminalError
from feature_mart.core.settings import resolve_settings
from feature_mart.raw.warehouse import newest_load
from feature_mart.runner import open_run
from feature_mart.runner.compiled import CompiledModel, CompiledProject, compile_project
from feature_mart.runner.dbt import invoke_dbt
from feature_mart.sample import write_sample

PLANTS = PROJECT / "tests" / "plants"
#: Data tests of the build that detect leaks.
_CHECKS = (
    *("labels_of", "published", "requests_of"),
    *("even_exclusions", "reasons_borne_out", "every_posting"),
)
_PARTS = ("models", "macros", "seeds", "profiles", "tests/generic", "tests/fixtures")


#: Maps each leak that only the audit at every refresh finds to the day of the first refresh to audit and the greatest
#: number of refreshes to audit.
RARE_NIGHTS = {
    "skills_in_one_outage_week": ("2025-02-10", 8),
    "market_of_monday_for_sunday_nights": ("2025-06-20", 4),
    "one_row_in_four_hundred_by_hash": ("2024-05-01", 200),
    "demand_only_since_january_2026": ("2026-01-15", 75),
    "month_ends_look_at_month_close": ("2025-01-29", 60),
}


@dataclass(frozen=True, slots=True)
class Patch:
    """A text that occurs once in a file of the project, and its replacement. If `find` is None, the file is new."""

    file: str
    find: str | None
    replace: str


@dataclass(frozen=True, slots=True)
class Plant:
    """One planted change. `columns` are the columns that the audit must name; empty for an honest change."""

    name: str
    kind: str
    patches: tuple[Patch, ...]
    columns: frozenset[str]
    about: str

    def overlaps(self, other: Plant) -> bool:
        """Return True if both plants change the same file, so that one copy of the project cannot contain both."""
        return bool(
            {patch.file for patch in self.patches} & {patch.file for patch in other.patches}
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The results of the leakage audit for one or several plants.

    Attributes:
        named: columns with a leak, as `model.column`.
        altered: models whose compiled code the plants change.
        faults: accesses of models to something other than their inputs; if there are any, nothing is built.
        refused: the reason why the project did not compile or build.
        by_mode: columns whose values in a dbt build differ from those of the compiled SELECTs.
        checks: failed data tests of the build.
        inputs: seeds and vars that follow a label beyond chance.
        load_clock: wrong lines of the load clock.
    """

    named: frozenset[str] = frozenset()
    altered: frozenset[str] = frozenset()
    faults: tuple[str, ...] = ()
    refused: str = ""
    by_mode: frozenset[str] = frozenset()
    checks: frozenset[str] = frozenset()
    inputs: tuple[str, ...] = ()
    load_clock: tuple[str, ...] = ()

    @property
    def is_caught(self) -> bool:
        """Return True if any check found something."""
        found = self.named or self.faults or self.refused or self.by_mode or self.checks
        return bool(found or self.inputs or self.load_clock)


def read_plants(name: str) -> list[Plant]:
    """Return the plants of one YAML file in tests/plants."""
    return [
        Plant(
            name=entry["name"],
            kind=entry["kind"],
            patches=tuple(
                Patch(
                    patch["file"],
                    None if patch.get("create") else patch["find"].strip("\n"),
                    patch["replace"].strip("\n"),
                )
                for patch in (entry, *(entry.get("also") or ()))
            ),
            columns=frozenset(entry.get("columns", ())),
            about=entry["about"],
        )
        for entry in yaml.safe_load((PLANTS / f"{name}.yml").read_text(encoding="utf-8"))
    ]


def in_batches(plants: Sequence[Plant]) -> list[list[Plant]]:
    """Group plants into batches in which no two plants change the same file."""
    batches: list[list[Plant]] = []
    for plant in plants:
        for batch in batches:
            if not any(plant.overlaps(other) for other in batch):
                batch.append(plant)
                break
        else:
            batches.append([plant])
    return batches


class ProjectCopy:
    """A copy of the project in which changes are planted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in _PARTS:
            shutil.copytree(PROJECT / part, folder / part)
        shutil.copy(PROJECT / "dbt_project.yml", folder)

    def seeds_text(self) -> Mapping[str, bytes]:
        """Return the content of each file in the seeds folder, by name."""
        return {path.name: path.read_bytes() for path in sorted((self.folder / "seeds").iterdir())}

    @contextmanager
    def planted(self, plants: Sequence[Plant]) -> Iterator[None]:
        """Plant the changes, and undo them on exit, also after an error."""
        before: dict[Path, str | None] = {}
        try:
            for plant in plants:
                for patch in plant.patches:
                    path = self.folder / patch.file
                    if patch.find is None:
                        assert not path.exists(), f"{plant.name}: {patch.file} is there already"
                        before[path] = None
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_text(patch.replace + "\n", encoding="utf-8")
                        continue
                    text = path.read_text(encoding="utf-8")
                    assert text.count(patch.find) == 1, f"{plant.name}: not once in {patch.file}"
                    before.setdefault(path, text)
                    path.write_text(text.replace(patch.find, patch.replace), encoding="utf-8")
            yield
        finally:
            for path, text in before.items():
                if text is None:
                    path.unlink()
                else:
                    path.write_text(text, encoding="utf-8")


class PlantBench:
    """A small sample with perturbations and probes, and a copy of the project in which changes are planted."""

    def __init__(self, folder: Path, jobs: int = 2000, seed: int = 11) -> None:
        dwh = folder / "sample"  # seeds/load_clock.csv has lines for a warehouse named `sample`.
        write_sample(dwh, jobs=jobs, seed=seed)
        self.copy = ProjectCopy(folder / "project")
        settings = resolve_settings(dwh=str(dwh), environment={"MART_HOME": str(folder / "home")})
        self.settings = replace(settings, project=self.copy.folder)
        self.clock = settings.clock
        self.as_of_at = self.clock.refresh_at(newest_load(dwh))
        self.base, self.changed = folder / "base", folder / "changed"
        self.base.mkdir()
        self.seeds_text = self.copy.seeds_text()
        self.project = compile_project(self.settings, self.as_of_at, self.base)
        natural = read_raw_warehouse(dwh, self.project.seeds, settings.warehouse)
        whole = build_whole(self.project, natural, self.as_of_at, self.base)
        self.cutoffs = choose_cutoffs(natural, whole, self.clock, 5, seed)
        around = [cutoff.at for cutoff in self.cutoffs]
        self.natural = natural
        perturbed = perturb_warehouse(natural, folder / "perturbed" / "sample", around, seed)
        self.raw = add_probes(perturbed, around, self.clock, folder / "probes")
        build_whole(self.project, self.raw, self.as_of_at, self.base)
        self.clean = compare_cutoffs(
            self.project,
            self.raw,
            self.clock,
            self.as_of_at,
            self.cutoffs,
            self.base,
            is_small=True,
        )

    def judge(self, plants: Sequence[Plant], *, has_modes: bool = False) -> Verdict:
        """Audit the project with these changes planted, until all columns that must be named have been named.

        If ``has_modes`` is True and no cutoff names a column, dbt builds the project too and runs the data tests in
        _CHECKS, which takes half a minute.

        Raises:
            AssertionError: a text to be replaced does not occur exactly once in its file.
        """
        wanted = frozenset(column for plant in plants for column in plant.columns)
        shutil.rmtree(self.changed, ignore_errors=True)
        self.changed.mkdir()
        with self.copy.planted(plants):
            has_own_seeds = self.copy.seeds_text() != self.seeds_text
            if not has_own_seeds:
                shutil.copy(self.project.seeds, self.changed)
            try:
                project = compile_project(self.settings, self.as_of_at, self.changed)
                faults = find_faults(project.read_document(), self.copy.folder)
                if faults:
                    return Verdict(faults=tuple(map(str, faults)))
                verdict = self._judge(project, wanted, has_own_seeds=has_own_seeds)
                if verdict.named or not has_modes:
                    return verdict
                return self._by_dbt(project, verdict)
            except TerminalError as error:
                return Verdict(refused=str(error))

    def _judge(
        self, project: CompiledProject, wanted: frozenset[str], *, has_own_seeds: bool
    ) -> Verdict:
        old = {model.name: _code(model) for model in self.project.models}
        altered = frozenset(
            model.name for model in project.models if _code(model) != old.get(model.name)
        )
        if has_own_seeds or project.seed_list != self.project.seed_list:
            altered = frozenset(model.name for model in project.models)
        changed = project.downstream(altered)
        base = {"base": self.base, "changed": changed}
        whole = build_whole(project, self.raw, self.as_of_at, self.changed, **base)
        inputs = tuple(map(str, judge_seeds_and_vars(project, self.copy.folder, whole).followed))
        named: set[str] = set()
        for cutoff in reversed(self.cutoffs):
            report = compare_cutoffs(
                project,
                self.raw,
                self.clock,
                self.as_of_at,
                [cutoff],
                self.changed,
                is_small=True,
                **base,
            )
            named |= {
                f"{difference.model}.{difference.column}".rstrip(".")
                for difference in report.cutoffs[0].differences
            }
            if wanted and wanted <= named:
                break
        clock = self._load_clock_faults(project) if has_own_seeds else ()
        return Verdict(frozenset(named), altered, inputs=inputs, load_clock=clock)

    def _load_clock_faults(self, project: CompiledProject) -> tuple[str, ...]:
        natural, warehouse = self.natural.folder, self.settings.warehouse
        raw = read_raw_warehouse(natural, project.seeds, warehouse)
        verdicts = judge_load_clock(raw, self.clock.timezone, warehouse)
        return tuple(fault for verdict in verdicts for fault in describe_faults(verdict))

    def _by_dbt(self, project: CompiledProject, verdict: Verdict) -> Verdict:
        """Return the verdict with the results of the dbt builds and their data tests."""
        whole = build_whole(project, self.raw, self.as_of_at, self.changed)
        found = build_modes(
            self.settings, project, self.raw, self.as_of_at, self.changed, has_newest=True
        )
        reports = [compare_mode(project, built, whole) for built in found]
        checked = invoke_dbt(
            self.settings,
            ("test", "--select", *(f"test_name:{name}" for name in _CHECKS)),
            step="checks",
            database=found[-1].path,
            variables={"warehouse": self.settings.warehouse},
        )
        return replace(
            verdict,
            by_mode=frozenset(
                f"{each.model}.{each.column}".rstrip(".")
                for report in reports
                for each in report.differences
            ),
            checks=frozenset(
                node.name for node in checked.nodes if node.status in {"fail", "warn", "error"}
            ),
        )


class RareBench:
    """The small warehouse of the audit at every refresh, and a copy of the project in which changes are planted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        dwh = folder / "home" / "sample" / "dwh"
        write_sample(dwh, jobs=300, seed=0)
        self.copy = ProjectCopy(folder / "project")
        settings = resolve_settings(environment={"MART_HOME": str(folder / "home")})
        self.settings = replace(settings, project=self.copy.folder)

    def judge(self, plant: Plant, first: str, count: int) -> frozenset[str]:
        """Return the columns that differ at the first ``count`` refreshes on or after the day ``first``.

        Stop at the first refresh at which one of the plant's columns differs. If the plant's columns are in a mart,
        columns of other models may differ at earlier refreshes.
        """
        seen: set[str] = set()
        at = datetime.fromisoformat(first).replace(tzinfo=UTC)
        with (
            self.copy.planted([plant]),
            open_run(self.settings, "audit") as log,
            open_subject(self.settings, log, None) as natural,
        ):
            subject, cutoffs = small_subject(natural, 300, 0)
            build_whole(subject.project, subject.raw, subject.as_of_at, subject.folder)
            for cutoff in [each for each in cutoffs if each.at >= at][:count]:
                report = compare_each(
                    subject.project,
                    subject.raw,
                    self.settings.clock,
                    subject.as_of_at,
                    [cutoff],
                    subject.folder,
                    is_small=True,
                )
                seen |= {f"{each.model}.{each.column}" for each in report.cutoffs[0].differences}
                if seen & plant.columns:
                    break
        return frozenset(seen)


def _code(model: CompiledModel) -> str:
    """Return a text that is equal for two models if their code differs only in layout and comments.

    For a SQL model, the text also says whether the model is a view.
    """
    if model.is_python:
        return ast.dump(ast.parse(model.code))
    return re.sub(r"\s+", " ", re.sub(r"--[^\n]*", "", model.code)) + str(model.is_view)
