"""Test which raw rows are known by a given time, on handwritten rows.

Unless a test says otherwise, load times from 2024-01-10 on are trusted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from compiled_mart import RAW_TABLES, connect, empty_warehouse, load_table
from feature_mart.audit.cutoffs import choose_cutoffs
from feature_mart.audit.raw_rows import RawWarehouse, read_raw_warehouse
from feature_mart.core.duckdb_files import copy_to
from feature_mart.core.errors import UsageError
from feature_mart.core.settings import Clock
from feature_mart.runner.load_clock import LoadClockLine

TRUSTED = datetime(2024, 1, 10, tzinfo=UTC)
LINE = LoadClockLine(TRUSTED, 24.0)


def january(day: int, hour: int = 0) -> datetime:
    return datetime(2024, 1, day, hour, tzinfo=UTC)


def contract(name: str, at: datetime, loaded_at: datetime, **more: Any) -> dict[str, Any]:
    return {
        "contract_id": name,
        "job_id": "j",
        "agreed_price": 1000,
        "contracted_at": at,
        "status": "active",
        "loaded_at": loaded_at,
        **more,
    }


def warehouse(folder: Path, contracts: list[dict[str, Any]]) -> RawWarehouse:
    empty_warehouse(folder)
    con = connect()
    load_table(con, "main.contracts", RAW_TABLES["contracts"], contracts)
    copy_to(con, "from main.contracts", folder / "contracts.parquet")
    return RawWarehouse(folder, {"contracts": (LINE,)}, ("categories",))


def known(raw: RawWarehouse, at: datetime) -> set[tuple[str, str | None, datetime]]:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        select = raw.known_by(at)["contracts"]
        rows = con.execute(f"select contract_id, status, loaded_at from ({select})").fetchall()
    return set(rows)


def test_a_row_is_known_from_its_load_instant_on_and_not_a_microsecond_before(
    tmp_path: Path,
) -> None:
    raw = warehouse(tmp_path, [contract("a", january(11), january(12))])
    assert known(raw, january(12)) == {("a", "active", january(12))}
    assert known(raw, january(12) - timedelta(microseconds=1)) == set()


def test_a_row_of_before_the_load_clock_is_known_in_its_initial_state_after_the_assumed_lag(
    tmp_path: Path,
) -> None:
    bulk = [contract("b", january(2), january(9, 18), status="cancelled")]
    raw = warehouse(tmp_path, bulk)
    assert known(raw, january(2, 23)) == set()
    assert known(raw, january(3)) == {("b", "active", january(9, 18))}
    assert known(raw, january(9, 18)) == {("b", "cancelled", january(9, 18))}


def test_only_the_first_of_a_key_s_untrusted_rows_stands_in_for_it(tmp_path: Path) -> None:
    rows = [
        contract("c", january(2), january(8)),
        contract("c", january(1), january(9), status="void"),
    ]
    raw = warehouse(tmp_path, rows)
    assert known(raw, january(4)) == {("c", "active", january(8))}


def test_a_period_in_mid_history_holds_only_keys_first_loaded_in_it(tmp_path: Path) -> None:
    period = (january(8), january(9))
    rows = [
        # This key is known from its first load, before the period, although a later version is loaded in the period.
        contract("before", january(2), january(7)),
        contract("before", january(2), january(8, 12), status="void"),
        contract("start", january(2), period[0], status="void"),
        contract("within", january(2), january(8, 12), status="void"),
        contract("within", january(2), january(9, 12), status="completed"),
        contract("end", january(2), period[1]),
    ]
    raw = warehouse(tmp_path, rows)
    line = LoadClockLine(period[1], 24.0, period[0])
    raw = replace(raw, load_clock={"contracts": (LoadClockLine(january(1), 0.0), line)})
    assert known(raw, january(3) - timedelta(microseconds=1)) == set()
    assert known(raw, january(3)) == {
        ("start", "active", january(8)),
        ("within", "active", january(8, 12)),
    }
    assert len(known(raw, january(9, 12))) == 6


def jobs_known(folder: Path, at: datetime, jobs: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    empty_warehouse(folder)
    con = connect()
    load_table(con, "main.jobs", RAW_TABLES["jobs"], jobs)
    copy_to(con, "from main.jobs", folder / "jobs.parquet")
    raw = RawWarehouse(folder, {"jobs": (LINE,)}, ())
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        select = raw.known_by_with_requests(at, at + timedelta(microseconds=1))["jobs"]
        return con.execute(
            f"select job_id, title, status, loaded_at from ({select}) order by all"
        ).fetchall()


def posting(at: datetime, loaded_at: datetime, title: str) -> dict[str, Any]:
    return {
        "job_id": "j",
        "title": title,
        "status": "open",
        "posted_at": at,
        "loaded_at": loaded_at,
    }


def test_a_request_is_known_though_its_job_was_loaded_later_and_its_later_versions_are_not(
    tmp_path: Path,
) -> None:
    jobs = [posting(january(11), january(13), "first"), posting(january(11), january(14), "second")]
    assert jobs_known(tmp_path, january(12), jobs) == [("j", "first", "open", january(13))]
    assert jobs_known(tmp_path, january(10, 23), jobs) == []
    assert len(jobs_known(tmp_path, january(14), jobs)) == 2


def test_a_request_of_before_the_load_clock_is_there_once(tmp_path: Path) -> None:
    bulk = [posting(january(2), january(9), "bulk")]
    assert jobs_known(tmp_path, january(2, 12), bulk) == [("j", "bulk", "open", january(9))]
    assert jobs_known(tmp_path, january(4), bulk) == [("j", "bulk", None, january(9))]


def test_a_table_without_load_times_is_known_from_the_start(tmp_path: Path) -> None:
    raw = warehouse(tmp_path, [])
    category = "select 'c' as category_id, null as parent_category_id, 'design' as name"
    with duckdb.connect() as con:
        copy_to(con, category, tmp_path / "categories.parquet")
    count = f"select count(*) from ({raw.known_by(january(1))['categories']})"
    assert duckdb.sql(count).fetchall() == [(1,)]


def test_the_load_clock_of_another_warehouse_does_not_hold(tmp_path: Path) -> None:
    folder = empty_warehouse(tmp_path / "dwh")
    seeds = tmp_path / "seeds.duckdb"
    with duckdb.connect(str(seeds)) as con:
        con.execute(
            "create table load_clock as from (values "
            "('mine', 'jobs', timestamptz '2024-01-10 00:00:00+00', 24, null), "
            "('other', 'reviews', timestamptz '2024-02-10 00:00:00+00', 24, null), "
            "(null, 'contracts', timestamptz '2024-03-10 00:00:00+00', 0.5, timestamptz '2024-03-09 00:00:00+00'), "
            "(null, 'contracts', timestamptz '2024-02-10 00:00:00+00', 1, null)) "
            't(warehouse, "table", trusted_from, assumed_lag_hours, untrusted_from)'
        )
    raw = read_raw_warehouse(folder, seeds, "mine")
    assert raw.load_clock == {
        "jobs": (LINE,),
        "contracts": (
            LoadClockLine(datetime(2024, 2, 10, tzinfo=UTC), 1.0),
            LoadClockLine(datetime(2024, 3, 10, tzinfo=UTC), 0.5, datetime(2024, 3, 9, tzinfo=UTC)),
        ),
    }
    assert raw.untimed == ()


def test_a_warehouse_that_was_loaded_at_one_time_has_no_future_to_take_away(tmp_path: Path) -> None:
    whole = tmp_path / "whole.duckdb"
    with duckdb.connect(str(whole)) as con:
        con.execute(
            "create schema dwh; create table dwh.jobs as "
            "select timestamptz '2024-01-01 00:00:00+00' + to_days(n::int) as posted_at, "
            "timestamptz '2025-01-01 00:00:00+00' as loaded_at from range(100) t(n); "
            "create table dwh.contracts as select loaded_at from dwh.jobs; "
            "create table int_job__price_label as select loaded_at as label_known_at from dwh.jobs"
        )
    raw = RawWarehouse(tmp_path, {}, ())
    with pytest.raises(UsageError, match="all rows have the same loaded_at"):
        choose_cutoffs(raw, whole, Clock(), 5, 0)
