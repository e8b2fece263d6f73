"""Test how the rows and types of DuckDB and GoogleSQL are compared, and how a later run is merged into a table."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from feature_mart.conformance.duckdb_tables import DuckDBTables, exact_type
from feature_mart.conformance.models import MartTables, compare_models, merged
from feature_mart.conformance.reference import BigQueryModel
from feature_mart.conformance.row_differences import compare_rows
from feature_mart.core.duckdb_files import connect
from feature_mart.core.errors import TerminalError

NAN = float("nan")


@pytest.mark.parametrize(
    ("here", "there", "differences"),
    [
        ([("a", 1.0), ("b", None)], [("b", None), ("a", 1.0)], 0),
        ([("a", NAN)], [("a", -NAN)], 0),
        ([("a", 0.0)], [("a", -0.0)], 1),
        ([("a", 0.1 + 0.2)], [("a", 0.3)], 1),
        ([("a", None)], [("a", 0.0)], 1),
        ([("a", 1.0), ("a", 1.0)], [("a", 1.0)], 1),
        ([("a", 1.0)], [("a", 1.0), ("b", 2.0), ("c", 2.0)], 2),
        ([("a", [1.0, -0.0])], [("a", [1.0, 0.0])], 1),
        ([("a", {"x": 0.5})], [("a", {"x": 0.5})], 0),
        ([("a", {"x": 0.5})], [("a", {"x": 0.25})], 1),
        ([("é", 1.0)], [("e\u0301", 1.0)], 1),
    ],
)
def test_rows_differ_by_a_single_bit(here: list[Any], there: list[Any], differences: int) -> None:
    assert compare_rows(here, there, ("key", "value"))[0] == differences
    assert (compare_rows(here, there, ("key", "value"))[1] is None) == (differences == 0)


def test_an_example_names_the_row_and_the_column_that_differs() -> None:
    here, there = [("a", 1, 2.5), ("b", 3, 4.5)], [("b", 3, 4.0), ("a", 1, 2.5)]
    _, example = compare_rows(here, there, ("id", "count", "mean"))
    assert example == "id=b, count=3; mean: 4.5 on DuckDB, 4.0 on GoogleSQL"
    _, example = compare_rows(here, here[:1], ("id", "count", "mean"))
    assert example == "only DuckDB has the row id=b, count=3, mean=4.5"


def test_a_later_run_replaces_rows_of_the_same_key_and_adds_others() -> None:
    before = [("a", 1), ("b", 2), (None, 3)]
    assert merged(before, [("b", 4), ("c", 5), (None, 6)], [0]) == [
        *(("a", 1), ("b", 4), (None, 3)),
        *(("c", 5), (None, 6)),
    ]
    assert merged(before, [("b", 4)], []) == [*before, ("b", 4)]


def test_two_rows_for_one_row_are_refused_as_by_merge() -> None:
    with pytest.raises(ValueError, match="two rows"):
        merged([("a", 1)], [("a", 2), ("a", 3)], [0])
    assert merged([], [("a", 2), ("a", 3)], [0]) == [("a", 2), ("a", 3)]


@pytest.mark.parametrize(
    ("sql", "exact"),
    [
        ("cast(1 as bigint)", "INT64"),
        ("sum(cast(1 as bigint))", None),
        ("1", None),
        ("null", None),
        ("cast(1 as float)", None),
        ("cast(1 as decimal(18, 3))", None),
        ("cast(1 as decimal(38, 9))", "NUMERIC"),
        ("timestamp '2026-01-01'", None),
        ("timestamptz '2026-01-01'", "TIMESTAMP"),
        ("['a']", "ARRAY<STRING>"),
        ("[1]", None),
        ("{'x': true, 'y': [date '2026-01-01']}", "STRUCT<x BOOL, y ARRAY<DATE>>"),
    ],
)
def test_only_types_of_both_engines_are_exact(sql: str, exact: str | None) -> None:
    with connect() as con:
        assert exact_type(con.sql(f"select {sql} as x").types[0]) == exact


def test_a_type_that_bigquery_lacks_is_an_error() -> None:
    with (
        mart("create table odd as select uuid() as x") as con,
        pytest.raises(TerminalError, match=r"odd\.x has the type UUID"),
    ):
        DuckDBTables(con).read("odd")


def mart(*statements: str) -> duckdb.DuckDBPyConnection:
    con = connect()
    con.execute("create schema dwh")
    for statement in statements:
        con.execute(statement)
    return con


def compared(
    con: duckdb.DuckDBPyConnection,
    select: str,
    earlier: duckdb.DuckDBPyConnection | None = None,
    key: tuple[str, ...] = (),
) -> tuple[int, str | None]:
    tables = MartTables(
        DuckDBTables(con),
        DuckDBTables(con, "dwh"),
        None if earlier is None else DuckDBTables(earlier),
    )
    (found,) = compare_models([BigQueryModel("m", select, True, key)], tables)
    return found.differences, found.example


P = "`unset-project`.`mart`.`p`"
PARENT = "create table p as select unnest([1.5, 2.5, null])::double as x"


def test_a_model_is_evaluated_over_the_parent_tables_of_duckdb() -> None:
    with mart(PARENT, "create table m as select round(x) as y from p") as con:
        assert compared(con, f"select round(x) as y from {P}") == (0, None)
        differences, example = compared(con, f"select floor(x) as y from {P}")
        assert differences == 1 and example is not None and "y: " in example


def test_other_columns_other_types_and_refused_selects_are_differences() -> None:
    with mart(PARENT, "create table m as select 1 as y from p") as con:
        assert compared(con, f"select 1 as y from {P}") == (
            1,
            "y: INTEGER on DuckDB, INT64 on GoogleSQL",
        )
        assert compared(con, f"select 1 as z from {P}") == (
            3,
            "columns that only one engine has: y, z",
        )
        differences, example = compared(con, f"select nope as y from {P}")
        assert differences == 3 and example is not None and "nope" in example


def test_a_later_run_reads_the_models_own_table_of_the_earlier_mart() -> None:
    this = "`unset-project`.`mart`.`m`"
    select = f"select x as y from {P} where x > (select max(built.y) from {this} as built)"
    now = mart(PARENT, "create table m as select x as y from p where x is not null")
    before = mart("create table m as select 1.5::double as y")
    with now, before:
        assert compared(now, select, before) == (0, None)
        assert compared(now, select, before, ("y",)) == (0, None)
        assert compared(now, f"select x as y from {P}", before)[0] == 2
        assert DuckDBTables(before).empty("m").columns == {"y": "FLOAT64"}
