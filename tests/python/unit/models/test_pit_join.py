"""Compare both SQL forms of the point-in-time join with brute force, on DuckDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiled_mart import connect, load_table
from rendered_macros import load_macros

SPINE = {
    "row_id": "bigint",
    "client_id": "varchar",
    "requested_at": "timestamptz",
    "label": "double",
}
FEATURES = {"client_id": "varchar", "available_at": "timestamptz", "f1": "bigint", "f2": "varchar"}
#: The macros with DuckDB's and BigQuery's SQL form of the join. BigQuery's form also runs on DuckDB here, because
#: struct_of writes DuckDB's syntax.
SHAPES = ("duckdb__pit_join", "default__pit_join")

Row = Mapping[str, Any]


def join_by_hand(spine: Sequence[Row], features: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Join each spine row in a loop with the newest feature row that was available for its key at the request."""
    out = []
    for row in spine:
        usable = [
            feature
            for feature in features
            if feature["client_id"] == row["client_id"]
            and row["client_id"] is not None
            and None not in (feature["available_at"], row["requested_at"])
            and feature["available_at"] <= row["requested_at"]
        ]
        latest = max(usable, key=lambda feature: feature["available_at"], default={})
        out.append((*(row.get(c) for c in SPINE), latest.get("f1"), latest.get("f2")))
    return sorted(out, key=repr)


