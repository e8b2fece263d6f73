"""Test the formula of the generic tests stays_filled and steady_exclusions, and which rows these tests count."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

import duckdb
import jinja2
import pytest
import yaml

from rendered_macros import PROJECT, load_macros

MACROS = load_macros("duckdb")
VARIABLES = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
AS_OF = "timestamptz '2026-04-01 18:00:00+00'"
#: A contract: id, price, word, and the hours from ``known_at`` to the refresh.
Row = tuple[str, float | None, str, float]


def render(name: str, **arguments: Any) -> str:
    """Return the SQL of a generic test on the relation ``tested``."""
    source = (PROJECT / "tests" / "generic" / f"{name}.sql").read_text()
    source = source.replace("{% test ", "{% macro ").replace("{% endtest %}", "{% endmacro %}")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.globals.update(
        MACROS, var=lambda name: VARIABLES[name], config=lambda **_: "", ref=str
    )
    module = environment.from_string(source).module
    return str(getattr(module, name)(model="tested", **arguments))


FILLED = render("stays_filled", key="id", columns=["price", "word"])
EXCLUSIONS = render("steady_exclusions", column_name="reason")


def ask(sql: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    con = duckdb.connect(config={"threads": 1})
    con.execute("set TimeZone = 'UTC'")
    con.execute(f"create table int_mart__clock as select {AS_OF} as as_of_at")
    con.execute(f"create table given ({columns})")
    values = list(rows)
    if values:
        places = ", ".join([f"({', '.join('?' * len(values[0]))})"] * len(values))
        con.execute(f"insert into given values {places}", [cell for row in values for cell in row])
    con.execute(
        f"create table tested as select * exclude (hours), {AS_OF} - to_minutes((hours * 60)::int) as known_at, "
        f"known_at as label_known_at, known_at as loaded_at from given"
    )
    return con.execute(sql).fetchall()


def filled(rows: Iterable[Row], *more: tuple[Any, ...]) -> dict[str, tuple[int, ...]]:
    """Return four counts for each reported column: missing and all values in the newer rows, then in the older rows.

    ``more`` has further rows, which end with the values of `is_deleted` and `is_known_at_assumed`. The other rows have
    False in both columns.
    """
    columns = (
        "id varchar, price double, word varchar, hours double, is_deleted boolean, "
        "is_known_at_assumed boolean"
    )
    given = [(*row, False, False) for row in rows]
    return {row[0]: row[1:] for row in ask(FILLED, columns, [*given, *more])}


def contracts(prices: Iterable[float | None], *, every: float = 24) -> list[Row]:
    """Return one contract every ``every`` hours, the newest one hour before the refresh."""
    return [(f"c{n}", price, "a word", 1 + n * every) for n, price in enumerate(prices)]


@pytest.mark.parametrize("dead", [None, 0.0])
def test_a_column_that_dies_at_30_rows_a_month_is_found_with_its_third_row(
    dead: float | None,
) -> None:
    healthy = [9.0] * 90
    assert filled(contracts([dead] * 2 + healthy)) == {}
    found = filled(contracts([dead] * 3 + healthy))
    assert found == {"price": (3, 3, 0, 90)}


def test_a_column_of_blanks_is_empty() -> None:
    rows = [(f"c{n}", 9.0, "\u3000 " if n < 5 else "a word", 1 + 24 * n) for n in range(60)]
    assert set(filled(rows)) == {"word"}


def test_a_column_half_dead_is_found_in_the_last_days() -> None:
    newest = [None if n % 2 else 9.0 for n in range(28)]
    assert filled(contracts(newest + [9.0] * 60)) == {"price": (14, 28, 0, 60)}


def test_a_column_that_died_months_ago_is_still_told() -> None:
    assert filled(contracts([None] * 150 + [9.0] * 200)) == {"price": (150, 150, 0, 200)}


@pytest.mark.parametrize(
    "prices",
    [
        [],
        [None],
        [None] * 200,
        [9.0] * 200,
        [9.0] * 100 + [None] * 100,
        [None, None, 9.0, 9.0],
        [None if n % 3 == 0 else 9.0 for n in range(300)],
        [None, *[9.0] * 200],
    ],
    ids=["no rows", "one row", "never filled", "full", "filled now", "few", "a third", "one empty"],
)
def test_nothing_is_found_without_a_side_to_compare_or_a_growth(prices: list[float | None]) -> None:
    assert filled(contracts(prices)) == {}


def test_a_first_load_of_one_moment_is_compared_with_nothing() -> None:
    assert filled(contracts([None] * 150 + [9.0] * 150, every=0)) == {}


def test_a_key_counts_by_its_first_version_deletions_and_assumed_rows_not_at_all() -> None:
    rows = contracts([None] * 4 + [9.0] * 90)
    kept = [(f"c{n}", 9.0, "a word", 0.5) for n in range(60, 94)]
    assert set(filled([*rows, *kept])) == {"price"}
    gone = [(f"old{n}", None, None, 0.5, True, False) for n in range(40)]
    assumed = [(f"new{n}", None, None, 0.5, False, True) for n in range(40)]
    assert filled(contracts([9.0] * 90), *gone, *assumed) == {}


def test_rows_after_the_refresh_and_of_long_ago_do_not_count() -> None:
    later = [(f"l{n}", None, "a word", -1.0 - n) for n in range(40)]
    old = [(f"o{n}", 9.0, "a word", 24.0 * 400 + n) for n in range(400)]
    assert filled([*contracts([9.0] * 90), *later]) == {}
    assert filled([*contracts([None] * 90), *old]) == {}


def excluded(reasons: Iterable[str | None]) -> dict[str, tuple[int, ...]]:
    rows = [(reason, 1 + 24 * n) for n, reason in enumerate(reasons)]
    return {row[0]: row[1:] for row in ask(EXCLUSIONS, "reason varchar, hours double", rows)}


def test_a_reason_that_takes_over_is_found_and_the_others_are_not() -> None:
    before = [("void" if n % 25 == 0 else None) for n in range(100)]
    assert excluded(before) == {}
    assert excluded(["price_missing"] * 3 + before) == {"price_missing": (3, 3, 0, 100)}
    assert set(excluded(["void"] * 5 + before)) == {"void"}
    assert excluded(["void", *before]) == {}


def test_a_share_is_judged_by_the_likelihood_ratio_of_its_counts() -> None:
    """Compare with half the G statistic by its textbook formula: the sum of observed * log(observed / expected)."""
    drawn = random.Random(5)
    seen = set()
    for _ in range(40):
        newest, before = drawn.randint(1, 28), drawn.randint(0, 120)
        hits, hits_before = drawn.randint(0, newest), int(before * drawn.random() ** 4)
        # The newest row has a price, so that the check does not report an unbroken run of missing prices.
        prices: list[float | None] = [9.0] + [None] * hits + [9.0] * (newest - hits)
        prices = prices[:28] + [9.0] * (28 - len(prices))
        hits = sum(price is None for price in prices)
        old: list[float | None] = [9.0] * (before - hits_before) + [None] * hits_before
        table = [[hits, 28 - hits], [hits_before, before - hits_before]]
        found = "price" in filled(contracts(prices + old))
        wanted = half_g(table) >= 12 and hits / 28 - hits_before / max(before, 1) >= 0.1
        assert found == (wanted and before > 0), table
        seen.add(found)
    assert seen == {True, False}


def half_g(table: list[list[int]]) -> float:
    total = sum(map(sum, table))
    return sum(
        cell * math.log(cell * total / (sum(row) * (table[0][column] + table[1][column])))
        for row in table
        for column, cell in enumerate(row)
        if cell
    )


def test_the_variables_are_the_documented_ones() -> None:
    text = (PROJECT / "docs" / "quality.md").read_text()
    for name in ("profile_days", "profile_rows", "share_days"):
        assert f"`{name}`" in text or f"dbt var {name}" in text, name
