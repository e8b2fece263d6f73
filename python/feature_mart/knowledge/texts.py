"""Find the texts that explain a project's columns and parts, and decide if one of these texts was changed.

Texts are compared by their words, so whitespace, punctuation and capitals do not count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import PurePosixPath
from typing import Any

from feature_mart.core.dbt_vars import comments_of
from feature_mart.knowledge.lineage.jinja import MACRO
from feature_mart.knowledge.lineage.parts import (
    PACKAGE_FILES,
    PROJECT_FILE,
    Lines,
    PartKey,
    YamlEntry,
    read_entries,
    without_notes,
)
from feature_mart.knowledge.rationale import meta_of, read_yaml
from feature_mart.runner.seeds import NOTES

Words = tuple[str, ...]

_NONE = YamlEntry("")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_COMMENT = re.compile(r"\{#-?(.*?)-?#\}", re.DOTALL)


class ProjectTexts:
    """The descriptions, reasons, notes and comments in a project's files. The files are given as text by path."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files

    def reasons(self, column: str) -> list[Words]:
        """Return the values of `why` and `transform` of a column, from all models that state them."""
        return [
            words(meta_of(entry.columns[column]).get(key))
            for _, entry in sorted(self._entries.items())
            if column in entry.columns
            for key in ("why", "transform")
            if meta_of(entry.columns[column]).get(key)
        ]

    def described(self, model: str, column: str) -> list[Words]:
        """Return the description of a model's column, as a list of one."""
        entry = self._entries.get(model, _NONE)
        return [words(entry.columns.get(column, {}).get("description"))]

    def sections(self, column: str) -> list[Words]:
        """Return the sections of models' notes that name a column in the heading, or in backticks in the body."""
        return [
            said
            for model, sections in sorted(self._notes.items())
            if column in self._entries.get(model, _NONE).columns
            for heading, body, said in sections
            if column in heading or f"`{column}`" in body
        ]

    def of_model(self, model: str) -> list[Words]:
        """Return the description of a model or seed, and the sections of its notes."""
        entry = self._entries.get(model, _NONE)
        return [words(entry.description), *(said for _, _, said in self._notes.get(model, ()))]

    def of_part(self, key: PartKey) -> list[Words]:
        """Return the comments on a macro, a var or a project setting, or the description of a source or snapshot.

        A macro's description in YAML is returned with its comments.
        """
        if key.kind == "macro":
            found = [*self._macro_comments.get(key.name, ()), self._yaml_of("macros", key.name)]
            return [each for each in found if each]
        if key.kind == "project" and f"{key.name}.yml" in PACKAGE_FILES:
            lines = self._files.get(f"{key.name}.yml", "").splitlines()
            return [words(each) for each in lines if each.lstrip().startswith("#")]
        if key.kind in {"var", "project"}:
            name = key.name.rpartition(".")[2].lstrip("+")
            said = comments_of(self._files.get(PROJECT_FILE, ""), name)
            return [words(each) for each in said]
        if key.kind == "snapshot":
            return [self._yaml_of("snapshots", key.name)]
        if key.kind == "source":
            _, source, table = key.name.split("__", 2)
            return [
                words(each.get("description"))
                for document in self._documents
                for entry in _dicts(document.get("sources"))
                if entry.get("name") == source
                for each in (entry, *_dicts(entry.get("tables")))
                if each is entry or each.get("name") == table
            ]
        return []

    def of_macro_in_yaml(self, name: str) -> list[Words]:
        """Return a macro's description in YAML, as a list of one."""
        return [self._yaml_of("macros", name)]

    def _yaml_of(self, root: str, name: str) -> Words:
        for document in self._documents:
            for entry in _dicts(document.get(root)):
                if entry.get("name") == name:
                    return words(entry.get("description"))
        return ()

    @cached_property
    def _entries(self) -> dict[str, YamlEntry]:
        return read_entries(self._files)

    @cached_property
    def _documents(self) -> list[dict[str, Any]]:
        return [read_yaml(text) for path, text in self._files.items() if path.endswith(".yml")]

    @cached_property
    def _notes(self) -> dict[str, tuple[tuple[Words, str, Words], ...]]:
        return {
            PurePosixPath(path).stem: _sections(text)
            for path, text in self._files.items()
            if path.endswith(".md") and path.startswith(("models/", "seeds/"))
        }

    @cached_property
    def _macro_comments(self) -> dict[str, list[Words]]:
        found: dict[str, list[Words]] = {}
        for path, text in self._files.items():
            if path.startswith("macros/") and path.endswith(".sql"):
                for name, said in _macro_comments(text):
                    found.setdefault(name, []).append(said)
        return found


def words(text: object) -> Words:
    """Return a text's words in lower case, without whitespace and punctuation."""
    return _words(str(text or ""))


@lru_cache(maxsize=8192)
def _words(text: str) -> Words:
    return tuple(re.findall(r"\w+", text.casefold()))


def is_touched(before: list[Words], after: list[Words]) -> bool:
    """Return True if ``after`` has a text that is not empty and not in ``before``."""
    return any(each and each not in before for each in after)


def is_explained(before: Lines, after: Lines) -> bool:
    """Return True if a seed has new lines and each of them has a new note.

    A removed line has no place for a note, so there must be at least as many new lines as removed ones.
    """
    old, new = without_notes(before), without_notes(after)
    said = {_noted(line) for line in before}
    fresh = [line for line in after if _data(line) not in old]
    gone = [line for line in old if line not in new]
    noted = [_noted(line) for line in fresh]
    return (
        bool(fresh) and len(gone) <= len(fresh) and all(each and each not in said for each in noted)
    )


def _noted(line: tuple[tuple[str, str], ...]) -> Words:
    return words(" ".join(cell for name, cell in line if name.lower() in NOTES))


def _data(line: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return without_notes((line,))[0]


@lru_cache(maxsize=1024)
def _sections(text: str) -> tuple[tuple[Words, str, Words], ...]:
    """Return the sections of a Markdown file: the words of the heading, the body, and the words of both."""
    parts = ["", *_HEADING.split(text)]
    return tuple(
        (words(heading), body, (*words(heading), "", *words(body)))
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
    )


@lru_cache(maxsize=1024)
def _macro_comments(text: str) -> tuple[tuple[str, Words], ...]:
    """Return pairs of macro name and comment: for each macro, the comment above it, and each comment within it.

    A comment above several macros belongs to all of them, up to the next comment.
    """
    found: list[tuple[str, Words]] = []
    said: Words = ()
    spans = [(each.start(), each.end(), each[1]) for each in _COMMENT.finditer(text)]
    for macro in MACRO.finditer(text):
        above = [span for span in spans if span[1] <= macro.start()]
        if above:
            said = words(above[-1][2])
        within = [s[2] for s in spans if macro.start() <= s[0] < macro.end()]
        found.append((macro[2], said))
        found += [(macro[2], words(each)) for each in within]
    return tuple(found)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