def join_in_sql(shape: str, spine: Sequence[Row], features: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Run the macro's SELECT inside CTEs like those of a model, and return the sorted rows."""
    con = connect()
    load_table(con, "main.given_spine", SPINE, spine)
    load_table(con, "main.given_features", FEATURES, features)
    select = load_macros("duckdb")[shape](
        "spine", "features", "client_id", ["f1", "f2"], "requested_at", "available_at"
    )
    con.execute("set TimeZone = 'UTC'")
    rows = con.execute(
        "with spine as (select * from given_spine), "
        "features as (select * from given_features where client_id is not null), "
        f"joined as ({select}) "
        "select row_id, client_id, cast(requested_at as varchar), label, f1, f2 from joined"
    ).fetchall()
    return sorted(rows, key=repr)


def at(hour: int, minute: int = 0, micro: int = 0) -> str:
    """Return the text that DuckDB prints for a UTC time, given as the time since the start of 1 March 2024."""
    fraction = f".{micro:06d}".rstrip("0") if micro else ""
    return f"2024-03-{1 + hour // 24:02d} {hour % 24:02d}:{minute:02d}:00{fraction}+00"


CASES: dict[str, tuple[list[Row], list[Row]]] = {
    "a spine row whose only features are later is kept with NULLs": (
        [{"row_id": 1, "client_id": "a", "requested_at": at(1)}],
        [{"client_id": "a", "available_at": at(2), "f1": 1, "f2": "x"}],
    ),
    "duplicate spine keys with two labels are both kept": (
        [
            {"row_id": 1, "client_id": "a", "requested_at": at(5), "label": 1.0},
            {"row_id": 1, "client_id": "a", "requested_at": at(5), "label": 2.0},
        ],
        [{"client_id": "a", "available_at": at(2), "f1": 1, "f2": "x"}],
    ),
    "rows that are equal in every column are both kept": (
        [{"row_id": 1, "client_id": "a", "requested_at": at(5)}] * 2,
        [{"client_id": "a", "available_at": at(2), "f1": 1, "f2": "x"}],
    ),
    "a tie at exactly the request is used": (
        [{"row_id": 1, "client_id": "a", "requested_at": at(2)}],
        [
            {"client_id": "a", "available_at": at(1), "f1": 1, "f2": "x"},
            {"client_id": "a", "available_at": at(2), "f1": 2, "f2": "y"},
        ],
    ),
    "a microsecond later is not": (
        [{"row_id": 1, "client_id": "a", "requested_at": at(2)}],
        [
            {"client_id": "a", "available_at": at(1), "f1": 1, "f2": "x"},
            {"client_id": "a", "available_at": at(2, micro=1), "f1": 2, "f2": "y"},
        ],
    ),
    "a NULL in the newest row stays NULL": (
        [{"row_id": 1, "client_id": "a", "requested_at": at(9)}],
        [
            {"client_id": "a", "available_at": at(1), "f1": 1, "f2": "x"},
            {"client_id": "a", "available_at": at(2), "f1": None, "f2": None},
        ],
    ),
    "a NULL key matches no NULL key": (
        [{"row_id": 1, "client_id": None, "requested_at": at(9)}],
        [{"client_id": None, "available_at": at(1), "f1": 1, "f2": "x"}],
    ),
    "a spine row without a time has NULLs": (
        [
            {"row_id": 1, "client_id": "a", "requested_at": None},
            {"row_id": 2, "client_id": "a", "requested_at": at(9)},
        ],
        [{"client_id": "a", "available_at": at(1), "f1": 1, "f2": "x"}],
    ),
    "a feature row without a time is never used": (
        [
            {"row_id": 1, "client_id": "a", "requested_at": None},
            {"row_id": 2, "client_id": "a", "requested_at": at(9)},
        ],
        [{"client_id": "a", "available_at": None, "f1": 1, "f2": "x"}],
    ),
    "an entity never seen has NULLs": (
        [{"row_id": 1, "client_id": "b", "requested_at": at(9)}],
        [{"client_id": "a", "available_at": at(1), "f1": 1, "f2": "x"}],
    ),
    "an empty feature table loses no row": (
        [{"row_id": 1, "client_id": "a", "requested_at": at(9)}],
        [],
    ),
    "an empty spine gives none": (
        [],
        [{"client_id": "a", "available_at": at(1), "f1": 1, "f2": "x"}],
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("case", CASES)
def test_pit_join_case(shape: str, case: str) -> None:
    spine, features = CASES[case]
    assert join_in_sql(shape, spine, features) == join_by_hand(spine, features)


@pytest.mark.parametrize("shape", SHAPES)
def test_pit_join_compares_instants_not_wall_clocks(shape: str) -> None:
    """Join a spine in Tokyo's zone with features in UTC: 09:00+09 is midnight UTC."""
    spine = [{"row_id": 1, "client_id": "a", "requested_at": "2024-03-01 09:00:00+09"}]
    features = [
        {"client_id": "a", "available_at": "2024-03-01 00:00:00+00", "f1": 1, "f2": "used"},
        {"client_id": "a", "available_at": "2024-03-01 00:00:01+00", "f1": 2, "f2": "later"},
    ]
    assert [row[-1] for row in join_in_sql(shape, spine, features)] == ["used"]


_KEY = st.sampled_from(["a", "b", "c", None])
_TIME = st.builds(at, st.integers(0, 47), st.sampled_from([0, 30]), st.sampled_from([0, 1]))


@settings(max_examples=25, deadline=None)
@given(
    spine=st.lists(
        st.fixed_dictionaries(
            {
                "row_id": st.integers(0, 3),
                "client_id": _KEY,
                "requested_at": _TIME,
                "label": st.just(0.5),
            }
        ),
        max_size=12,
    ),
    features=st.lists(
        st.fixed_dictionaries(
            {
                "client_id": _KEY,
                "available_at": _TIME,
                "f1": st.none() | st.integers(0, 9),
                "f2": st.none() | st.sampled_from("xyz"),
            }
        ),
        max_size=20,
        unique_by=lambda row: (row["client_id"], row["available_at"]),
    ),
)
def test_pit_join_shapes_equal_brute_force(spine: list[Row], features: list[Row]) -> None:
    expected = join_by_hand(spine, features)
    for shape in SHAPES:
        assert join_in_sql(shape, spine, features) == expected


def test_pit_join_without_struct_packing_would_skip_nulls() -> None:
    """Show why a STRUCT is needed: LAST_VALUE with IGNORE NULLS on a single column skips a NULL in the newest row."""
    naive = duckdb.sql(
        "select last_value(f ignore nulls) over (order by t) as f "
        "from (values (1, 7), (2, cast(null as integer))) as given (t, f) qualify t = 2"
    ).fetchall()
    assert naive == [(7,)]
