"""Run the mart's own SQL, compiled once by dbt, on tables that a test supplies.

A dbt build takes seconds; the compiled SELECTs of a full build run on an in-memory DuckDB in fractions of a second.
This makes property tests over thousands of histories possible.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from feature_mart.core.duckdb_files import copy_to, csv
from feature_mart.runner.compiled import FullBuild, load_python_model

PROJECT = Path(__file__).resolve().parents[2]

_TEXT, _MONEY, _INSTANT, _FLAG = "varchar", "decimal(18,3)", "timestamptz", "boolean"
_LIFE = {"is_deleted": _FLAG, "loaded_at": _INSTANT}

#: Maps each table of the raw contract to its columns, and each column to its DuckDB type.
RAW_TABLES: Mapping[str, Mapping[str, str]] = {
    "categories": {"category_id": _TEXT, "parent_category_id": _TEXT, "name": _TEXT, **_LIFE},
    "clients": {
        "client_id": _TEXT,
        "client_kind": _TEXT,
        "prefecture": _TEXT,
        "registered_at": _INSTANT,
        **_LIFE,
    },
    "freelancers": {
        "freelancer_id": _TEXT,
        "freelancer_kind": _TEXT,
        "registered_at": _INSTANT,
        **_LIFE,
    },
    "jobs": {
        "job_id": _TEXT,
        "client_id": _TEXT,
        "category_id": _TEXT,
        "title": _TEXT,
        "description": _TEXT,
        "job_type": _TEXT,
        "budget_min": _MONEY,
        "budget_max": _MONEY,
        "currency": _TEXT,
        "posted_at": _INSTANT,
        "apply_deadline_at": _INSTANT,
        "status": _TEXT,
        **_LIFE,
    },
    "job_skills": {"job_id": _TEXT, "skill": _TEXT, **_LIFE},
    "proposals": {
        "proposal_id": _TEXT,
        "job_id": _TEXT,
        "freelancer_id": _TEXT,
        "proposed_price": _MONEY,
        "proposed_at": _INSTANT,
        **_LIFE,
    },
    "contracts": {
        "contract_id": _TEXT,
        "job_id": _TEXT,
        "client_id": _TEXT,
        "freelancer_id": _TEXT,
        "agreed_price": _MONEY,
        "currency": _TEXT,
        "contracted_at": _INSTANT,
        "status": _TEXT,
        **_LIFE,
    },
    "reviews": {
        "review_id": _TEXT,
        "contract_id": _TEXT,
        "reviewer_kind": _TEXT,
        "rating": "double",
        "reviewed_at": _INSTANT,
        **_LIFE,
    },
}


def empty_warehouse(folder: Path) -> Path:
    """Write the eight raw tables, with every column and no rows, as Parquet files, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    con = connect()
    for table, columns in RAW_TABLES.items():
        nulls = ", ".join(f"cast(null as {type_}) as {name}" for name, type_ in columns.items())
        copy_to(con, f"select {nulls} where false", folder / f"{table}.parquet")
    return folder


def connect() -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB in UTC with the catalog ``mart``, to which the compiled SQL refers."""
    con = duckdb.connect()
    con.execute(
        "set TimeZone = 'UTC'; attach ':memory:' as mart; create schema mart.dwh; use mart.main"
    )
    return con


def load_table(
    con: duckdb.DuckDBPyConnection,
    name: str,
    columns: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Create the table ``name`` (``schema.table``) with these rows. A column that a row lacks is NULL."""
    typed = ", ".join(f'"{column}" {type_}' for column, type_ in columns.items())
    con.execute(f"create table {name} ({typed})")
    if rows:
        given = pa.table({c: pa.array([row.get(c) for row in rows]) for c in columns})
        con.register("given_rows", given)
        casts = ", ".join(f'cast("{column}" as {type_})' for column, type_ in columns.items())
        con.execute(f"insert into {name} select {casts} from given_rows")
        con.unregister("given_rows")


def load_text_words(con: duckdb.DuckDBPyConnection) -> None:
    """Create the table of the seed ``text_words``, which the Python model feat_job__text reads."""
    seed = PROJECT / "seeds" / "text_words.csv"
    con.execute(f"create table main.text_words as select * from {csv(seed, 'header = true')}")


