"""Read the reasons in the YAML and Markdown files beside a model's SQL, and find missing reasons."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from feature_mart.core.manifest import complete_columns

#: The files and folders that features depend on: models, macros, seeds and dbt's settings.
FOLDERS = ("models", "macros", "seeds", "dbt_project.yml", "packages.yml", "dependencies.yml")
HEADINGS = (
    "Why these features",
    "Why these transforms",
    "Rejected",
    "Known traps",
    "Evidence",
)
SERVE = frozenset({"lookup", "request_sql", "request_python", "offline_only"})
ROLES = frozenset({"key", "label", "audit"})
#: The meta keys that a feature must have in the model that computes it.
KEYS = ("owner", "serve", "unit", "null_means", "why", "transform", "added")
#: The meta keys that a feature must have in models that only select it.
HANDED_ON = ("serve", "unit", "null_means")
#: The meta key of a column that is not compared with tests/oracle, and the only valid value (see `verification`).
VERIFIED_BY, UNIT_TESTS = "verified_by", "unit tests"
_SHORTEST_WHY = 20
_DOCS = re.compile(r"\{%-?\s*docs\s+(\w+)\s*-?%\}(.*?)\{%-?\s*enddocs\s*-?%\}", re.DOTALL)
_DOC = re.compile(r"\{\{\s*doc\(\s*['\"](\w+)['\"]\s*\)\s*\}\}")
_EMPTY_WORDS = re.compile(
    r"^(improves|helps|better for|useful for|good for) (the )?(model|score|accuracy|prediction)s?\.?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Missing:
    """A finding about something that is missing: the path of the file, the column, and a sentence about the fault.

    `column` is None if the finding is about the whole file. `features` has the altered columns without a new reason,
    and is empty if the finding is not about a change.
    """

    path: str
    column: str | None
    what: str
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The texts of a feature or mart model's files.

    `code` is the model's SQL or Python, and `notes` its Markdown, None if there is no such file. `columns` has the
    column entries of the model's YAML by name, in file order, with the columns that the model passes on.
    """

    name: str
    code_path: str
    yaml_path: str
    notes_path: str
    code: str
    notes: str | None
    columns: Mapping[str, Mapping[str, Any]]

    @property
    def is_mart(self) -> bool:
        """Return True for a mart model, which only selects columns of other models."""
        return self.name.startswith("mart_")


def read_project(project: Path) -> dict[str, str]:
    """Return the text of the files that features depend on, from the working tree, by path relative to the project."""
    found = [path for each in FOLDERS for path in ((project / each), *(project / each).rglob("*"))]
    return {
        path.relative_to(project).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(found)
        if path.suffix in {".sql", ".py", ".yml", ".md", ".csv"} and path.is_file()
    }


def read_models(files: Mapping[str, str]) -> Iterator[ModelFiles]:
    """Yield the feature and mart models among a project's files, given as text by path.

    A model whose YAML does not parse has no columns. The linters report invalid YAML.
    """
    described = read_columns(files)
    for path, code in sorted(files.items()):
        pure = PurePosixPath(path)
        is_code = pure.suffix in {".sql", ".py"} and pure.parts[0] == "models"
        if not is_code or not pure.stem.startswith(("feat_", "mart_")):
            continue
        yaml_path, columns = described.get(pure.stem, (str(pure.with_suffix(".yml")), {}))
        notes_path = str(pure.with_suffix(".md"))
        yield ModelFiles(
            pure.stem,
            path,
            yaml_path,
            notes_path,
            code,
            files.get(notes_path),
            columns,
        )


def read_columns(
    files: Mapping[str, str], *, is_raw: bool = False
) -> dict[str, tuple[str, dict[str, dict[str, Any]]]]:
    """Return the YAML path and the column entries of each model and seed, by name.

    The columns include those that a model passes on. A description such as ``{{ doc('as_of_at') }}`` is replaced by the
    text of the docs block, unless `is_raw`.
    """
    paths, models = {}, {}
    blocks = {} if is_raw else _docs_blocks(files)
    for path, text in sorted(files.items()):
        if not path.endswith((".yml", ".yaml")) or path.split("/")[0] not in {"models", "seeds"}:
            continue
        document = read_yaml(text)
        for entry in (*_dicts(document.get("models")), *_dicts(document.get("seeds"))):
            name = str(entry.get("name"))
            columns = {
                str(each.get("name")): _with_model(each, entry)
                for each in _dicts(entry.get("columns"))
            }
            paths[name] = path
            models[name] = {**entry, "columns": columns}
    return {
        name: (paths[name], {key: _with_text(each, blocks) for key, each in columns.items()})
        for name, columns in complete_columns(models).items()
    }


def meta_of(column: Mapping[str, Any]) -> dict[str, Any]:
    """Return a column's ``config.meta``; empty if the column has none."""
    config = column.get("config")
    meta = config.get("meta") if isinstance(config, dict) else None
    return meta if isinstance(meta, dict) else {}


