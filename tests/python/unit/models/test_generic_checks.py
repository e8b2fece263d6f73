"""Test that generic dbt tests pass on good rows and fail on bad rows.

Every generic test has such a case here, or in a file named below.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import jinja2
import pytest

import rendered_macros

GENERIC = Path(__file__).resolve().parents[3] / "generic"


MACROS = rendered_macros.load_macros("duckdb")
#: Tests that read int_mart__profiles, and the test freshness. integration/models/test_quality.py has a failing case for
#: each of these tests.
OVER_TIME = {"null_rate", "cardinality", "volume_change", "psi", "freshness", "label_balance"}
#: A test that reads several models. Its failing cases are in integration/models/test_quality.py.
OF_SEVERAL = {"reasons_borne_out"}
#: Tests that compare shares of rows. The cases of these tests are in test_grown_shares.py.
SHARES = {"stays_filled", "steady_exclusions"}


def render(name: str, present: list[str], **arguments: Any) -> str:
    """Return the SQL of a generic test on the relation ``tested``."""
    source = (GENERIC / f"{name}.sql").read_text()
    source = source.replace("{% test ", "{% macro ").replace("{% endtest %}", "{% endmacro %}")
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], undefined=jinja2.StrictUndefined)
    found = [SimpleNamespace(name=column) for column in present]
    environment.globals.update(
        MACROS,
        execute=True,
        flags=SimpleNamespace(INTROSPECT=True),
        available_at=lambda column: f"{column} + 60",
        ref=str,
        var=lambda name: {"currency": "O'K", "business_timezone": "UTC"}[name],
        config=lambda **_: "",
        adapter=SimpleNamespace(get_columns_in_relation=lambda _relation: found),
    )
    macro = getattr(environment.from_string(source).module, name)
    return str(macro(model="tested", **arguments))


def failing_rows(name: str, rows: str, **arguments: Any) -> int:
    """Return the number of rows that a generic test returns for ``rows``, a relation given as SQL."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute(f"create table tested as {rows}")
    con.execute("create table other as select * from (values (1), (2)) as given (id)")
    con.execute("create table int_mart__clock as select 10 as as_of_at")
    columns = [str(row[0]) for row in con.execute("describe tested").fetchall()]
    return len(con.execute(render(name, columns, **arguments)).fetchall())


def values(text: str, columns: str) -> str:
    return f"select * from (values {text}) as given ({columns})"


def groups(*counts: tuple[int, int], label: str = "price") -> str:
    """Return SQL for rows of int_mart__exclusions, one for each group: its pair of excluded and known jobs."""
    rows = ", ".join(
        f"('{label}', {group}, 0, 0, {excluded}, {known}, {excluded / known})"
        for group, (excluded, known) in enumerate(counts)
    )
    return values(
        rows,
        "label_model, outcome_group, least_outcome, greatest_outcome, excluded_count, known_count, excluded_share",
    )


