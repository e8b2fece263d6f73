"""Split a project into the parts on which its columns depend, such as models, macros, vars, seeds and settings."""

from __future__ import annotations

import csv
import importlib.util
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from feature_mart.knowledge.lineage.jinja import macro_digest, read_macros
from feature_mart.knowledge.rationale import meta_of, read_columns, read_yaml
from feature_mart.runner.seeds import NOTES

PROJECT_FILE = "dbt_project.yml"
PACKAGE_FILES = ("packages.yml", "dependencies.yml")
#: Project settings that affect every model.
_AROUND = (
    *("on-run-start", "on-run-end", "dispatch", "quoting", "flags", "query-comment"),
    *("model-paths", "macro-paths", "seed-paths", "snapshot-paths"),
)
#: Settings of a model that change how the model's table is stored, found or shown, but not the table's content.
_KEPT = frozenset(
    {
        *(
            "access",
            "alias",
            "cluster_by",
            "contract",
            "description",
            "docs",
            "fast",
            "grants",
            "group",
        ),
        *(
            "labels",
            "meta",
            "on_schema_change",
            "partition_by",
            "persist_docs",
            "submission_method",
            "tags",
        ),
        *("columns", "config", "data_tests", "name", "tests", "versions"),
    }
)
_MATERIALIZATIONS = frozenset({"view", "table", "incremental", "ephemeral", "materialized_view"})
_DBT_MACROS = ("dbt.include.global_project", "dbt.include.duckdb", "dbt.include.bigquery")

Lines = tuple[tuple[tuple[str, str], ...], ...]


@dataclass(frozen=True, slots=True)
class PartKey:
    """The key of a part of a project.

    `kind` is model, config, macro, var, seed, seed config, source, snapshot or project.
    """

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class ProjectPart:
    """A part of a project: the path of the part's file, and the content, which is compared to find changes."""

    path: str
    content: Any


@dataclass(frozen=True, slots=True)
class YamlEntry:
    """The YAML entry of a model or seed.

    `unique` has the sets of columns that are unique together according to a test. `same_keys` has the other model and
    the key column of a test `same_keys_as`; None if there is no such test.
    """

    path: str
    description: str = ""
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unique: frozenset[frozenset[str]] = frozenset()
    same_keys: tuple[str, str] | None = None


def read_parts(files: Mapping[str, str]) -> dict[PartKey, ProjectPart]:
    """Return the parts of a project; ``files`` has the text of the project's files by path."""
    found: dict[PartKey, ProjectPart] = {}
    for path, text in sorted(files.items()):
        for key, content in _parts_of(path, text):
            found[key] = ProjectPart(path, content)
    return found


@lru_cache(maxsize=4096)
def _parts_of(path: str, text: str) -> tuple[tuple[PartKey, Any], ...]:
    pure = PurePosixPath(path)
    if path == PROJECT_FILE:
        return tuple(_project(read_yaml(text)))
    if path in PACKAGE_FILES:
        return ((PartKey("project", pure.stem), read_yaml(text)),)
    if pure.suffix in {".yml", ".yaml"}:
        return tuple(_documented(read_yaml(text)))
    if pure.parts[0] == "models" and pure.suffix in {".sql", ".py"}:
        return ((PartKey("model", pure.stem), (text, pure.suffix == ".py")),)
    if pure.parts[0] == "macros" and pure.suffix == ".sql":
        return tuple((PartKey("macro", name), source) for name, source in read_macros(text).items())
    if pure.parts[0] == "seeds" and pure.suffix == ".csv":
        return ((PartKey("seed", pure.stem), read_seed(text)),)
    return ()


@lru_cache(maxsize=64)
def read_seed(text: str) -> tuple[tuple[str, ...], Lines]:
    """Return a seed's columns, and its lines in sorted order, each as pairs of column and cell."""
    rows = list(csv.reader(io.StringIO(text)))
    header = tuple(rows[0]) if rows else ()
    lines = sorted(tuple(zip(header, row, strict=False)) for row in rows[1:] if row)
    return header, tuple(lines)


def without_notes(lines: Lines) -> Lines:
    """Return a seed's lines without the columns for notes, sorted."""
    return tuple(
        sorted(tuple(pair for pair in line if pair[0].lower() not in NOTES) for line in lines)
    )


def _project(document: Mapping[str, Any]) -> Iterator[tuple[PartKey, Any]]:
    variables = document.get("vars")
    for name, value in (variables if isinstance(variables, dict) else {}).items():
        if isinstance(value, dict):
            for inner, each in value.items():
                yield PartKey("var", str(inner)), each
        yield PartKey("var", str(name)), value
    for name in _AROUND:
        if document.get(name):
            yield PartKey("project", name), document[name]
    for root in ("models", "seeds", "snapshots"):
        yield from _settings(document.get(root), (root,))


def _settings(node: object, path: tuple[str, ...]) -> Iterator[tuple[PartKey, Any]]:
    """Yield the settings of folders, such as ``models.feature_mart.features.+post-hook``."""
    for name, value in (node if isinstance(node, dict) else {}).items():
        bare = str(name).lstrip("+").replace("-", "_")
        if isinstance(value, dict) and not str(name).startswith("+"):
            yield from _settings(value, (*path, str(name)))
        elif counts(bare, value):
            yield PartKey("project", ".".join((*path, f"+{bare}"))), value


