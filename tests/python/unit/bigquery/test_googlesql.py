"""Test the only module that imports GoogleSQL: values, errors, and settings that make GoogleSQL act like BigQuery."""

from __future__ import annotations

import math
import re
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from compiled_mart import PROJECT
from feature_mart.bigquery import googlesql
from feature_mart.bigquery.googlesql import GoogleSql, load_googlesql
from feature_mart.bigquery.googlesql_values import RefusedError, Table
from feature_mart.bigquery.resolved_tree import output_columns
from feature_mart.core.errors import TerminalError

COLUMNS = {
    "whole": "INT64",
    "real": "FLOAT64",
    "exact": "NUMERIC",
    "is_it": "BOOL",
    "text": "STRING",
    "at": "TIMESTAMP",
    "day": "DATE",
    "list": "ARRAY<STRUCT<n INT64, name STRING>>",
}
ROWS = [
    (None,) * len(COLUMNS),
    (
        *(-(2**63), -0.0, Decimal("-0.000000001"), False, "İ 終 \U0001f600"),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        date(1969, 12, 31),
        [],
    ),
    (
        *(2**63 - 1, 5e-324, Decimal("99999999999999999999999999999.999999999"), True, ""),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        date(9999, 12, 31),
        [{"n": 1, "name": "a"}, {"n": None, "name": None}],
    ),
]


def test_values_of_every_type_pass_through_unchanged() -> None:
    result = load_googlesql().query("select * from `p`.`d`.`t`", {"p.d.t": Table(COLUMNS, ROWS)})
    assert dict(result.columns) == COLUMNS
    assert list(result.rows) == ROWS
    assert math.copysign(1, result.rows[1][1]) == -1


def test_floats_that_are_no_numbers_pass_through() -> None:
    table = Table({"x": "FLOAT64"}, [(math.nan,), (math.inf,), (-math.inf,)])
    rows = load_googlesql().query("select x from `p.d.t`", {"p.d.t": table}).rows
    assert math.isnan(rows[0][0]) and rows[1:] == [(math.inf,), (-math.inf,)]


def test_times_of_day_follow_the_package_tzdata() -> None:
    query = (
        "select timestamp '2026-03-08 02:30:00 America/Toronto' as instant, "
        "extract(hour from timestamp '2026-10-25 00:59:59+00' at time zone 'Europe/Berlin') as h"
    )
    ((at, hour),) = load_googlesql().query(query, {}).rows
    assert at == datetime(2026, 3, 8, 7, 30, tzinfo=UTC) and hour == 2


def test_tables_change_between_statements() -> None:
    for type_ in ("INT64", "STRING"):
        tree = load_googlesql().analyze("select x from `p.d.t`", {"p.d.t": Table({"x": type_})})
        assert output_columns(tree) == [("x", type_)]
    with pytest.raises(RefusedError, match="Table not found"):
        load_googlesql().analyze("select x from `p.d.t`", {})


def test_tables_that_differ_only_in_the_sign_of_zero_are_not_confused() -> None:
    for zero in (0.0, -0.0):
        table = Table({"x": "FLOAT64"}, [(zero,)])
        ((found,),) = load_googlesql().query("select x from `p.d.t`", {"p.d.t": table}).rows
        assert math.copysign(1, found) == math.copysign(1, zero)


@pytest.mark.parametrize(
    ("statement", "message", "line"),
    [
        ("select\n  gone", "Unrecognized name: gone", 2),
        ("select 1 /\n 0", "division by zero: 1 / 0", None),
        ("select 1; select 2", "Syntax error: .*", 1),
        ("select cast('x' as int64)", "Bad int64 value: x", None),
        ("select row_number() over () as n qualify n = 1", ".*QUALIFY.*", 1),
        ("select 1 as a, lag(1) over (order by 1 rows 1 preceding)", ".*", 1),
        ("select t.x from (select 1 as y) as a cross join lateral (select a.y as x) as t", ".*", 1),
    ],
)
def test_a_refusal_has_googles_words_and_the_line(
    statement: str, message: str, line: int | None
) -> None:
    with pytest.raises(RefusedError) as refused:
        load_googlesql().query(statement, {})
    assert re.match(message, str(refused.value)), refused.value
    assert "[at" not in str(refused.value)
    assert refused.value.line == line


def test_a_missing_package_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    with pytest.raises(
        TerminalError, match=r"GoogleSQL is not installed \(wasmtime\): run `make venv`"
    ):
        GoogleSql()


def test_one_module_of_at_most_200_lines_imports_the_package() -> None:
    module = Path(googlesql.__file__)
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 200
    importing = re.compile(r"^\s*(?:from|import)\s+(?:zetasql|wasmtime)\b", re.MULTILINE)
    found = {
        path
        for folder in ("python", "tests", "models", "orchestration")
        for path in (PROJECT / folder).rglob("*.py")
        if importing.search(path.read_text(encoding="utf-8"))
    }
    assert found == {module}
