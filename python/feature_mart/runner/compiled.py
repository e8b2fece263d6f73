"""Compile the project once with dbt, and build it many times without dbt.

dbt takes seconds before it builds its first row, and audits need dozens of builds, each over another raw warehouse or
as of another refresh. A build in this module runs the compiled SELECTs and the functions of the Python models, each
after the models that it reads, as in a full build by dbt. A build runs no checks and computes no seals or profiles.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb

from feature_mart.core.duckdb_files import attach, connect
from feature_mart.core.errors import TerminalError
from feature_mart.core.manifest import SERVED, Manifest, is_ephemeral, parse_manifest, read_nodes
from feature_mart.core.settings import Settings
from feature_mart.runner.dbt import invoke_dbt
from feature_mart.runner.failures import describe_failures
from feature_mart.runner.sealed_off import sealed_off
from feature_mart.runner.seeds import Seed, copy_seeds, read_seeds

#: Models that no feature reads. Seals and profiles compare a mart with earlier builds, which do not exist here.
_NOT_BUILT = frozenset(
    {
        *("int_mart__exclusions", "int_mart__profiles", "int_mart__unjudged"),
        *("int_mart__seals", "int_mart__sealed_rows"),
    }
)
_SEED = ("seed", "--full-refresh", "--no-write-json")
#: Compile only the models, because dbt takes three times as long to compile the checks.
_COMPILE = (
    *("compile", "--full-refresh", "--select", "resource_type:model"),
    *("--indirect-selection", "empty"),
)


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """A compiled model.

    `code` is the SELECT that dbt compiled, or the text of a Python model's file. `parents` are the names of the models
    that the model reads.
    """

    name: str
    code: str
    is_python: bool
    is_view: bool
    parents: frozenset[str]


@dataclass(frozen=True, slots=True)
class BuildConditions:
    """The wall clock and the random numbers of a build. No model may depend on them.

    `built_after` is the time from the refresh to the wall clock. `chance` is the result of `random()`, from which the
    result of the UUID functions is computed.
    """

    built_after: timedelta = timedelta(minutes=5)
    chance: float = 0.5


_USUAL = BuildConditions()


@dataclass(frozen=True, slots=True)
class CompiledProject:
    """The project's models, in an order in which they can be built, and the seeds.

    `seeds` is a DuckDB file with the seeds' tables, and `seed_list` states when the rows of each seed were known.
    `as_of` is the text of the refresh in the compiled SQL, to be replaced by another refresh. `document` is the path of
    dbt's manifest.json.
    """

    models: tuple[CompiledModel, ...]
    seeds: Path
    as_of: str
    manifest: Manifest
    document: Path
    seed_list: tuple[Seed, ...]

    def read_document(self) -> dict[str, Any]:
        """Return the content of dbt's manifest.json."""
        document: dict[str, Any] = json.loads(self.document.read_text(encoding="utf-8"))
        return document

    def downstream(self, names: Collection[str]) -> frozenset[str]:
        """Return ``names`` and the names of all models that read these models, directly or through others."""
        found = set(names)
        for model in self.models:
            if model.parents & found:
                found.add(model.name)
        return frozenset(found)

    def upstream(self, name: str) -> frozenset[str]:
        """Return ``name`` and the names of all models that this model reads, directly or through others."""
        found = {name}
        for model in reversed(self.models):
            if model.name in found:
                found |= model.parents
        return frozenset(found)

    def read_by(self, names: Collection[str]) -> frozenset[str]:
        """Return the names of the models that the models ``names`` read directly, without ``names``."""
        parents = (model.parents for model in self.models if model.name in names)
        return frozenset().union(*parents) - frozenset(names)


def compile_project(
    settings: Settings, as_of_at: datetime, folder: Path, *, step: str = "audit"
) -> CompiledProject:
    """Compile the project for a full build, and load the seeds into a DuckDB file in ``folder`` if there is none yet.

    Raises:
        UsageError: a seed's known_from cannot be read.
        TerminalError: dbt could not compile the project; the message has dbt's reason.
    """
    seeds = folder / "mart.duckdb"  # The compiled SQL has the file's name as the catalog.
    variables = {"as_of": as_of_at.isoformat(), "warehouse": settings.warehouse}
    commands = [_SEED, _COMPILE] if not seeds.exists() else [_COMPILE]
    for arguments in commands:
        result = invoke_dbt(settings, arguments, step=step, database=seeds, variables=variables)
        if not result.success:
            head = "The project could not be compiled; the mart is unchanged."
            raise TerminalError(describe_failures(settings, result, lambda _: (), head))
    path = result.target / "manifest.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    return CompiledProject(
        _in_order(document),
        seeds,
        as_of_at.isoformat(),
        parse_manifest(document),
        path,
        read_seeds(document, seeds, settings.clock.timezone),
    )