def check_models(models: Sequence[ModelFiles]) -> Iterator[Missing]:
    """Yield a finding for everything that is missing in the YAML and Markdown of models.

    A column that several models have needs a reason in only one of them, which must not be a mart.
    """
    explained = {
        name
        for model in models
        if not model.is_mart
        for name, column in model.columns.items()
        if meta_of(column).get("why")
    }
    for model in models:
        yield from _check_notes(model)
        if not model.columns:
            yield Missing(
                model.yaml_path,
                None,
                "the YAML lists no columns: describe every column of the model",
            )
        for name, column in model.columns.items():
            is_home = not model.is_mart and (name not in explained or "why" in meta_of(column))
            for what in _check_column(column, KEYS if is_home else HANDED_ON):
                yield Missing(model.yaml_path, name, what)


@lru_cache(maxsize=1024)
def read_yaml(text: str) -> dict[str, Any]:
    """Return a YAML document that is a mapping; empty if the text has another form or does not parse.

    The result is cached: callers must not change it. The linters report invalid YAML.
    """
    try:
        # The C loader is ten times as fast, but is not installed everywhere.
        document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        # PyYAML raises ValueError for a date like 2026-02-30.
        return {}
    return document if isinstance(document, dict) else {}


def entry_of(text: str, model: str) -> dict[str, Any]:
    """Return a model's entry in the text of a YAML file; empty if there is none."""
    entries = _dicts(read_yaml(text).get("models"))
    return next((each for each in entries if each.get("name") == model), {})


def _docs_blocks(files: Mapping[str, str]) -> dict[str, str]:
    return {
        name: " ".join(text.split())
        for path, notes in files.items()
        if path.endswith(".md")
        for name, text in _DOCS.findall(notes)
    }


def _with_text(column: dict[str, Any], blocks: Mapping[str, str]) -> dict[str, Any]:
    described = str(column.get("description") or "")
    text = _DOC.sub(lambda found: blocks.get(found[1], found[0]), described)
    return column if text == described else {**column, "description": text}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _with_model(column: dict[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a column entry with the model's `verified_by` added, if the model has one and the column is a feature."""
    meta, said = meta_of(column), meta_of(model).get(VERIFIED_BY)
    if said is None or "role" in meta:
        return column
    config = column.get("config") or {}
    return {**column, "config": {**config, "meta": {VERIFIED_BY: said, **meta}}}


def _check_column(column: Mapping[str, Any], wanted: Sequence[str]) -> Iterator[str]:
    description = str(column.get("description") or "").strip()
    if not description:
        yield "no description: write one short sentence, then the unit and what NULL means"
    meta = meta_of(column)
    for key, value in meta.items():
        if isinstance(value, dict):
            yield f"meta.{key} is nested: use a flat value, because the site shows only flat values"
    role = meta.get("role")
    if role is not None:
        if role not in ROLES:
            yield f"meta.role is {role!r}: use one of {', '.join(sorted(ROLES))}, or remove it"
        return
    for key in wanted:
        if not str(meta.get(key) or "").strip():
            yield f"no meta.{key}"
    serve = meta.get("serve")
    if serve and serve not in SERVE:
        yield f"meta.serve is {serve!r}: use one of {', '.join(sorted(SERVE))}"
    why = str(meta.get("why") or "").strip()
    if why and (len(why) < _SHORTEST_WHY or _EMPTY_WORDS.match(why)):
        yield f"meta.why gives no reason ({why!r}): write what in the real world makes the feature matter"
    added = meta.get("added")
    if added and not _is_date(added):
        yield f"meta.added is {added!r}: use a date like 2026-11-23"


def _check_notes(model: ModelFiles) -> Iterator[Missing]:
    if model.notes is None:
        headings = ", ".join(HEADINGS)
        yield Missing(
            model.notes_path,
            None,
            f"the file does not exist: write the file with the headings {headings}",
        )
        return
    sections = sections_of(model.notes)
    for heading in HEADINGS:
        if heading not in sections:
            yield Missing(model.notes_path, None, f"no heading '## {heading}'")
        elif not sections[heading].strip():
            yield Missing(model.notes_path, None, f"nothing under '## {heading}'")


def sections_of(notes: str) -> dict[str, str]:
    """Return the text below each second-level heading, by heading, without the Jinja tag that ends the docs block."""
    parts = re.split(r"^## +(.+?) *$", notes, flags=re.MULTILINE)
    bodies = (re.sub(r"\{%.*?%\}", "", body, flags=re.DOTALL) for body in parts[2::2])
    return dict(zip(parts[1::2], bodies, strict=True))


def _is_date(value: object) -> bool:
    if isinstance(value, date):
        return True
    try:
        date.fromisoformat(str(value))
    except ValueError:
        return False
    return True
