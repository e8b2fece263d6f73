"""Fuzz the raw contract: valid warehouses give the oracle's values, and the message about a fault names the fault.

If the environment variable RAW_WAREHOUSES is n, the tests write n / 2 valid warehouses and 2 n warehouses with one
fault each. The default is 20; `make audit` sets the variable to 300.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from compiled_mart import CompiledMart, compile_mart, connect
from feature_mart.core.errors import UsageError
from feature_mart.raw.warehouse import check_warehouse, raw_select
from oracle import expected_tables, histories
from oracle_builds import build_on_raw
from oracle_differences import differences
from raw_fuzz import FAULTS, write_anyhow
from toy_project import write_warehouse

WAREHOUSES = int(os.environ.get("RAW_WAREHOUSES", "20"))
#: The number of universes (small independent histories) in a valid warehouse.
_UNIVERSES = 12


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> CompiledMart:
    return compile_mart(tmp_path_factory.mktemp("compiled"))


def test_what_the_contract_takes_gives_the_oracle_s_values(
    mart: CompiledMart, tmp_path: Path
) -> None:
    for seed in range(WAREHOUSES // 2):
        rng = Random(seed)
        tables = _drawn(rng, _UNIVERSES)
        folder = tmp_path / f"{seed}"
        drawn = write_anyhow(rng, tables, folder)
        check_warehouse(folder)
        with connect() as con:
            for table in tables:
                con.execute(f"create view dwh.{table} as {raw_select(folder, table, con)}")
            build_on_raw(mart, con, histories.WORLD)
            found = differences(con, expected_tables(tables, histories.WORLD))
        assert not found, f"seed {seed}:\n" + "\n".join([*drawn, *found[:12]])


def test_what_the_contract_refuses_is_one_line_that_names_table_and_column(tmp_path: Path) -> None:
    tried: Counter[str] = Counter()
    for seed in range(WAREHOUSES * 2):
        rng = Random(seed)
        fault = FAULTS[seed % len(FAULTS)]
        tables = _drawn(rng, 3)
        folder = write_warehouse(tmp_path / f"{seed}", tables["jobs"], **_others(tables))
        # Try the tables in random order, because not every table has rows and a column for this fault.
        said = None
        for table in rng.sample(sorted(tables), len(tables)):
            said = said or fault.spoil(rng, folder, table)
        assert said is not None
        tried[fault.about] += 1
        try:
            check_warehouse(folder)
        except UsageError as error:
            refused = str(error)
        else:
            raise AssertionError(f"seed {seed}: {fault.about} was taken: {said}")
        first, *lines = refused.splitlines()
        assert str(folder) in first and first.endswith(":")
        # A fault may give more than one line: a missing or mistyped key may make a second column unreadable, and a
        # spoiled table of contracts may already contain a refused amount.
        assert lines and lines[0].startswith(f"  - {said}"), (fault.about, seed, said, lines)
        assert all(len(line) < 400 for line in lines) and len(lines) <= 3
    assert set(tried) == {fault.about for fault in FAULTS}


def _drawn(rng: Random, universes: int) -> histories.Universe:
    """Draw a warehouse without amounts that the raw contract refuses; other tests run the models on such amounts."""
    tables = histories.merged([histories.random_universe(rng, f"u{n}") for n in range(universes)])
    for table, names in (
        ("jobs", ("budget_min", "budget_max")),
        ("proposals", ("proposed_price",)),
    ):
        for row in tables[table]:
            for name in names:
                if row.get(name) is not None and (row[name] < 0 or 0 < row[name] < 0.5):
                    row[name] = None
    return tables


def _others(tables: histories.Universe) -> histories.Universe:
    return {name: rows for name, rows in tables.items() if name != "jobs"}