def _in_order(document: Mapping[str, Any]) -> tuple[CompiledModel, ...]:
    nodes = {
        key: node for key, node in document["nodes"].items() if node["resource_type"] == "model"
    }
    waiting = {
        node["name"]: CompiledModel(
            name=node["name"],
            code=node["raw_code"] if node.get("language") == "python" else node["compiled_code"],
            is_python=node.get("language") == "python",
            is_view=node["config"].get("materialized") == "view",
            parents=frozenset(
                nodes[parent]["name"]
                for parent in read_nodes(document, node)
                if parent in nodes and not is_ephemeral(nodes[parent])
            ),
        )
        for node in nodes.values()
        if node["name"] not in _NOT_BUILT and not is_ephemeral(node)
    }
    ordered: list[CompiledModel] = []
    while waiting:
        ready = sorted(name for name, model in waiting.items() if not model.parents & set(waiting))
        ordered += [waiting.pop(name) for name in ready]
    return tuple(ordered)


def build_compiled(
    project: CompiledProject,
    database: Path,
    raw: Mapping[str, str],
    as_of_at: datetime,
    *,
    conditions: BuildConditions = _USUAL,
    known_by: datetime | None = None,
    base: Path | None = None,
    only: Collection[str] = (),
    kept: Collection[str] = (),
    threads: int = 2,
) -> None:
    """Build every model into a new DuckDB file, without access to files, network or other databases.

    Args:
        raw: a SELECT for each raw table.
        conditions: the wall clock and the random numbers that the models get.
        known_by: the time by which a seed's row must have been known to be kept; None to keep all rows. Raw rows are
            not filtered by this time.
        base: an earlier build over the same raw rows and refresh. Only the models in ``only`` are built, over copies of
            the tables in ``base`` that they read. None to build over ``raw`` alone.
        only: the models to build; empty for all if ``base`` is None.
        kept: models to copy from ``base`` in addition.

    Raises:
        TerminalError: a model failed, or tried to access something other than its inputs; the message names the model.
    """
    database.unlink(missing_ok=True)
    con = connect(threads=threads)
    try:
        con.execute("set preserve_insertion_order = false")
        attach(con, database, "mart", read_only=False)
        con.execute("create schema mart.dwh; use mart.main")
        for table, select in raw.items():
            con.execute(f"create table dwh.{table} as {select}")
        copy_seeds(con, project.seeds, project.seed_list, known_by)
        if base is not None:
            attach(con, base, "base")
            for name in sorted(project.read_by(only) | set(kept) - set(only)):
                con.execute(f"create table main.{name} as from base.main.{name}")
            con.execute("detach base")
        _leave_alone(con, as_of_at, conditions)
        for model in project.models:
            if (base is not None or only) and model.name not in only:
                continue
            try:
                if model.is_python:
                    _run_python(con, model)
                else:
                    code = model.code.replace(project.as_of, as_of_at.isoformat())
                    # Create served views as tables: the SQL of a view names this catalog, and fails if the file is
                    # attached under another name.
                    is_view = model.is_view and not model.name.startswith(SERVED)
                    kind = "view" if is_view else "table"
                    con.execute(f"create {kind} main.{model.name} as {code}")
            except Exception as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise TerminalError(f"{model.name} could not be built: {reason}") from error
    finally:
        con.close()


def _leave_alone(
    con: duckdb.DuckDBPyConnection, as_of_at: datetime, conditions: BuildConditions
) -> None:
    """Disable external access, and define the clock and random functions of ``conditions``.

    The functions are macros in the schema. DuckDB prefers a macro to its own function of the same name.
    """
    wall = f"timestamptz '{(as_of_at + conditions.built_after).isoformat()}'"
    for name in ("now", "get_current_timestamp", "transaction_timestamp"):
        con.execute(f"create macro {name}() as {wall}")
    for name in ("today", "current_date"):
        con.execute(f"create macro {name}() as cast({wall} as date)")
    con.execute(f"create macro get_current_time() as cast(cast({wall} as timestamp) as time)")
    con.execute(f"create macro random() as {conditions.chance}")
    for name in ("uuid", "gen_random_uuid", "uuidv4", "uuidv7"):
        con.execute(f"create macro {name}() as md5('{conditions.chance}')::uuid")
    con.execute("set enable_external_access = false; set lock_configuration = true")


@dataclass(frozen=True, slots=True)
class FullBuild:
    """The `dbt` object that a Python model gets in a full build, over the tables of one connection."""

    con: duckdb.DuckDBPyConnection
    is_incremental: bool = False

    def config(self, **_: object) -> None:
        """Do nothing, because a build without dbt has no configuration."""

    def ref(self, name: str) -> duckdb.DuckDBPyRelation:
        """Return the table of the model or seed ``name``."""
        return self.con.table(f"main.{name}")


def load_python_model(name: str, source: str) -> ModuleType:
    """Execute the source of a Python model and return the module."""
    module = sys.modules[name] = ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def _run_python(con: duckdb.DuckDBPyConnection, model: CompiledModel) -> None:
    with sealed_off(model.name):
        rows = load_python_model(model.name, model.code).model(FullBuild(con), con)
    con.register("python_rows", rows)
    con.execute(f"create table main.{model.name} as select * from python_rows")
    con.unregister("python_rows")
