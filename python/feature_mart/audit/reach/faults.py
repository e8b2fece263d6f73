"""Find accesses of a build to something other than its models' inputs, in dbt's manifest after compiling.

Point-in-time correctness can only be checked for values that a model's own SELECT, or Python function, computes from
what `ref` and `source` return. Everything else that could put a value into a table is refused: hooks that change data,
macros that override dbt's own, files, the engine's catalog, the wall clock, random numbers, the machine, and tables
that the model does not declare as inputs. The modules `jinja`, `python` and `sql` each check one form of code. `inputs`
requires a date or a reason for seeds and dbt vars. This module reads the manifest and calls the others.

The check finds mistakes, not deliberate attempts to hide a leak from a parser. `audit.modes` and `audit.truncation`
check the values themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_mart.audit.reach.inputs import input_faults
from feature_mart.audit.reach.jinja import hook_faults, jinja_faults
from feature_mart.audit.reach.python import python_faults
from feature_mart.audit.reach.sql import sql_faults
from feature_mart.core.manifest import SERVED, read_nodes

#: Macros of dbt that a project may override, because they compute no value of a model: they name relations, write the
#: result of a Python model, or set the time of a dbt snapshot.
_REPLACED = frozenset(
    {
        *("generate_schema_name", "generate_alias_name", "generate_database_name"),
        *("bigframes_write_table", "snapshot_get_time"),
    }
)
#: The reviewed macros that translate the type names in YAML into types of the engine, and the overrides of dbt's own
#: macros that call them. Each name is mapped to the SHA-256 of the text that was reviewed.
_REVIEWED = {
    "duckdb__get_empty_schema_sql": "a11eddb44e89ce4fd5ad4206b86282b4302180eb5bf84f758fd39babf61508be",
    "duckdb__get_table_columns_and_constraints": "337499da3fbc6089ca304f1a53a5322926e89635531a9e1ae3b91b3b749465cd",
    "duckdb__create_csv_table": "0e527cc109752ca7eba0c36e9be987b595ddf57c201badbb08be809b4e469ff5",
    "typed_columns": "3b34fd5322c2de44ee8c4015da553977a694570eaa139c3371fce9a538953fba",
    "column_type": "78f55d1f2115cb3d3ca3f20efd2602de4904680e5092cf5dcf17338b1dfe24b6",
    "default__column_type": "ddf2453874b1fa7f5e14152fc53c41c8a87bab8e1537de981efef07ce2045751",
    "duckdb__column_type": "c8198e5d86250352d4aec8c434e23ff41b2b1753cf18a3aeff6ed4b20bb90633",
}
#: Names that dbt's context defines without a macro.
_BUILTINS = frozenset(
    {"ref", "source", "config", "var", "env_var", "this", "return", "is_incremental"}
)
_ENGINES = ("duckdb__", "bigquery__", "default__")
#: Prefix of models about the build itself, which may have no reader and no exposure.
_MEASURES = "int_mart__"


@dataclass(frozen=True, slots=True)
class Fault:
    """One access to something other than a model's inputs: the file, the node or macro, and a message with a remedy."""

    path: str
    name: str
    what: str

    def __str__(self) -> str:
        """Return the fault as one line of the report."""
        return f"{self.path}: {self.name} {self.what}"


def find_faults(document: Mapping[str, Any], project: Path) -> tuple[Fault, ...]:
    """Return every access to something other than a model's inputs, and every input without a date or a reason.

    Leaf models without an exposure, and exposed models that the audits do not compare, are faults too. ``document`` is
    the compiled manifest.json of the project in the folder ``project``. SQL is parsed in DuckDB's dialect. If a model
    was not compiled, only its Jinja is checked.
    """
    found = [
        *_replaced_macros(document),
        *_macro_faults(document),
        *_model_faults(document),
        *_leaf_faults(document),
        *(Fault(*each) for each in input_faults(document, project)),
    ]
    return tuple(dict.fromkeys(found))


