"""Test that a contract has one type name for both engines, and that DuckDB refuses a column of another type.

tests/python/integration/bigquery/test_bigquery_mart.py tests the same on BigQuery.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from typed_project import RESULTS, results_of, write_project


def test_a_contract_holds_duckdb_to_the_type_that_the_neutral_name_stands_for(
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.duckdb"
    write_project(tmp_path, {"type": "duckdb", "path": str(path), "settings": {"TimeZone": "UTC"}})
    assert results_of(tmp_path) == RESULTS
    with duckdb.connect(str(path)) as con:
        con.execute("set TimeZone = 'UTC'")
        found = con.execute(
            "select column_name, data_type from duckdb_columns() where not internal and table_name in "
            "('right', 'seeded')"
        ).fetchall()
        seeded = con.execute("select cast(since as varchar), x from seeded").fetchall()
    zoned = "TIMESTAMP WITH TIME ZONE"
    wanted = {
        "c_float64": "DOUBLE",
        "c_int64": "BIGINT",
        "c_string": "VARCHAR",
        "c_timestamp": zoned,
    }
    assert dict(found) == wanted | {"since": zoned, "x": "DOUBLE"}
    assert seeded == [("2023-12-31 18:00:00+00", 1.0)]
