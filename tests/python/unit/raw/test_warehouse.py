"""Test the checks of the raw warehouse's structure before dbt starts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from compiled_mart import RAW_TABLES
from feature_mart.core.duckdb_files import copy_to, parquet
from feature_mart.core.errors import UsageError
from feature_mart.core.raw_contract import CONTRACT, OPTIONAL, REQUIRED
from feature_mart.raw.warehouse import check_warehouse, newest_load
from toy_project import job, write_warehouse

LOADED = "2024-03-01 00:00:00+00"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_warehouse(tmp_path / "dwh", [job(number) for number in range(3)])


def rewrite(folder: Path, table: str, select: str) -> None:
    """Write a table again from a SELECT over ``raw``, which contains the old rows."""
    path = folder / f"{table}.parquet"
    con = duckdb.connect()
    con.execute(f"set TimeZone = 'UTC'; create table raw as from {parquet(path)}")
    copy_to(con, select, path)


def faults(folder: Path) -> list[str]:
    with pytest.raises(UsageError) as refused:
        check_warehouse(folder)
    assert str(folder) in str(refused.value)
    return str(refused.value).splitlines()[1:]


def test_a_sound_warehouse_passes(folder: Path) -> None:
    check_warehouse(folder)


def test_the_contract_is_the_tests_own(folder: Path) -> None:
    for table, columns in RAW_TABLES.items():
        assert {*CONTRACT[table], *OPTIONAL[table]} == set(columns)
        assert REQUIRED[table] <= set(CONTRACT[table])


def test_a_folder_that_is_not_there_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder: set --dwh or MART_DWH"):
        check_warehouse(tmp_path / "absent")


@pytest.mark.parametrize(
    ("table", "select", "said"),
    [
        ("jobs", "select * exclude (client_id) from raw", "jobs.client_id is missing; add"),
        ("reviews", "select * exclude (rating) from raw", "reviews.rating is missing; add"),
        (
            "contracts",
            "select * replace (cast(agreed_price as varchar) as agreed_price) from raw",
            "contracts.agreed_price is VARCHAR, but must be a number",
        ),
        (
            "jobs",
            "select * replace (cast(posted_at as timestamp) as posted_at) from raw",
            "jobs.posted_at is TIMESTAMP, a timestamp without a time zone",
        ),
        (
            "clients",
            "select * replace (cast(registered_at as date) as registered_at) from raw",
            "clients.registered_at is DATE, but must be a timestamp",
        ),
        (
            "jobs",
            "select * replace (1 as job_id) from raw",
            "jobs.job_id is INTEGER, but must be text",
        ),
        (
            "clients",
            "select * replace ('no' as is_deleted) from raw",
            "clients.is_deleted is VARCHAR, but must be a boolean",
        ),
        ("jobs", "select * from raw where false", "jobs: the table has no rows"),
    ],
)
def test_each_fault_is_one_line(folder: Path, table: str, select: str, said: str) -> None:
    rewrite(folder, table, select)
    (fault,) = faults(folder)
    assert fault.startswith(f"  - {said}")


def test_all_faults_are_told_together(folder: Path) -> None:
    (folder / "reviews.parquet").unlink()
    (folder / "clients.parquet").write_bytes(b"not parquet")
    rewrite(folder, "jobs", "select * exclude (status, title) from raw")
    found = faults(folder)
    assert [fault.split()[1].rstrip(":") for fault in found] == [
        "clients",
        "jobs.title",
        "jobs.status",
        "reviews",
    ]
    assert "cannot be read as Parquet" in found[0]
    assert "reviews.parquet is missing" in found[3]


@pytest.mark.parametrize(
    ("table", "select"),
    [
        ("jobs", "select * exclude (is_deleted) from raw"),
        ("categories", "select * exclude (loaded_at) from raw"),
        ("job_skills", "select * exclude (loaded_at, is_deleted) from raw"),
        ("jobs", "select * replace (null as description, null as apply_deadline_at) from raw"),
        ("jobs", "select *, 'more' as a_column_of_ours from raw"),
        ("jobs", "select job_id as JOB_ID, * exclude (job_id) from raw"),
        ("jobs", "select * replace (cast(budget_max as double) as budget_max) from raw"),
    ],
)
def test_what_the_contract_leaves_open_passes(folder: Path, table: str, select: str) -> None:
    rewrite(folder, table, select)
    check_warehouse(folder)


def test_instants_of_nanoseconds_and_columns_without_any_value_pass(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "jobs.parquet"
    table = pq.read_table(path, partitioning=None)
    for name in ("posted_at", "loaded_at"):
        position = table.schema.get_field_index(name)
        table = table.set_column(
            position, name, table.column(name).cast(pa.timestamp("ns", tz="UTC"))
        )
    position = table.schema.get_field_index("description")
    table = table.set_column(position, "description", pa.nulls(table.num_rows))
    pq.write_table(table, path)
    check_warehouse(folder)
    assert newest_load(folder) == datetime(2024, 3, 1, tzinfo=UTC)


def test_an_overwritten_source_needs_no_load_time(folder: Path) -> None:
    rewrite(folder, "clients", "select * exclude (loaded_at) from raw")
    check_warehouse(folder, ["clients"])
    assert faults(folder)[0].startswith("  - clients.loaded_at is missing")


def test_newest_load_is_over_all_tables(tmp_path: Path) -> None:
    late = {"job_id": "j1", "skill": "sql", "loaded_at": "2024-05-01 00:00:00+00"}
    folder = write_warehouse(tmp_path / "dwh", [job(1)], job_skills=[late])
    assert newest_load(folder) == datetime(2024, 5, 1, tzinfo=UTC)
    assert newest_load(write_warehouse(tmp_path / "empty")) is None
