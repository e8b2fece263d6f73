"""Test that ten daily builds, with days skipped and one repeated, give the same mart as one full build."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from compiled_mart import PROJECT
from feature_mart.core.duckdb_files import attach
from feature_mart.sample import write_sample

#: The days to build, in order: before, on and after the bulk load of 2023-09-30, up to the last day of the sample.
#: 2023-05-06 is built twice.
DAYS = (
    *("2023-05-02", "2023-05-03", "2023-05-06", "2023-05-06", "2023-09-30"),
    *("2023-10-01", "2023-10-02", "2025-01-11", "2025-01-12", "2026-03-31"),
)
#: Tables that are not compared, because their rows depend on which refreshes were built.
_OF_THE_BUILD = {"int_mart__profiles", "int_mart__seals", "int_mart__unjudged"}


def build(home: Path, warehouse: Path, day: str) -> None:
    """Run `mart build --as-of DAY` in a new process, and assert that the build succeeds."""
    done = subprocess.run(
        [sys.executable, "-m", "feature_mart", "build", "--as-of", day],
        env=os.environ | {"MART_HOME": str(home), "MART_DWH": str(warehouse)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.audit
def test_ten_days_equal_one_full_build(tmp_path: Path) -> None:
    warehouse = (
        tmp_path / "sample"
    )  # seeds/load_clock.csv has lines for a warehouse named `sample`.
    write_sample(warehouse, jobs=4000, seed=7)
    for day in DAYS:
        build(tmp_path / "daily", warehouse, day)
    build(tmp_path / "whole", warehouse, DAYS[-1])
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    for name in ("daily", "whole"):
        path = tmp_path / name / warehouse.name / "mart.duckdb"
        attach(con, path, name)
    tables = [
        row[0]
        for row in con.execute(
            "select table_name from duckdb_tables() where database_name = 'whole' "
            "and schema_name = 'main'"
        ).fetchall()
    ]
    assert len(tables) > 35
    for table in sorted(set(tables) - _OF_THE_BUILD):
        for one, other in (("daily", "whole"), ("whole", "daily")):
            only = con.execute(
                f"select count(*) from (from {one}.main.{table} except all from {other}.main.{table})"
            ).fetchone()
            assert only == (0,), f"{table}: {only} rows only in the {one} build"
    sealed = con.execute(
        "select count(distinct as_of_at) from daily.main.int_mart__seals"
    ).fetchone()
    assert sealed == (len(set(DAYS)),)