_POSTINGS = values(
    "('a', 1, 2, 3), ('a', 9, 5, 5), ('b', 10, 10, 10)", "job_id, posted_at, known_at, loaded_at"
)
_TIMES = "job_id, requested_at, entered_at"
_SPINE = values("('a', 1, 2), ('b', 2, 2)", _TIMES)
_LATER_POSTINGS = _POSTINGS.replace("10, 10, 10", "10, 11, 11").replace("1, 2, 3", "11, 2, 3")
_LABELS = "('a', 1, 5, null), ('b', null, 6, 'void')"
_LABEL_COLUMNS = "job_id, x, label_known_at, exclusion_reason"
CASES: dict[str, tuple[str, dict[str, Any], str, list[str]]] = {
    "has_rows": ("has_rows", {}, values("(1)", "id"), ["select 1 as id where false"]),
    "unique_together": (
        "unique_together",
        {"columns": ["id", "day"]},
        values("(1, 1), (1, 2)", "id, day"),
        [values("(1, 1), (1, 1)", "id, day")],
    ),
    "in_range": (
        "in_range",
        {"column_name": "x", "at_least": 0, "at_most": 1},
        values("(0.0::double), (1.0), (null)", "x"),
        [
            values("(-0.1::double)", "x"),
            values("(1.1::double)", "x"),
            values("('nan'::double)", "x"),
            values("('inf'::double)", "x"),
        ],
    ),
    "in_range with one bound": (
        "in_range",
        {"column_name": "x", "at_least": 0},
        values("(0), (9)", "x"),
        [values("(-1)", "x")],
    ),
    "holds": (
        "holds",
        {"expression": "a < b"},
        values("(1, 2)", "a, b"),
        [values("(2, 1)", "a, b"), values("(1, null)", "a, b")],
    ),
    "in_currency": (
        "in_currency",
        {"column_name": "currency"},
        values("('O''K'), (null)", "currency"),
        [values("('JPY')", "currency"), values("('O''K'), ('o''k')", "currency")],
    ),
    "by_day": (
        "by_day",
        {"column_name": "hour"},
        "select case when i < 50 then 22 else 6 end as hour from range(100) given (i)",
        [
            "select case when i < 51 then 22 else 21 end as hour from range(100) given (i)",
            "select case when i < 51 then 5 else 6 end as hour from range(100) given (i)",
        ],
    ),
    "by_day of too few rows": (
        "by_day",
        {"column_name": "hour"},
        "select 0 as hour from range(99)",
        ["select 0 as hour from range(100)"],
    ),
    "currency_stated": (
        "currency_stated",
        {"column_name": "currency", "to": "(select null as currency)"},
        values("(null), ('CAD')", "currency"),
        [values("(null::varchar), (null)", "currency")],
    ),
    "currency_stated by the other relation": (
        "currency_stated",
        {"column_name": "currency", "to": "(select 'CAD' as currency)"},
        values("(null::varchar)", "currency"),
        [],
    ),
    "same_keys_as": (
        "same_keys_as",
        {"to": "other", "key": "id"},
        values("(2), (1)", "id"),
        [values("(1)", "id"), values("(1), (2), (3)", "id"), values("(1), (2), (2)", "id")],
    ),
    "labels_of": (
        "labels_of",
        {"to": f"({values(_LABELS, _LABEL_COLUMNS)})", "label": "x"},
        values(_LABELS, _LABEL_COLUMNS),
        [
            values("('a', 2, 5, null)", _LABEL_COLUMNS),
            values("('a', 1, 5, null), ('b', null, 6, 'outlier')", _LABEL_COLUMNS),
            values("('a', 1, 4, null), ('b', null, 6, 'void')", _LABEL_COLUMNS),
            values("('a', null, 5, 'outlier'), ('b', null, 6, 'void')", _LABEL_COLUMNS),
            values("('a', 1.5, 5, null), ('b', null, 6, 'void')", _LABEL_COLUMNS),
        ],
    ),
    "published": (
        "published",
        {},
        values("(100, 160), (100, 161)", "as_of_at, available_at"),
        [
            values("(100, 159)", "as_of_at, available_at"),
            values("(100, 100)", "as_of_at, available_at"),
            values("(100, null::bigint)", "as_of_at, available_at"),
        ],
    ),
    "requests_of": (
        "requests_of",
        {"to": f"({_SPINE})"},
        values("('b', 2, 2), ('a', 1, 2)", _TIMES),
        [
            values("('a', 1, 2)", _TIMES),
            values("('a', 0, 2), ('b', 2, 2)", _TIMES),
            values("('a', 1, 3), ('b', 2, 2)", _TIMES),
            values("('a', 1, 2), ('b', null, 2)", _TIMES),
        ],
    ),
    "every_posting": (
        "every_posting",
        {"to": f"({_POSTINGS})"},
        values("('a'), ('b')", "job_id"),
        [values("('a')", "job_id"), values("('b')", "job_id"), values("(null)", "job_id")],
    ),
    "every_posting of what is not known or posted yet": (
        "every_posting",
        {"to": f"({_LATER_POSTINGS})"},
        values("('c')", "job_id"),
        [],
    ),
    "even_exclusions": (
        "even_exclusions",
        {},
        groups((1, 100), (5, 100), (0, 100)),
        [
            # One group is excluded far more often than the others, or is the only group without exclusions.
            groups((20, 120), *[(1, 120)] * 9),
            groups((0, 120), *[(30, 120)] * 9),
        ],
    ),
    "even_exclusions of few jobs, of a share that is small, and of nothing else": (
        "even_exclusions",
        {},
        f"{groups((2, 9), *[(0, 9)] * 9)} union all {groups((4_000, 100_000), (0, 100_000), label='x')} "
        f"union all {groups((90, 100), (90, 100), label='y')}",
        [groups((9, 9), *[(0, 9)] * 9), groups((5_000, 100_000), (0, 100_000))],
    ),
    "even_exclusions with another bound": (
        "even_exclusions",
        {"at_least_difference": 0.1},
        groups((9_000, 100_000), (0, 100_000)),
        [groups((11_000, 100_000), (0, 100_000))],
    ),
    "one_version_per_load": (
        "one_version_per_load",
        {"key": ["id"]},
        values("(1, 1, 'a'), (1, 1, 'a'), (1, 2, 'b')", "id, loaded_at, name"),
        [
            values("(1, 1, 'a'), (1, 1, 'b')", "id, loaded_at, name"),
            values("(1, 1, 'a'), (1, 1, null)", "id, loaded_at, name"),
            values("(1, null, 'a'), (1, null, 'b')", "id, loaded_at, name"),
        ],
    ),
    "one_version_per_load without load times": (
        "one_version_per_load",
        {"key": ["id"]},
        values("(1, 'a'), (1, 'a')", "id, name"),
        [values("(1, 'a'), (1, 'b')", "id, name")],
    ),
}


def test_every_generic_check_is_covered() -> None:
    known = {case[0] for case in CASES.values()} | OVER_TIME | SHARES | OF_SEVERAL
    assert known == {path.stem for path in GENERIC.glob("*.sql")}


@pytest.mark.parametrize("case", CASES)
def test_check_passes_on_good_rows(case: str) -> None:
    name, arguments, good, _ = CASES[case]
    assert failing_rows(name, good, **arguments) == 0


@pytest.mark.parametrize("case", CASES)
def test_check_fails_on_bad_rows(case: str) -> None:
    name, arguments, _, bad = CASES[case]
    for rows in bad:
        assert failing_rows(name, rows, **arguments) > 0, rows
