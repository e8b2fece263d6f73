"""Test that the load clock lines proposed by a build add initial versions for keys of bulk loads, and change no row.

The advice of the build must also give the right number of keys and the greatest change of `known_at`.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from compiled_mart import PROJECT, RAW_TABLES, CompiledMart, compile_mart, connect
from feature_mart.cli.summary import bulk_lines
from feature_mart.core import duckdb_files
from feature_mart.core.duckdb_files import copy_to, parquet
from feature_mart.core.raw_contract import CONTRACT, EVENTS
from feature_mart.core.settings import resolve_settings
from feature_mart.pipeline import find_bulk_loads
from feature_mart.runner.load_clock import COLUMNS
from feature_mart.sample import write_sample

JOBS = 4000
ENDS = (datetime(2024, 8, 26, tzinfo=UTC), datetime(2025, 5, 26, tzinfo=UTC))
SPAN = timedelta(days=25)
TABLES = ("jobs", "contracts")
Known = set[tuple[str, datetime, datetime]]


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> CompiledMart:
    return compile_mart(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sample with two spans of 25 days. The jobs and contracts of each span were loaded at its end."""
    folder = tmp_path_factory.mktemp("dwh") / "sample"
    write_sample(folder, JOBS, 4)
    with duckdb_files.connect() as con:
        for table in TABLES:
            key, path = next(iter(CONTRACT[table])), folder / f"{table}.parquet"
            con.execute(f"create table {table} as from {parquet(path)}")
            for end in ENDS:
                within = (
                    f"loaded_at >= timestamptz '{end - SPAN}' and loaded_at < timestamptz '{end}'"
                )
                con.execute(
                    f"create or replace table {table} as from {table} where not ({within}) union all "
                    f"select * replace (timestamptz '{end}' as loaded_at) from {table} where {within} "
                    f"qualify row_number() over (partition by {key} order by loaded_at desc) = 1"
                )
            copy_to(con, f"from {table}", path)
    return folder


def staged(mart: CompiledMart, folder: Path, seed: Sequence[str]) -> dict[str, Known]:
    """Stage the raw rows with these lines of the load clock. Return their (key, loaded_at, known_at) by table."""
    con = connect()
    types = {"trusted_from": "timestamptz", "untrusted_from": "timestamptz"}
    typed = ", ".join(f'"{name}" {types.get(name, "varchar")}' for name in COLUMNS)
    con.execute(f"create table main.load_clock ({typed})")
    con.execute('alter table main.load_clock alter column "assumed_lag_hours" type bigint')
    for values in csv.reader(seed):
        con.execute("insert into main.load_clock values (?, ?, ?, ?, ?, nullif(?, ''))", values)
    found: dict[str, Known] = {}
    for table in TABLES:
        absent = ", ".join(
            f"cast(null as {type_}) as {name}" for name, type_ in RAW_TABLES[table].items()
        )
        con.execute(
            f"create table dwh.{table} as from {parquet(folder / f'{table}.parquet')} "
            f"union all by name select {absent} where false"
        )
        mart.build(con, only=[f"stg_dwh__{table}"])
        key = next(iter(CONTRACT[table]))
        rows = con.execute(
            f"select {key}, loaded_at, known_at from main.stg_dwh__{table}"
        ).fetchall()
        found[table] = set(rows)
    return found


def raw_rows(folder: Path, table: str) -> dict[str, list[tuple[datetime, datetime]]]:
    """Return the (loaded_at, event time) pairs of each key, in order of loaded_at."""
    key = next(iter(CONTRACT[table]))
    with duckdb_files.connect() as con:
        rows: list[Any] = con.execute(
            f"select {key}, loaded_at, {EVENTS[table]} from {parquet(folder / f'{table}.parquet')} "
            "order by loaded_at"
        ).fetchall()
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for name, loaded_at, event_at in rows:
        found.setdefault(name, []).append((loaded_at, event_at))
    return found


def test_the_printed_lines_change_the_bulk_loads_alone_and_as_many_keys_as_was_said(
    mart: CompiledMart,
    warehouse: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = resolve_settings(dwh=str(warehouse), environment={"MART_HOME": str(tmp_path)})
    found = find_bulk_loads(settings)
    assert [bulk.table for bulk in found] == ["jobs", "jobs", "contracts", "contracts"]
    printed = [line.strip() for line in bulk_lines(found, settings.warehouse)]
    printed = [line for line in printed if line.startswith('"sample"')]
    assert len(printed) == 4
    header, *seed = (PROJECT / "seeds" / "load_clock.csv").read_text().splitlines()
    assert next(csv.reader([header])) == list(COLUMNS)
    before, after = staged(mart, warehouse, seed), staged(mart, warehouse, [*seed, *printed])
    for table in TABLES:
        assert not before[table] - after[table], "every row stays known from its load"
        added = after[table] - before[table]
        bulks = [bulk for bulk in found if bulk.table == table]
        rows = raw_rows(warehouse, table)
        expected = set()
        for bulk in bulks:
            assert bulk.line is not None and bulk.line.untrusted_from in ENDS
            lag = timedelta(hours=bulk.line.assumed_lag_hours)
            changed = {
                (key, loads[0][0], loads[0][1] + lag)
                for key, loads in rows.items()
                if loads[0][0] == bulk.line.untrusted_from and loads[0][1] + lag < loads[0][0]
            }
            assert bulk.moved.keys == len(changed) > 20
            assert (
                bulk.moved.greatest
                == max(load - known for _, load, known in changed)
                < 45 * (timedelta(days=1))
            )
            expected |= changed
        assert added == expected
