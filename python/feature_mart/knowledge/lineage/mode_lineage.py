"""Compute the lineage of a project's columns from the models as dbt renders them in one mode."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import jinja2
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from feature_mart.knowledge.lineage.jinja import (
    Rendered,
    Renderer,
    RenderMode,
)
from feature_mart.knowledge.lineage.parts import (
    PartKey,
    ProjectPart,
    counts,
    without_notes,
)
from feature_mart.knowledge.lineage.python_model import (
    python_config,
    python_reads,
    summarise_python,
)
from feature_mart.knowledge.lineage.sql import reads, summarise
from feature_mart.knowledge.lineage.sql_shapes import CONFIGURATION, Facts, Summary
from feature_mart.knowledge.lineage.terms import Digests, Term, text_digest

if TYPE_CHECKING:
    from feature_mart.knowledge.lineage.project import Project

_HOOKS = ("pre_hook", "post_hook")
#: A cache of rendered models by renderer and code; None for code that cannot be rendered. All projects share the
#: caches, because a change leaves most models unchanged.
_rendered: dict[tuple[Renderer, str], Rendered | None] = {}
#: A cache of digests by mode, then by the model's state and the column's name. The name None is for the model's rows.
_digests: dict[RenderMode, dict[tuple[str, str | None], str]] = {}


class ModeLineage:
    """The lineage of a project rendered in one `RenderMode`."""

    def __init__(
        self, project: Project, renderer: Renderer, mode: RenderMode, rest: ModeLineage | None
    ) -> None:
        self._project = project
        self._renderer = renderer
        self._mode = mode
        self._rest = rest
        self._summaries: dict[str, Summary | None] = {}
        self._rendered: dict[str, Rendered | None] = {}
        self._besides: dict[str, tuple[str, str, frozenset[str] | None]] = {}
        self._digests = Digests(self._leaf)
        self._states: dict[str, str] = {}
        self._read: dict[str, tuple[str, ...]] = {}
        # With `rest`, do not use the shared cache, because the cache key (a model's state) does not cover `rest`.
        self._known = {} if rest else _digests.setdefault(mode, {})

    def column(self, model: str, name: str) -> str:
        """Return the digest of everything that decides a column's values."""
        key = self._state(model), name
        if key not in self._known:
            self._known[key] = self._column(model, name)
        return self._known[key]

    def _column(self, model: str, name: str) -> str:
        part = self._seed(model)
        if part is not None:
            return self._seed_digest(model, part, name)
        summary = self.summary(model)
        if summary is None or (name not in summary.columns and summary.is_read):
            if self._rest is not None:
                return self._rest.column(model, name)
            return text_digest(f"{name} of {self._foreign(model)}")
        term = summary.columns.get(name)
        own = self._digests.of(term if term is not None else summary.rows)
        besides, hooks, only = self._beside(model)
        if only is not None and name not in only:
            hooks = ""
        entry = self._project.entry(model)
        if entry.same_keys is not None and name != entry.same_keys[1]:
            own += self.rows(model)
        typed = str(entry.columns.get(name, {}).get("data_type", ""))
        # A column passed on unchanged keeps the digest of the column that it comes from.
        return (
            text_digest(" ".join((own, besides, hooks, typed)))
            if besides or hooks or typed
            else own
        )

    def rows(self, model: str) -> str:
        """Return the digest of everything that decides which rows a model has."""
        key = self._state(model), None
        if key not in self._known:
            self._known[key] = self._rows_of(model)
        return self._known[key]

    def _rows_of(self, model: str) -> str:
        part = self._seed(model)
        if part is not None:
            return self._seed_digest(model, part, "")
        summary = self.summary(model)
        if summary is None:
            return self._rest.rows(model) if self._rest else text_digest(self._foreign(model))
        return self._digests.of(summary.rows)

    def _state(self, model: str) -> str:
        """Return a cache key of a model, which changes if the model's code, settings or upstream models change."""
        if model not in self._states:
            # Set a placeholder, which ends the recursion of a model that reads itself.
            self._states[model] = model
            seed, summary = self._seed(model), self.summary(model)
            if seed is not None:
                state = [self._seed_digest(model, seed, name) for name in ("", *seed.content[0])]
            elif summary is None:
                state = [self._foreign(model)]
            else:
                entry = self._project.entry(model)
                types = {name: each.get("data_type") for name, each in entry.columns.items()}
                own = (summary.number, self._beside(model), entry.same_keys, types)
                state = [repr(own), self._project.foreign, *map(self._state, self._read[model])]
            self._states[model] = text_digest(" ".join((model, *state)))
        return self._states[model]

    def facts(self, model: str) -> Facts:
        """Return the facts about a model or seed that are needed to analyse the models that read it."""
        seed = self._seed(model)
        if seed is not None:
            columns, lines = seed.content
            return Facts(columns, lines=without_notes(lines))
        summary = self.summary(model)
        entry = self._project.entry(model)
        if summary is None:
            return self._rest.facts(model) if self._rest else Facts(None)
        if not summary.columns:
            return Facts(None)
        return Facts(tuple(summary.columns), summary.unique | entry.unique)

    def summary(self, model: str) -> Summary | None:
        """Return the lineage of a model's columns and rows, or None if there is no such model."""
        if model not in self._summaries:
            # Set a placeholder, which ends the recursion of a model that reads itself.
            self._summaries[model] = None
            part = self._project.parts.get(PartKey("model", model))
            if part is not None:
                self._summaries[model] = self._summarise(model, *part.content)
        return self._summaries[model]

    def _summarise(self, model: str, code: str, is_python: bool) -> Summary:
        entry = self._project.entry(model)
        names = tuple(entry.columns)
        if is_python:
            self._read[model] = python_reads(code)
            if entry.same_keys is not None:
                self._read[model] += entry.same_keys[:1]
            facts = tuple((each, Facts(self.facts(each).columns)) for each in python_reads(code))
            return summarise_python(code, facts, names, entry.same_keys)
        rendered = self.render(model, code)
        sql = rendered.sql if rendered else code
        self._read[model] = reads(sql)
        if entry.same_keys is not None:
            self._read[model] += entry.same_keys[:1]
        facts = tuple((each, self.facts(each)) for each in reads(sql))
        return summarise(sql, facts, names)

    def render(self, model: str, code: str) -> Rendered | None:
        if model not in self._rendered:
            key = (self._renderer, code)
            if key not in _rendered:
                try:
                    _rendered[key] = self._renderer.render(code)
                except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError):
                    _rendered[key] = None
            self._rendered[model] = _rendered[key]
        return self._rendered[model]

    def _beside(self, model: str) -> tuple[str, str, frozenset[str] | None]:
        """Return two digests of what affects a model besides the code, and the columns that the model's hooks set.

        The first digest is of settings, untaken branches and calls made while rendering, the second of hooks. A digest
        is empty if there is nothing to hash. The columns are None if the hooks may change any column.
        """
        if model not in self._besides:
            part = self._project.parts.get(PartKey("model", model))
            found = self._found_beside(model, part) if part else ("", "", None)
            self._besides[model] = found
        return self._besides[model]

    def _found_beside(
        self, model: str, part: ProjectPart
    ) -> tuple[str, str, frozenset[str] | None]:
        code, is_python = part.content
        rendered = None if is_python else self.render(model, code)
        given = rendered.config if rendered else python_config(code) if is_python else {}
        settings = {name: value for name, value in given.items() if counts(name, value)}
        own = self._project.parts.get(PartKey("config", model))
        if own is not None:
            settings |= {k: v for k, v in own.content.items() if not k.startswith("type of ")}
        for key, each in self._project.settings.items():
            if key.name.startswith("models."):
                folder, _, name = key.name.rpartition(".+")
                if _holds(folder.split(".")[1:], part.path):
                    settings.setdefault(name, each.content)
        hooks = [self._hook(each) for name in _HOOKS for each in _listed(settings.pop(name, ()))]
        untaken = [] if is_python else self._project.untaken(model, code)
        done = rendered.done if rendered else ()
        besides = text_digest(repr((sorted(settings.items(), key=str), untaken, done)))
        read = [
            self.column(other, name)
            for text in hooks
            for other in reads(text)
            for name in self.facts(other).columns or ()
        ]
        return (
            besides if settings or untaken or done else "",
            text_digest(" ".join((*hooks, *read))) if hooks else "",
            _updated(hooks),
        )

    def _hook(self, hook: Any) -> str:
        text = str(hook.get("sql", hook)) if isinstance(hook, dict) else str(hook)
        with suppress(jinja2.TemplateError):
            text = self._renderer.render(text).sql
        return " ".join(text.split())

    def _leaf(self, term: Term) -> str:
        if term.kind == "rows":
            # The test `same_keys_as` guarantees that both models have the same keys, so use the other model's rows.
            same_keys = self._project.entry(term.model).same_keys
            return self.rows(same_keys[0] if same_keys else term.model)
        if term.kind == "col":
            return self.column(term.model, term.label)
        columns = self.facts(term.model).columns or ()
        each = (self.column(term.model, name) for name in columns)
        return text_digest(" ".join((self.rows(term.model), *each)))

    def _seed(self, model: str) -> ProjectPart | None:
        return self._project.parts.get(PartKey("seed", model))

    def _seed_digest(self, seed: str, part: ProjectPart, name: str) -> str:
        """Return the digest of a seed's column, from whole lines, because a cell has a meaning only within its line.

        An empty name gives the digest of the seed's rows, and `CONFIGURATION` the digest of the seed's settings.
        """
        configured = [
            each.content
            for key, each in sorted(self._project.settings.items(), key=str)
            if (key.name.startswith("seeds.") and f".{seed}." in key.name)
            or key == PartKey("seed config", seed)
        ]
        if name == CONFIGURATION:
            return text_digest(repr(configured))
        lines = part.content[1]
        is_data = name in {column for column, _ in (without_notes(lines) or ((),))[0]} or not name
        return text_digest(repr((name, configured, without_notes(lines) if is_data else lines)))

    def _foreign(self, model: str) -> str:
        """Return a text that identifies a source or snapshot: the name, and the content of the YAML if there is any."""
        for kind in ("source", "snapshot"):
            part = self._project.parts.get(PartKey(kind, model))
            if part is not None:
                return f"{model} {part.content!r}"
        return model


def _holds(folder: list[str], path: str) -> bool:
    """Return True if the settings of a folder apply to a model's file.

    ``folder`` has the parts of the setting's path: the name of the project, then subfolders of models/. The last part
    may be a model's name. ``path`` is the path of the model's file.
    """
    places = path.removeprefix("models/").rsplit(".", 1)[0].split("/")
    inner = folder[1:]
    return places[: len(inner)] == inner or (bool(inner) and inner[-1] == places[-1])


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _updated(hooks: list[str]) -> frozenset[str] | None:
    """Return the columns that the hooks set, or None if a hook is not an UPDATE of the model's own table."""
    found: set[str] = set()
    for hook in hooks:
        try:
            tree = sqlglot.parse_one(hook, read="duckdb")
        except SqlglotError:
            return None
        if not isinstance(tree, exp.Update) or "this__table" not in tree.this.sql():
            return None
        for each in tree.expressions:
            if not isinstance(each, exp.EQ) or not isinstance(each.left, exp.Column):
                return None
            found.add(each.left.name)
    return frozenset(found)
