"""Write a dbt project whose models fulfil or violate the column types of their contracts, for either engine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml
from dbt.cli.main import dbtRunner

from compiled_mart import PROJECT

#: Maps each `data_type` in YAML to its name in DuckDB, and to a DuckDB type and a BigQuery type that violate a dbt
#: contract with this `data_type`.
TYPES = {
    "string": ("varchar", "bigint", "int64"),
    "int64": ("bigint", "varchar", "string"),
    "float64": ("double", "float", "numeric"),
    "timestamp": ("timestamptz", "timestamp", "datetime"),
}
RESULTS = {"right": "success", "seeded": "success"} | {f"wrong_{each}": "error" for each in TYPES}


def write_project(folder: Path, output: Mapping[str, object]) -> None:
    """Write a dbt project of one model that fulfils its contract, four models that violate theirs, and a seed."""
    for name in ("macros", "models", "seeds"):
        (folder / name).mkdir(parents=True)
    for name in ("types", "column_types"):
        shutil.copy(PROJECT / "macros" / "dialect" / f"{name}.sql", folder / "macros")
    is_duckdb = output["type"] == "duckdb"
    own = {name: duckdb_name if is_duckdb else name for name, (duckdb_name, _, _) in TYPES.items()}
    wrong = {
        name: on_duckdb if is_duckdb else other for name, (_, on_duckdb, other) in TYPES.items()
    }
    columns = [{"name": f"c_{each}", "data_type": each} for each in TYPES]
    models = []
    for broken in (None, *TYPES):
        name = f"wrong_{broken}" if broken else "right"
        types = own | ({broken: wrong[broken]} if broken else {})
        selected = ", ".join(f"cast(null as {type_}) as c_{each}" for each, type_ in types.items())
        (folder / "models" / f"{name}.sql").write_text(f"select {selected}\n", encoding="utf-8")
        models.append(
            {"name": name, "config": {"contract": {"enforced": True}}, "columns": columns}
        )
    (folder / "models" / "m.yml").write_text(yaml.safe_dump({"models": models}), encoding="utf-8")
    lines = "since,x\n2024-01-01 03:00:00+09,1\n"
    (folder / "seeds" / "seeded.csv").write_text(lines, encoding="utf-8")
    seeds = {"+fast": False, "+column_types": {"since": "timestamp", "x": "float64"}}
    project = {"name": "typed", "profile": "typed", "seeds": seeds}
    project["models"] = {"+materialized": "table"}
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(project), encoding="utf-8")
    profile = {"typed": {"target": "own", "outputs": {"own": dict(output)}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profile), encoding="utf-8")


def bigquery_output(endpoint: str) -> dict[str, object]:
    """Return the output of a dbt profile for the BigQuery emulator at the URL ``endpoint``."""
    access = {"type": "bigquery", "method": "oauth-secrets", "token": "none", "job_retries": 0}
    return access | {"project": "mart-test", "dataset": "typed", "api_endpoint": endpoint}


def results_of(folder: Path, *arguments: str) -> dict[str, str]:
    """Build the project, and return the status of each model and seed by name."""
    where = [part for name in ("project", "profiles") for part in (f"--{name}-dir", str(folder))]
    done = dbtRunner().invoke(["build", "--quiet", "--threads", "1", *where, *arguments])
    return {each.node.name: str(each.status) for each in done.result.results}
