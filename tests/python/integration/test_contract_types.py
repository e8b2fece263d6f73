"""A contract states one name of a type for both engines; DuckDB holds its own type to it."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import yaml
from dbt.cli.main import dbtRunner

from compiled_mart import PROJECT

TYPES = {"string": "varchar", "int64": "bigint", "float64": "double", "timestamp": "timestamptz"}
SELECTED = ", ".join(f"cast(null as {own}) as c_{name}" for name, own in TYPES.items())


def write_project(folder: Path) -> None:
    """Write a dbt project with the project's types: a model that keeps its contract, three that break it, a seed."""
    for name in ("macros", "models", "seeds"):
        (folder / name).mkdir(parents=True)
    for name in ("types", "column_types"):
        shutil.copy(PROJECT / "macros" / "dialect" / f"{name}.sql", folder / "macros")
    models = []
    for name, old, new in (
        ("right", "", ""),
        ("single_float", "as double", "as float"),
        ("without_zone", "as timestamptz", "as timestamp"),
        ("text_for_number", "as bigint", "as varchar"),
    ):
        sql = SELECTED.replace(old, new) if old else SELECTED
        (folder / "models" / f"{name}.sql").write_text(f"select {sql}\n", encoding="utf-8")
        columns = [{"name": f"c_{each}", "data_type": each} for each in TYPES]
        models.append(
            {"name": name, "config": {"contract": {"enforced": True}}, "columns": columns}
        )
    (folder / "models" / "m.yml").write_text(yaml.safe_dump({"models": models}), encoding="utf-8")
    (folder / "seeds" / "s.csv").write_text("at,x\n2024-01-01 03:00:00+09,1\n", encoding="utf-8")
    (folder / "dbt_project.yml").write_text(
        yaml.safe_dump(
            {
                "name": "typed",
                "profile": "typed",
                "models": {"+materialized": "table"},
                "seeds": {"+fast": False, "+column_types": {"at": "timestamp", "x": "float64"}},
            }
        ),
        encoding="utf-8",
    )
    own = {"type": "duckdb", "path": str(folder / "t.duckdb"), "settings": {"TimeZone": "UTC"}}
    profile = {"typed": {"target": "own", "outputs": {"own": own}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profile), encoding="utf-8")


def test_a_contract_holds_duckdb_to_the_type_that_the_neutral_name_stands_for(
    tmp_path: Path,
) -> None:
    write_project(tmp_path)
    where = [
        option for name in ("project", "profiles") for option in (f"--{name}-dir", str(tmp_path))
    ]
    done = dbtRunner().invoke(["build", "--quiet", "--threads", "1", *where])
    results = {each.node.name: str(each.status) for each in done.result.results}
    broken = {"single_float": "error", "without_zone": "error", "text_for_number": "error"}
    assert results == {"right": "success", "s": "success", **broken}
    with duckdb.connect(str(tmp_path / "t.duckdb")) as con:
        con.execute("set TimeZone = 'UTC'")
        found = con.execute(
            "select column_name, data_type from duckdb_columns() where table_name in ('right', 's') and "
            "not internal order by all"
        ).fetchall()
        seeded = con.execute("select cast(s.at as varchar), x from s").fetchall()
    zoned = "TIMESTAMP WITH TIME ZONE"
    assert dict(found) == {
        "c_float64": "DOUBLE",
        "c_int64": "BIGINT",
        "c_string": "VARCHAR",
        "c_timestamp": zoned,
        "at": zoned,
        "x": "DOUBLE",
    }
    assert seeded == [("2023-12-31 18:00:00+00", 1.0)]
