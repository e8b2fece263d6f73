"""Test that ``bench.reads`` finds which columns of a table a query reads, and which fraction of the table's rows."""

from __future__ import annotations

import pytest
from sqlglot import parse_one

from bench.reads import Reader, Table

TABLES = {
    "requests": Table(100, {"job_id": 10, "client_id": 10, "title": 60, "entered_at": 8}),
    "history": Table(100, {"client_id": 10, "as_of_at": 8, "n": 8, "unused": 8}),
    "raw_jobs": Table(100, {"job_id": 10, "loaded_at": 8, "status": 6}),
}
VIEW = """
    with source as (select * from dwh.raw_jobs),
    deduplicated as (
        select cast(job_id as string) as job_id, max(status) as status, loaded_at from source group by job_id, loaded_at
    )
    select job_id, status, loaded_at, loaded_at as known_at from deduplicated
"""
PARTITIONS = {"requests": ("entered_at", 1.0), "raw_jobs": ("loaded_at", 1.0)}
MARK = "timestamp_micros(0)"


def found(sql: str) -> dict[str, tuple[set[str], float]]:
    """Return, by table, the columns that a query reads and the largest fraction of the table's rows in one read."""
    reader = Reader({"jobs": parse_one(VIEW, dialect="bigquery")}, TABLES, PARTITIONS, days=200.0)
    by_table: dict[str, tuple[set[str], float]] = {}
    for read in reader.reads(parse_one(sql, dialect="bigquery"), {}):
        columns, share = by_table.get(read.table, (set(), 0.0))
        by_table[read.table] = columns | read.columns, max(share, read.share)
    return by_table


def test_of_imported_rows_only_used_columns_are_read() -> None:
    sql = "with r as (select * from mart.requests) select job_id from r where client_id is not null"
    assert found(sql) == {"requests": ({"job_id", "client_id"}, 1.0)}


def test_rows_that_ride_along_in_a_struct_are_read_as_they_were_written_out() -> None:
    sql = """
        with spine as (select job_id, client_id from mart.requests),
        joined as (
            select spine_row.*, feature_row.n
            from (
                select stream.spine_row, last_value(stream.feature_row ignore nulls) over (
                    partition by stream.key order by stream.at rows between unbounded preceding and current row
                ) as feature_row
                from (
                    select history.client_id as key, history.as_of_at as at, struct(history.n as n) as feature_row,
                        null as spine_row
                    from mart.history as history
                    union all
                    select spine.client_id, null, null, spine from spine
                ) as stream
            ) as latest
        )
        select job_id, n from joined
    """
    assert found(sql) == {
        "requests": ({"job_id", "client_id"}, 1.0),
        "history": ({"client_id", "as_of_at", "n"}, 1.0),
    }


@pytest.mark.parametrize(
    ("where", "share"),
    [
        (f"entered_at > {MARK}", 2 / 200),
        (f"entered_at > timestamp_add({MARK}, interval -24 * 28 hour)", 30 / 200),
        (f"{MARK} < entered_at and client_id is not null", 2 / 200),
        (f"entered_at > {MARK} or client_id is null", 1.0),
        ("entered_at > (select max(as_of_at) from mart.history)", 1.0),
        ("entered_at > cast('1970-01-01 00:00:00+00' as timestamp)", 1.0),
        (f"timestamp_add(entered_at, interval 1 hour) > {MARK}", 1.0),
    ],
)
def test_only_a_constant_bound_on_the_column_itself_prunes(where: str, share: float) -> None:
    sql = f"with r as (select * from mart.requests) select job_id from r where {where}"
    assert found(sql)["requests"][1] == pytest.approx(share)


def test_a_join_prunes_what_it_joins_and_nothing_by_equality() -> None:
    sql = "select r.job_id, s.title from mart.requests as r left join mart.requests as s on r.job_id = s.job_id"
    assert found(sql)["requests"][1] == 1.0
    bounded = f"{sql} and s.entered_at > {MARK} where r.entered_at > {MARK}"
    assert found(bounded)["requests"][1] == pytest.approx(2 / 200)
    assert found(f"{sql} and r.entered_at > {MARK}")["requests"][1] == 1.0


def test_a_bound_passes_through_a_view_by_the_keys_it_groups_by() -> None:
    assert found(f"select job_id from mart.jobs where known_at > {MARK}") == {
        "raw_jobs": ({"job_id", "loaded_at"}, pytest.approx(2 / 200))
    }
    by_status = f"select job_id from mart.jobs where status > {MARK}"
    assert found(by_status) == {"raw_jobs": ({"job_id", "loaded_at", "status"}, 1.0)}


def test_a_window_is_passed_only_by_its_partition() -> None:
    window = "select *, row_number() over (partition by {} order by title) as n from mart.requests"
    sql = f"select job_id from ({window}) as r where entered_at > {MARK}"
    assert found(sql.format("entered_at"))["requests"][1] == pytest.approx(2 / 200)
    assert found(sql.format("client_id"))["requests"][1] == 1.0


def test_nothing_is_read_where_nothing_can_be_true() -> None:
    assert found("select job_id from mart.requests where false") == {}