def _replaced_macros(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield custom materializations, and overrides of dbt's own macros that are neither harmless nor reviewed.

    With such a macro, a table may differ from its model's SELECT.
    """
    project = _project(document)
    theirs = _BUILTINS | {
        _base(macro["name"])
        for macro in document["macros"].values()
        if macro["package_name"] != project
    }
    for macro in _own_macros(document):
        base = _base(macro["name"])
        if macro["name"] in _REVIEWED:
            if _digest(macro["macro_sql"]) == _REVIEWED[macro["name"]]:
                continue
            what = (
                "sets the types of contracts and differs from the reviewed text: review it, then update its digest in "
                "_REVIEWED"
            )
        elif macro["name"].startswith("materialization_"):
            what = (
                "is a custom materialization, which may write other rows than the model's SELECT returns; remove the "
                "materialization"
            )
        elif base in theirs and base not in _REPLACED:
            what = f"overrides dbt's {base}, which every model uses; rename the macro"
        else:
            continue
        yield Fault(macro["original_file_path"], macro["name"], what)


def _digest(sql: str) -> str:
    """Return the SHA-256 of a macro's text with normalized whitespace."""
    return hashlib.sha256(" ".join(sql.split()).encode()).hexdigest()


def _macro_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the forbidden accesses in macros that models and tests call. Macros of hooks are checked with the hooks."""
    called = _called_macros(document)
    for macro in _own_macros(document):
        if _base(macro["name"]) not in called:
            continue
        for what in jinja_faults(_base(macro["name"]), macro["macro_sql"]):
            yield Fault(macro["original_file_path"], macro["name"], what)


def _called_macros(document: Mapping[str, Any]) -> set[str]:
    """Return the names, without engine prefix, of macros that nodes other than hooks call, even indirectly."""
    macros = document["macros"]
    waiting = {
        each
        for node in document["nodes"].values()
        if node["resource_type"] != "operation"
        for each in node["depends_on"].get("macros", ())
    }
    called: set[str] = set()
    while waiting:
        bases = {_base(each.rpartition(".")[2]) for each in waiting} - called
        called |= bases
        # Include the implementations of a dispatched macro for all engines.
        waiting = {
            each
            for macro in macros.values()
            if _base(macro["name"]) in bases
            for each in (macro.get("depends_on") or {}).get("macros", ())
        }
    # dbt itself calls this macro for every query.
    return called | {"job_labels"}


def _model_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    macros = {_base(macro["name"]): macro["macro_sql"] for macro in _own_macros(document)}
    relations = {
        key: node["relation_name"]
        for key, node in (document["nodes"] | document["sources"]).items()
        if node.get("relation_name")
    }
    for key, node in document["nodes"].items():
        path, name = node["original_file_path"], node["name"]
        if node["resource_type"] == "operation":
            for what in hook_faults(node["raw_code"], macros):
                yield Fault(path, name, f"runs at the start or end of every build and {what}")
        config = node.get("config") or {}
        if config.get("sql_header"):
            yield Fault(
                path,
                name,
                "has an sql_header, which runs in addition to the SELECT; remove the header",
            )
        for when in ("pre-hook", "post-hook"):
            for hook in config.get(when) or ():
                for what in hook_faults(str(hook["sql"]), macros):
                    yield Fault(path, name, f"has a {when} that {what}")
        if node["resource_type"] not in {"model", "snapshot"}:
            continue
        if node.get("language") == "python":
            for what in python_faults(node["raw_code"]):
                yield Fault(path, name, what)
            continue
        for what in jinja_faults(name, node["raw_code"]):
            yield Fault(path, name, what)
        if node.get("compiled_code"):
            reads = (*read_nodes(document, node), key)
            allowed = [relations[each] for each in reads if each in relations]
            for what in sql_faults(node["compiled_code"], allowed):
                yield Fault(path, name, what)


def _leaf_faults(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield leaf models without an exposure, and exposed models whose names the audits do not compare."""
    models = {
        key: node for key, node in document["nodes"].items() if node["resource_type"] == "model"
    }
    read = {parent for node in models.values() for parent in node["depends_on"].get("nodes", ())}
    exposed: set[str] = set()
    for exposure in document["exposures"].values():
        for parent in exposure["depends_on"].get("nodes", ()):
            exposed.add(parent)
            node = models.get(parent)
            if node is not None and not node["name"].startswith(SERVED):
                what = (
                    f"is used by the exposure {exposure['name']}, but audits do not compare models of this name; "
                    "rename the model to mart_<consumer>__<what>"
                )
                yield Fault(node["original_file_path"], node["name"], what)
    for key, node in models.items():
        if key not in read | exposed and not node["name"].startswith(_MEASURES):
            what = "is used by no model and no exposure: add an exposure to models/exposures.yml, or remove the model"
            yield Fault(node["original_file_path"], node["name"], what)


def _project(document: Mapping[str, Any]) -> str:
    return str(document["metadata"]["project_name"])


def _own_macros(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    project = _project(document)
    return [each for each in document["macros"].values() if each["package_name"] == project]


def _base(name: str) -> str:
    """Return a macro's name without its engine prefix."""
    for engine in _ENGINES:
        name = name.removeprefix(engine)
    return name
