"""Test the models against the brute-force oracle on random histories."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from compiled_mart import CompiledMart, compile_mart
from oracle import Tables, World, expected_tables, histories, instants
from oracle.instants import LOAD_CLOCK
from oracle_builds import build_world
from oracle_differences import differences

#: The number of random universes that `test_models_equal_oracle` compares in total. `make audit` compares 30,000.
HISTORIES = int(os.environ.get("ORACLE_HISTORIES", "2500"))
_A_QUERY = 250

Draw = Callable[[Random], tuple[Tables, World]]


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> CompiledMart:
    return compile_mart(tmp_path_factory.mktemp("compiled"))


def wild_warehouse(rng: Random) -> tuple[Tables, World]:
    """Return universes with random irregularities, and `histories.WORLD`, in some draws as of an earlier day."""
    days_back = rng.choice((0, 0, 1, 40, 120, 365, 400, 420))
    as_of = histories.WORLD.as_of - timedelta(days=days_back)
    many = [histories.random_universe(rng, f"u{number}") for number in range(_A_QUERY)]
    return histories.merged(many), replace(histories.WORLD, as_of=as_of)


def edgy_warehouse(rng: Random) -> tuple[Tables, World]:
    """Return universes with many times on or next to refreshes and midnights, and a world as of one of `AS_OF`."""
    many = [instants.random_universe(rng, f"u{number}") for number in range(_A_QUERY)]
    return instants.merge(many), World(as_of=rng.choice(instants.AS_OF), load_clock=LOAD_CLOCK)


@pytest.mark.parametrize("draw", [wild_warehouse, edgy_warehouse])
def test_models_equal_oracle(mart: CompiledMart, draw: Draw) -> None:
    @settings(
        max_examples=max(1, HISTORIES // 2 // _A_QUERY),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=st.integers(0, 2**48))
    def check(seed: int) -> None:
        tables, world = draw(Random(seed))
        with build_world(mart, tables, world) as con:
            found = differences(con, expected_tables(tables, world))
        assert not found, f"seed {seed}, as of {world.as_of}:\n" + "\n".join(found[:12])

    check()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables=histories.warehouses(max_universes=3))
def test_smallest_histories_equal_oracle(mart: CompiledMart, tables: Tables) -> None:
    """Compare few histories at a time, so that Hypothesis can shrink a failure."""
    with build_world(mart, tables, histories.WORLD) as con:
        assert differences(con, expected_tables(tables, histories.WORLD)) == []


def test_oracle_knows_every_column_and_random_histories_give_it_a_value(mart: CompiledMart) -> None:
    """Fail, with advice, for a column that the oracle lacks or that is 0 or NULL in all random histories."""
    tables, world = wild_warehouse(Random(1))
    expected = expected_tables(tables, world)
    with build_world(mart, tables, world) as con:
        assert differences(con, expected) == []
    for table, rows in expected.items():
        assert rows, (
            f"{table}: the random histories make no row of it; extend tests/oracle/histories.py"
        )
        for name in rows[0]:
            assert any(row[name] not in {None, 0} for row in rows), (
                f"{table}.{name}: it is 0 or NULL in all random histories, so nothing is verified; extend "
                "tests/oracle/histories.py"
            )


def test_differences_are_seen(mart: CompiledMart) -> None:
    """Show that the comparison fails for a changed value, a lost row and a duplicated row."""
    tables, world = wild_warehouse(Random(1))
    expected = expected_tables(tables, world)
    with build_world(mart, tables, world) as con:
        assert differences(con, expected) == []
        con.execute("update main.feat_client__history set client_contract_count_all = 99")
        assert differences(con, expected)
    for statement in (
        "delete from main.int_job__requests where job_id = (select min(job_id) from main.int_job__requests)",
        "insert into main.int_job__requests select * from main.int_job__requests limit 1",
    ):
        with build_world(mart, tables, world) as con:
            con.execute(statement)
            assert differences(con, expected)
