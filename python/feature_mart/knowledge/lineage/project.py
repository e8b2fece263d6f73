"""Compute, for each column of a project, a fingerprint of everything upstream of the column."""

from __future__ import annotations

from collections.abc import Mapping

from feature_mart.knowledge.lineage.jinja import (
    MODES,
    Renderer,
    macro_digest,
    untaken_branches,
)
from feature_mart.knowledge.lineage.mode_lineage import ModeLineage
from feature_mart.knowledge.lineage.parts import (
    PartKey,
    ProjectPart,
    YamlEntry,
    is_around,
    is_judged,
)
from feature_mart.knowledge.lineage.terms import text_digest

#: A column: the name of the model and the name of the column.
Column = tuple[str, str]

#: A cache of renderers by macros and vars, shared by all projects.
_renderers: dict[tuple[object, ...], list[Renderer]] = {}


class Project:
    """A project and the lineage of its columns.

    Args:
        parts: The project's parts by key.
        entries: The YAML entries of models and seeds, by name.
        rest: Another project, which supplies the columns and models that this project lacks; None for no other project.
    """

    def __init__(
        self,
        parts: Mapping[PartKey, ProjectPart],
        entries: Mapping[str, YamlEntry],
        rest: Project | None = None,
    ) -> None:
        self.parts = parts
        self.entries = entries
        macros = {key.name: part.content for key, part in parts.items() if key.kind == "macro"}
        variables = {key.name: part.content for key, part in parts.items() if key.kind == "var"}
        named = (
            tuple(sorted(macros.items())),
            tuple(sorted((k, repr(v)) for k, v in variables.items())),
        )
        if named not in _renderers:
            _renderers[named] = [Renderer(macros, variables, mode) for mode in MODES]
        renderers = _renderers[named]
        around = [
            macro_digest(part.content) if key.kind == "macro" else repr(part.content)
            for key, part in sorted(parts.items(), key=str)
            if is_around(key)
        ]
        self._around = text_digest(" ".join(around))
        others: list[ModeLineage | None] = [*rest.lineages] if rest else [None] * len(MODES)
        self.settings = {key: part for key, part in parts.items() if _is_setting(key)}
        self.foreign = repr(
            [
                (key, part.content)
                for key, part in sorted(parts.items(), key=str)
                if key.kind in {"source", "snapshot"}
            ]
        )
        self._judged: dict[Column, str] | None = None
        self.lineages: list[ModeLineage] = [
            ModeLineage(self, renderer, mode, other)
            for renderer, mode, other in zip(renderers, MODES, others, strict=True)
        ]

    def fingerprint(self, column: Column) -> str:
        """Return the fingerprint of everything upstream of a column."""
        each = (lineage.column(*column) + lineage.rows(column[0]) for lineage in self.lineages)
        return text_digest(" ".join((self._around, *each)))

    def own_fingerprint(self, column: Column) -> str:
        """Return the fingerprint of everything upstream of a column except the parts that affect every model.

        Such parts are, for example, run hooks and overrides of dbt's macros.
        """
        each = (lineage.column(*column) + lineage.rows(column[0]) for lineage in self.lineages)
        return text_digest(" ".join(each))

    def columns(self, model: str) -> tuple[str, ...]:
        """Return the columns of a model from its SQL, or from its YAML if the SQL does not list them."""
        known = self.lineages[0].facts(model).columns
        return known if known is not None else tuple(self.entry(model).columns)

    def judged(self) -> dict[Column, str]:
        """Return the fingerprints of the feature and mart columns, whose changes need a reason."""
        if self._judged is None:
            self._judged = {
                (key.name, name): self.fingerprint((key.name, name))
                for key in self.parts
                if key.kind == "model"
                for name, column in self.entry(key.name).columns.items()
                if is_judged(key.name, column)
            }
        return self._judged

    def unread(self) -> tuple[str, ...]:
        """Return the models whose code could not be parsed. Each column of such a model depends on all of the code."""
        return tuple(
            sorted(
                {
                    key.name
                    for key in self.parts
                    if key.kind == "model"
                    for summary in [each.summary(key.name) for each in self.lineages]
                    if summary is not None and not summary.is_read
                }
            )
        )

    def untaken(self, model: str, code: str) -> list[str]:
        """Return, as text, the branches of a model and its macros that no rendering takes."""
        each = (lineage.render(model, code) for lineage in self.lineages)
        return untaken_branches({one for found in each if found for one in found.went})

    def entry(self, model: str) -> YamlEntry:
        """Return a model's entry in YAML, or an empty entry if there is none."""
        return self.entries.get(model) or YamlEntry("")


def _is_setting(key: PartKey) -> bool:
    return key.kind == "seed config" or (key.kind == "project" and "." in key.name)