def counts(name: str, value: object) -> bool:
    """Return True if a setting may change the content of a table."""
    if name == "materialized":
        return "{" not in str(value) and value not in _MATERIALIZATIONS
    return name not in _KEPT


def _documented(document: Mapping[str, Any]) -> Iterator[tuple[PartKey, Any]]:
    for kind, root in (("config", "models"), ("snapshot", "snapshots"), ("seed config", "seeds")):
        for entry in _dicts(document.get(root)):
            config = entry.get("config")
            settings = {**(config if isinstance(config, dict) else {})}
            if kind == "snapshot":
                settings |= {"relation": entry.get("relation")}
            settings = {
                str(name).replace("-", "_"): value
                for name, value in settings.items()
                if counts(str(name).replace("-", "_"), value)
            }
            settings |= {
                f"type of {each.get('name')}": each["data_type"]
                for each in _dicts(entry.get("columns"))
                if "data_type" in each
            }
            if settings:
                yield PartKey(kind, str(entry.get("name"))), settings
    for source in _dicts(document.get("sources")):
        own = {k: v for k, v in source.items() if k not in {"tables", "description", "data_tests"}}
        for table in _dicts(source.get("tables")):
            idle = {"description", "columns", "data_tests", "tests", "freshness"}
            entry = {k: v for k, v in table.items() if k not in idle}
            name = f"source__{source.get('name')}__{table.get('name')}"
            yield PartKey("source", name), (own, entry)


def read_entries(files: Mapping[str, str]) -> dict[str, YamlEntry]:
    """Return the entries of models and seeds in YAML, by name."""
    found: dict[str, YamlEntry] = {}
    for path, text in sorted(files.items()):
        if path.endswith((".yml", ".yaml")) and path.split("/")[0] in {"models", "seeds"}:
            found |= _entries_of(path, text)
    columns = read_columns(files)
    return {name: replace(entry, columns=columns[name][1]) for name, entry in found.items()}


@lru_cache(maxsize=4096)
def _entries_of(path: str, text: str) -> dict[str, YamlEntry]:
    document, found = read_yaml(text), {}
    for entry in (*_dicts(document.get("models")), *_dicts(document.get("seeds"))):
        columns = {str(each.get("name")): each for each in _dicts(entry.get("columns"))}
        unique = {
            frozenset({name})
            for name, each in columns.items()
            if any(
                test == "unique" or (isinstance(test, dict) and "unique" in test)
                for test in _tests(each)
            )
        }
        same_keys = None
        for test in _tests(entry):
            if not isinstance(test, dict):
                continue
            if "unique" in test:
                unique.add(frozenset({str(_arguments(test["unique"]).get("column_name"))}))
            if "unique_together" in test:
                unique.add(
                    frozenset(map(str, _arguments(test["unique_together"]).get("columns") or ()))
                )
            if "same_keys_as" in test:
                given = _arguments(test["same_keys_as"])
                target = re.search(r"ref\(\s*['\"](\w+)", str(given.get("to")))
                same_keys = (target[1], str(given.get("key"))) if target else None
        found[str(entry.get("name"))] = YamlEntry(
            path, str(entry.get("description") or ""), columns, frozenset(unique), same_keys
        )
    return found


def is_judged(model: str, column: Mapping[str, Any]) -> bool:
    """Return True if a change of a column needs a reason: if the column is a feature or belongs to a mart."""
    if model.startswith("mart_"):
        return True
    return model.startswith("feat_") and meta_of(column).get("role") is None


@lru_cache(maxsize=1)
def dbt_macros() -> frozenset[str]:
    """Return the names of dbt's own macros, without prefixes such as ``default__``.

    A macro of the project with one of these names overrides dbt's.
    """
    names: set[str] = set()
    for package in _DBT_MACROS:
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in Path(folder).rglob("*.sql"):
                found = re.findall(r"\bmacro\s+(\w+)", path.read_text(encoding="utf-8"))
                names |= {each.rpartition("__")[2] for each in found}
    return frozenset(names)


def is_override(name: str) -> bool:
    """Return True if a macro of this name overrides one of dbt's own, or is a materialization."""
    return name.startswith("materialization ") or name.rpartition("__")[2] in dbt_macros()


def is_around(key: PartKey) -> bool:
    """Return True if a part affects every model: an override of one of dbt's macros, or a setting of the whole run."""
    return (key.kind == "macro" and is_override(key.name)) or (
        key.kind == "project" and "." not in key.name
    )


def is_alike(kind: str, one: ProjectPart, other: ProjectPart) -> bool:
    """Return True if two parts of a kind are equal, where macros may differ in comments, layout and local names.

    Parts that are not alike may still have the same effect.
    """
    if one.content == other.content:
        return True
    return kind == "macro" and macro_digest(one.content) == macro_digest(other.content)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _tests(entry: Mapping[str, Any]) -> list[Any]:
    found = entry.get("data_tests", entry.get("tests"))
    return found if isinstance(found, list) else []


def _arguments(test: object) -> dict[str, Any]:
    given = test if isinstance(test, dict) else {}
    inner = given.get("arguments")
    return inner if isinstance(inner, dict) else given
