"""`mart knowledge why COLUMN`: everything that is written of one column, and who uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from feature_mart.errors import UsageError
from feature_mart.knowledge.check import read_project
from feature_mart.knowledge.rationale import HEADINGS, Model, meta_of, read_models, sections_of


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rejected candidate that names the column, or stands in its model's notes: what was tried and seen."""

    name: str
    path: str
    description: str


@dataclass(frozen=True, slots=True)
class Why:
    """One column. `notes` are the sections of its model's Markdown; `consumers` the ML models that use it, by label.

    `handed_on` are the other models that have it.
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


def explain_column(project: Path, column: str) -> Why:
    """Read it from the project's files; nothing needs to be built.

    Raises:
        UsageError: no feature or mart model has such a column.
    """
    files = read_project(project)
    models = tuple(read_models(files))
    having = [model for model in models if column in model.columns]
    if not having:
        raise UsageError(
            f"No feature or mart model has a column {column!r}{_nearest(models, column)}."
        )
    home = min(having, key=lambda model: (_rank(model, column), model.name))
    notes = {
        heading: text.strip()
        for heading, text in sections_of(home.notes or "").items()
        if heading in HEADINGS
    }
    return Why(
        column,
        home.name,
        home.code_path,
        str(home.columns[column].get("description") or ""),
        meta_of(home.columns[column]),
        notes,
        tuple(model.name for model in having if model is not home),
        _consumers(files, {model.name for model in having}),
        _candidates(project, column, home),
    )


def _rank(model: Model, column: str) -> int:
    """The model with the reason first, then one that makes the column, a mart last."""
    return 0 if meta_of(model.columns[column]).get("why") else 2 if model.is_mart else 1


def _consumers(files: Mapping[str, str], having: set[str]) -> dict[str, str]:
    document = yaml.safe_load(files.get("models/exposures.yml", "")) or {}
    found: dict[str, str] = {}
    for exposure in document.get("exposures") or ():
        meta = meta_of(exposure)
        if meta.get("features_model") in having or meta.get("training_model") in having:
            found[str(meta.get("consumer"))] = str(meta.get("label"))
    return found


def _candidates(project: Path, column: str, home: Model) -> tuple[Candidate, ...]:
    folder = project / "analyses" / "rejected"
    path = folder / "_rejected.yml"
    if not path.is_file():
        return ()
    document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    found = []
    for each in document.get("analyses") or ():
        name, text = str(each.get("name")), str(each.get("description") or "")
        lost_to = meta_of(each).get("lost_to") or ""
        if (
            column in text
            or column in str(lost_to).split(", ")
            or f"{name}.sql" in (home.notes or "")
        ):
            found.append(Candidate(name, f"analyses/rejected/{name}.sql", text))
    return tuple(found)


def _nearest(models: tuple[Model, ...], column: str) -> str:
    import difflib

    known = sorted({name for model in models for name in model.columns})
    close = difflib.get_close_matches(column, known, n=3)
    return f"; did you mean {', '.join(close)}?" if close else ""
