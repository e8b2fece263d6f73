"""Test that the comparison of two marts counts the rows that only one of the marts has."""

from __future__ import annotations

from pathlib import Path

import duckdb

from feature_mart.audit.tables import TableDifference, compare_tables


def write(path: Path, rows: str) -> Path:
    with duckdb.connect(str(path)) as con:
        con.execute(f"create table same as select 1 as a; create table facts as {rows}")
    return path


def test_equal_marts_differ_in_nothing_whatever_the_order_of_rows_and_columns(
    tmp_path: Path,
) -> None:
    one = write(tmp_path / "one.db", "from (values (1, null), (2, 'b')) t(a, b)")
    two = write(tmp_path / "two.db", "select b, a from (values (2, 'b'), (1, null)) t(a, b)")
    assert compare_tables(one, two, ["same", "facts"]) == (3, [])


def test_a_row_more_a_row_twice_and_another_value_are_counted_on_their_side(tmp_path: Path) -> None:
    one = write(tmp_path / "one.db", "from (values (1, 'a'), (1, 'a'), (2, 'b')) t(a, b)")
    two = write(tmp_path / "two.db", "from (values (1, 'a'), (2, null), (3, 'c')) t(a, b)")
    rows, differences = compare_tables(one, two, ["same", "facts"])
    assert rows == 4
    (difference,) = differences
    assert isinstance(difference, TableDifference)
    assert (difference.model, difference.only_first, difference.only_second) == ("facts", 2, 2)
    assert "'a'" in difference.example or "'b'" in difference.example
