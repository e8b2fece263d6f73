"""Test the comparison of a mart with the oracle's rows: tables and columns of only one side, and rows that differ."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from compiled_mart import PROJECT, connect, load_table
from feature_mart.knowledge.verification import Verification
from oracle import TABLES, Row
from oracle.client_history import NO_HISTORY
from oracle.raw_rows import at
from oracle_differences import differences

HISTORY, AT_REQUEST = "feat_client__history", "feat_job__client_at_request"
MART = "mart_price_estimation__features"
MODELS = {
    f"models/{HISTORY}.sql": "select 1 as client_x",
    f"models/{AT_REQUEST}.sql": f"select * from {{{{ ref('{HISTORY}') }}}}",
    f"models/{MART}.sql": f'select * from {{{{ ref("{AT_REQUEST}") }}}}',
}
STATED = {
    f"models/{HISTORY}.yml": f"""
models:
  - name: {HISTORY}
    columns:
      - name: client_x
        config: {{meta: {{verified_by: "unit tests"}}}}
"""
}
NOTHING_SAID, CLIENT_X_STATED = Verification(MODELS, {}), Verification(MODELS | STATED, {})


def as_of(day: int, **values: Any) -> Row:
    """Return an as-of row of client c1, ``day`` days after the refresh of 1 May 2024."""
    as_of_at = at("2024-05-01 03:00") + timedelta(days=day)
    keys = {"client_id": "c1", "as_of_at": as_of_at, "available_at": as_of_at + timedelta(hours=1)}
    return keys | NO_HISTORY | values


def served(**values: Any) -> Row:
    """Return a row of a table with one row per request."""
    return {"job_id": "j1", **values}


def compare(
    mart: Mapping[str, list[Row]], oracle: Mapping[str, list[Row]], said: Verification
) -> list[str]:
    """Return the differences between a mart and an oracle that have the given rows, as lines."""
    with connect() as con:
        for table, rows in mart.items():
            types = {
                n: "double" if "_count_" in n or n.endswith("_x") else "varchar" for n in rows[0]
            }
            types |= {n: "timestamptz" for n in types if n.endswith("_at")}
            load_table(con, f"main.{table}", types, rows)
        return differences(con, oracle, said)


def with_x(rows: list[Row]) -> list[Row]:
    return [row | {"client_x": number} for number, row in enumerate(rows, start=1)]


ROWS = [as_of(0, client_posting_count_90d=1), as_of(9, client_posting_count_90d=2)]
SERVED = [served(client_posting_count_90d=1)]
ORACLE = {HISTORY: ROWS, AT_REQUEST: SERVED, MART: SERVED}


def test_equal_tables_have_no_difference() -> None:
    assert compare(ORACLE, ORACLE, NOTHING_SAID) == []


def test_a_column_that_the_oracle_does_not_know_is_named_once_where_it_is_computed() -> None:
    mart = {HISTORY: with_x(ROWS), AT_REQUEST: with_x(SERVED), MART: with_x(SERVED)}
    (line,) = compare(mart, ORACLE, NOTHING_SAID)
    assert line.startswith(
        "feat_client__history.client_x: the oracle does not compute this column; define it in "
        "tests/oracle/client_history.py, or set config.meta.verified_by: 'unit tests' in its YAML"
    )


def test_a_stated_column_is_left_out_where_it_is_computed_and_passed_on() -> None:
    mart = {HISTORY: with_x(ROWS), AT_REQUEST: with_x(SERVED), MART: with_x(SERVED)}
    assert compare(mart, ORACLE, CLIENT_X_STATED) == []


def test_a_statement_holds_only_where_the_column_comes_from() -> None:
    other = "feat_job__posting"
    mart = {HISTORY: with_x(ROWS), other: with_x(SERVED)}
    (line,) = compare(mart, {HISTORY: ROWS, other: SERVED}, CLIENT_X_STATED)
    assert line.startswith(f"{other}.client_x: the oracle does not compute this column")


@pytest.mark.parametrize("day", [-1, 4, 12])
def test_rows_that_a_stated_column_alone_makes_are_left_out(day: int) -> None:
    before = {-1: {}, 4: {"client_posting_count_90d": 1}, 12: {"client_posting_count_90d": 2}}
    mart = {HISTORY: with_x([*ROWS, as_of(day, **before[day])])}
    assert compare(mart, {HISTORY: ROWS}, CLIENT_X_STATED) == []
    wrong = {HISTORY: with_x([*ROWS, as_of(day, client_posting_count_90d=7)])}
    assert compare(wrong, {HISTORY: ROWS}, CLIENT_X_STATED) != []


def test_a_client_of_which_the_oracle_knows_nothing_is_left_out_with_the_stated_column() -> None:
    mart = {HISTORY: with_x([as_of(0)])}
    assert compare(mart, {HISTORY: []}, CLIENT_X_STATED) == []


def test_rows_without_a_change_are_a_difference_where_no_column_is_left_out() -> None:
    mart = {HISTORY: [*ROWS, as_of(12, client_posting_count_90d=2)]}
    assert compare(mart, {HISTORY: ROWS}, NOTHING_SAID) != []


def test_a_statement_on_a_column_that_the_oracle_computes_is_refused() -> None:
    both = {HISTORY: with_x(ROWS)}
    (line,) = compare(both, both, CLIENT_X_STATED)
    assert "client_x: the oracle computes this column; remove config.meta.verified_by" in line


def test_tables_may_leave_out_a_column_but_not_all_of_them() -> None:
    fewer = [
        {name: row[name] for name in row if name != "client_posting_count_90d"} for row in ROWS
    ]
    mart = {HISTORY: ROWS, AT_REQUEST: [served()], MART: [served()]}
    assert compare(mart, ORACLE, NOTHING_SAID) == []
    (line,) = compare({HISTORY: fewer}, {HISTORY: ROWS}, NOTHING_SAID)
    assert line == (
        "feat_client__history.client_posting_count_90d: only the oracle has this column; remove it from "
        "tests/oracle/client_history.py"
    )


def test_a_table_that_the_mart_does_not_have_is_named() -> None:
    (line,) = compare({HISTORY: ROWS}, {HISTORY: ROWS, MART: SERVED}, NOTHING_SAID)
    assert line.startswith(f"{MART}: only the oracle has this table; remove it")


def test_a_feature_table_that_the_oracle_does_not_compute_is_named() -> None:
    (line,) = compare(
        {HISTORY: ROWS, "feat_new__table": [{"new_x": 1}]}, {HISTORY: ROWS}, NOTHING_SAID
    )
    assert line.startswith(
        "feat_new__table.new_x: the oracle does not compute this column; add the table"
    )


def test_each_table_names_a_module_that_exists_and_the_readme_names_it() -> None:
    folder = PROJECT / "tests" / "oracle"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for table, of in TABLES.items():
        assert (folder / of.module).is_file(), table
    for path in folder.glob("[a-z]*.py"):
        assert f"`{path.name}`" in readme, f"tests/oracle/README.md does not name {path.name}"
