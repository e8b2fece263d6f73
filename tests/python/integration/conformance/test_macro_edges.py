"""Run macros over edge cases of time, text and numbers, and compare DuckDB with GoogleSQL bit for bit."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edge_rows import CODES, TEXTS
from feature_mart.bigquery.googlesql import load_googlesql
from feature_mart.bigquery.googlesql_values import Table
from feature_mart.conformance.row_differences import compare_rows
from feature_mart.core.duckdb_files import connect
from rendered_macros import load_macros

Macros = Mapping[str, Callable[..., str]]

#: Maps each time zone to the days that the tests cover. Clocks change on these days, by half an hour on Lord Howe, but
#: never in Tokyo.
CHANGES = {
    "America/Toronto": ("2025-11-02", "2026-03-08"),
    "Australia/Lord_Howe": ("2025-10-05", "2026-04-05"),
    "Asia/Tokyo": ("2026-01-01",),
}
#: The pairs of zone and refresh hour in which the hour occurs twice on a day of `CHANGES`. DuckDB and Python take the
#: second occurrence and BigQuery takes the first, so a build on BigQuery stops when it compares the engine's refreshes
#: with Python's.
_TWICE = {("America/Toronto", 1)}
_DUCKDB_TYPES = {"STRING": "varchar", "FLOAT64": "double", "INT64": "bigint"}


def differences(
    select: Callable[[Macros], str],
    type_: str,
    values: Sequence[Any],
    given: Mapping[str, object] | None = None,
) -> tuple[int, str | None]:
    """Evaluate a SELECT over a table `edges` with the column `x` on both engines, and compare the rows."""
    googlesql = load_googlesql().query(
        select(load_macros("bigquery", given=given)),
        {"edges": Table({"x": type_}, [(value,) for value in values])},
    )
    with connect() as con:
        con.execute(f"create table edges (x {_DUCKDB_TYPES[type_]})")
        con.executemany("insert into edges values (?)", [(value,) for value in values])
        rows = con.execute(select(load_macros("duckdb", given=given))).fetchall()
    assert len(rows) == len(values)
    return compare_rows(rows, googlesql.rows, list(googlesql.columns))


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("hour", [1, 2, 3])
def test_times_on_days_on_which_clocks_change(zone: str, hour: int) -> None:
    near = [
        datetime.fromisoformat(day).replace(tzinfo=UTC)
        + timedelta(hours=-24, minutes=15 * step, microseconds=micro)
        for day in CHANGES[zone]
        for step in range(4 * 72)
        for micro in (-1, 0, 1)
    ]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    values = [(at - epoch) // timedelta(microseconds=1) for at in near]

    def select(macros: Macros) -> str:
        at = macros["from_epoch_us"]("edges.x")
        names = ["local_hour", "local_date", "local_weekday"]
        if (zone, hour) not in _TWICE:
            names += ["refresh_at", "refresh_before"]
        columns = [f"{macros[name](at)} as {name}" for name in names]
        return f"select x, {', '.join(columns)} from edges"

    given = {"business_timezone": zone, "refresh_hour": hour}
    assert differences(select, "INT64", values, given) == (0, None)


def test_texts_of_every_kind() -> None:
    letters = [
        character
        for character in map(chr, range(1, 0x1_F000))
        # Leave out characters that Unicode 3.2 does not have, because DuckDB may not know newer ones that Python knows.
        if unicodedata.category(character) in ("Lu", "Lt", "Zs", "Cc", "Zl", "Zp")
        and unicodedata.ucd_3_2_0.category(character) != "Cn"
    ]
    values = [None, *TEXTS, *CODES, *letters, *(f"{letter}A{letter}" for letter in letters)]

    def select(macros: Macros) -> str:
        columns = [f"{macros[name]('x')} as {name}" for name in ("trimmed", "lowered", "code_word")]
        return f"select x, length(x) as length, x = 'a' as is_a, {', '.join(columns)} from edges"

    assert differences(select, "STRING", values) == (0, None)


def test_numbers_of_every_kind() -> None:
    values = [None, *(0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -2.5, 1e-7, 5e-7, 4.9999995, 0.1 + 0.2)]
    values += [123456789.123456789, 1e12, -1e12, 5e-324, 0.0000005, 2.675, 999999999.9999999]

    def select(macros: Macros) -> str:
        columns = {
            "whole_amount": macros["whole_amount"]("x"),
            "fixed_log": macros["fixed_log"]("x"),
            "fixed_point": macros["fixed_point"]("x"),
            "ratio": macros["ratio"]("x", "x"),
            "third": macros["ratio"]("x", "3"),
            "least": macros["least_known"]("x", "1.5e0"),
            "greatest": macros["greatest_known"]("x", "1.5e0"),
        }
        listed = ", ".join(f"{sql} as {name}" for name, sql in columns.items())
        return f"select x, {listed} from edges"

    assert differences(select, "FLOAT64", values) == (0, None)


def test_nan_passes_a_division_unchanged() -> None:
    """Test NaN and infinity with `ratio` only, because the raw contract refuses NaN."""

    def select(macros: Macros) -> str:
        return f"select x, {macros['ratio']('x', '2')} as half from edges"

    values = [float("nan"), float("inf"), -float("inf"), -0.0]
    assert differences(select, "FLOAT64", values) == (0, None)


def test_a_macro_that_differs_is_seen() -> None:
    def select(macros: Macros) -> str:
        return f"select x, {macros['code_word']('x')} as word, lower(x) as lower from edges"

    count, example = differences(select, "STRING", ["ΤΕΛΟΣ", "İ", "A"])
    assert count == 2 and example is not None and "lower: " in example
