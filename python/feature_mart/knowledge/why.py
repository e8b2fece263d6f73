"""Collect everything written about one column, and the consumers of the column, for `mart knowledge why`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_mart.core.errors import UsageError
from feature_mart.knowledge.evidence_files import Document, effects_of, read_evidence
from feature_mart.knowledge.rationale import (
    HEADINGS,
    ModelFiles,
    meta_of,
    read_models,
    read_project,
    read_yaml,
    sections_of,
)

_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rejected candidate, with a description of the attempt and the result.

    `lost_to` has the columns that the candidate was to replace or to complement.
    """

    name: str
    path: str
    description: str
    lost_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Why:
    """Everything that is known about one column.

    `model` and `path` are the name and the file of the model that computes the column, and `notes` the sections of this
    model's Markdown by heading. `handed_on` has the other models with the column. `consumers` maps each consumer that
    uses the column to the consumer's label. `rejected` has the candidates related to the column. `evidence` has pairs
    of a title (warehouse, consumer) and a sentence about the measured effect of the column's feature group.
    """

    column: str
    model: str
    path: str
    description: str
    meta: Mapping[str, Any]
    notes: Mapping[str, str]
    handed_on: tuple[str, ...]
    consumers: Mapping[str, str]
    rejected: tuple[Candidate, ...]
    evidence: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reasons:
    """Everything written about a project's features and rejected candidates.

    `consumers` maps the name of each consumer to its label and the names of the marts that it reads.
    """

    models: tuple[ModelFiles, ...]
    consumers: Mapping[str, tuple[str, frozenset[str]]]
    candidates: tuple[Candidate, ...]
    evidence: tuple[Document, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the distinct names of all columns, in order of their models."""
        return tuple(dict.fromkeys(name for model in self.models for name in model.columns))

    def explain(self, column: str) -> Why:
        """Return everything that is known about a column.

        Raises:
            UsageError: no feature or mart model has such a column.
        """
        having = [model for model in self.models if column in model.columns]
        if not having:
            tried = next((each for each in self.candidates if each.name == column), None)
            if tried is not None:
                raise UsageError(
                    f"{column} is not a column but a rejected candidate ({tried.path}): {prose_of(tried.description)}"
                )
            raise UsageError(
                f"No feature or mart model has a column {column!r}{self._nearest(column)}"
            )
        home = min(having, key=lambda model: (_rank(model, column), model.name))
        notes = {
            heading: text.strip()
            for heading, text in sections_of(home.notes or "").items()
            if heading in HEADINGS
        }
        names = {model.name for model in having}
        return Why(
            column,
            home.name,
            home.code_path,
            str(home.columns[column].get("description") or ""),
            meta_of(home.columns[column]),
            notes,
            tuple(model.name for model in having if model is not home),
            {name: label for name, (label, marts) in self.consumers.items() if marts & names},
            tuple(
                each
                for each in self.candidates
                if column in each.lost_to or f"{each.name}.sql" in (home.notes or "")
            ),
            tuple(effects_of(column, self.evidence)),
        )

    def _nearest(self, column: str) -> str:
        close = difflib.get_close_matches(column, self.columns, n=3)
        return f"; did you mean {', '.join(close)}?" if close else "."


def read_reasons(project: Path) -> Reasons:
    """Return all reasons in a project's files. The mart need not be built.

    Raises:
        TerminalError: an evidence file violates its schema.
    """
    files = read_project(project)
    return Reasons(
        tuple(read_models(files)),
        _consumers(files),
        read_candidates(project),
        read_evidence(project),
    )


def explain_column(project: Path, column: str) -> Why:
    """Return everything that is known about a column.

    Raises:
        UsageError: no feature or mart model has such a column.
        TerminalError: an evidence file violates its schema.
    """
    return read_reasons(project).explain(column)


def read_candidates(project: Path) -> tuple[Candidate, ...]:
    """Return the candidates of ``analyses/rejected/_rejected.yml`` in file order; none if there is no such file."""
    path = project / "analyses" / "rejected" / "_rejected.yml"
    if not path.is_file():
        return ()
    document = read_yaml(path.read_text(encoding="utf-8", errors="replace"))
    return tuple(
        Candidate(
            str(each.get("name")),
            f"analyses/rejected/{each.get('name')}.sql",
            str(each.get("description") or ""),
            tuple(filter(None, re.split(r"[,\s]+", str(meta_of(each).get("lost_to") or "")))),
        )
        for each in document.get("analyses") or ()
        if isinstance(each, dict) and each.get("name")
    )


def prose_of(description: str) -> str:
    """Return a description as one line for a terminal, without images."""
    return " ".join(_IMAGE.sub("", description).split())


def _rank(model: ModelFiles, column: str) -> int:
    """Return a sort key: first the models that give a reason for the column, then other models, then marts."""
    return 0 if meta_of(model.columns[column]).get("why") else 2 if model.is_mart else 1


def _consumers(files: Mapping[str, str]) -> dict[str, tuple[str, frozenset[str]]]:
    document = read_yaml(files.get("models/exposures.yml", ""))
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for exposure in document.get("exposures") or ():
        if not isinstance(exposure, dict):
            continue
        meta = meta_of(exposure)
        marts = frozenset(str(meta.get(key)) for key in ("features_model", "training_model"))
        found[str(meta.get("consumer"))] = str(meta.get("label")), marts
    return found