@dataclass(frozen=True, slots=True)
class CompiledMart:
    """Compiled SELECTs and Python models of the mart, in an order in which they can be built.

    Attributes:
        sql: the compiled SELECT, or the text of a Python model's file, by model name in dependency order.
        parents: the models and seeds that a model reads, by model name.
        python: the names of the Python models.
        analyses: the compiled SELECT of each analysis, by name.
    """

    sql: Mapping[str, str]
    parents: Mapping[str, tuple[str, ...]]
    python: frozenset[str]
    analyses: Mapping[str, str]

    def build(
        self,
        con: duckdb.DuckDBPyConnection,
        *,
        given: Collection[str] = (),
        only: Collection[str] | None = None,
    ) -> None:
        """Create the models as tables in schema ``main``, in dependency order.

        Models in ``given`` are skipped. If ``only`` is not None, models outside ``only`` are skipped too.
        """
        for name, select in self.sql.items():
            if name in given or (only is not None and name not in only):
                continue
            if name in self.python:
                self.run_python(con, name)
            else:
                con.execute(f"create table main.{name} as {select}")

    def run_python(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        """Create a Python model's table by calling its `model()` on the tables already built."""
        rows = load_python_model(name, self.sql[name]).model(FullBuild(con), con)
        con.register("python_rows", rows)
        con.execute(f"create table main.{name} as select * from python_rows")
        con.unregister("python_rows")

    def upstream(self, name: str, leaves: Collection[str]) -> list[str]:
        """Return ``name`` and its upstream models in build order, without ``leaves`` and models read only by leaves."""
        wanted: set[str] = set()
        queue = [name]
        while queue:
            model = queue.pop()
            if model in leaves or model in wanted:
                continue
            wanted.add(model)
            queue.extend(self.parents[model])
        return [model for model in self.sql if model in wanted]


def compile_mart(folder: Path, **variables: object) -> CompiledMart:
    """Compile the project for a full build on DuckDB, and return the compiled models.

    ``folder`` gets an empty warehouse and dbt's files. ``variables`` replace dbt vars of the project.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    environment = {
        "MART_DWH": str(empty_warehouse(folder / "dwh")),
        "MART_DUCKDB_PATH": str(folder / "mart.duckdb"),
        "MART_HISTORY_PATH": ":memory:",
        "MART_TARGET": "duckdb",
    }
    saved = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    common = [
        *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT / "profiles")),
        *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
        *("--vars", json.dumps(variables), "--quiet"),
    ]
    try:
        # The seed command also creates the views of the raw tables; the compile command alone does not.
        for command in (["seed"], ["compile", "--full-refresh"]):
            result = dbtRunner().invoke([*command, *common])
            if not result.success:
                raise AssertionError(
                    f"dbt {command[0]} failed: {result.exception or result.result}"
                )
            DuckDBConnectionManager.close_all_connections()
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    return _read_manifest(folder / "target" / "manifest.json")


def _read_manifest(path: Path) -> CompiledMart:
    nodes = json.loads(path.read_text())["nodes"]
    models = {
        key: node for key, node in nodes.items() if node["resource_type"] in {"model", "seed"}
    }
    parents = {
        node["name"]: tuple(
            models[parent]["name"]
            for parent in node["depends_on"].get("nodes", [])
            if parent in models
        )
        for node in models.values()
    }
    sql: dict[str, str] = {}
    python = frozenset(n["name"] for n in models.values() if n.get("language") == "python")
    waiting = {
        n["name"]: n["raw_code" if n["name"] in python else "compiled_code"]
        for n in models.values()
        if n["resource_type"] == "model"
    }
    while waiting:
        ready = [name for name in waiting if not any(parent in waiting for parent in parents[name])]
        for name in sorted(ready):
            sql[name] = waiting.pop(name)
    analyses = {
        node["name"]: node["compiled_code"]
        for node in nodes.values()
        if node["resource_type"] == "analysis"
    }
    return CompiledMart(sql=sql, parents=parents, python=python, analyses=analyses)
