"""Compare DuckDB with GoogleSQL's reference implementation on random histories and on a perturbed sample."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from compiled_mart import CompiledMart, compile_mart
from feature_mart.audit import perturb_warehouse
from feature_mart.audit.raw_rows import read_raw_warehouse
from feature_mart.conformance.duckdb_tables import DuckDBTables
from feature_mart.conformance.models import MartTables, compare_models
from feature_mart.conformance.reference_sample import build_twice, compare_builds, compile_on
from feature_mart.core.settings import SAMPLE, resolve_settings
from feature_mart.raw.warehouse import newest_load
from feature_mart.runner.compiled import compile_project
from feature_mart.sample import write_sample
from oracle import Tables, World, histories, instants
from oracle.instants import LOAD_CLOCK
from oracle_builds import build_world

pytestmark = pytest.mark.audit

#: The number of warehouses from each of `wild` and `edgy`; a warehouse has `_HISTORIES` histories. `make audit` sets
#: ORACLE_HISTORIES to 30,000, which gives 6 warehouses.
_WAREHOUSES = max(1, int(os.environ.get("ORACLE_HISTORIES", "5000")) // 5000)
_HISTORIES = 20
_DAYS_BEFORE_LAST = (300, 120, 40, 8)


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> CompiledMart:
    return compile_mart(tmp_path_factory.mktemp("compiled"))


def wild(rng: Random) -> tuple[Tables, World]:
    many = [histories.random_universe(rng, f"u{number}") for number in range(_HISTORIES)]
    as_of = histories.WORLD.as_of - timedelta(days=rng.choice((0, 1, 120, 400)))
    return histories.merged(many), replace(histories.WORLD, as_of=as_of)


def edgy(rng: Random) -> tuple[Tables, World]:
    many = [instants.random_universe(rng, f"u{number}") for number in range(_HISTORIES)]
    return instants.merge(many), World(as_of=rng.choice(instants.AS_OF), load_clock=LOAD_CLOCK)


@pytest.mark.parametrize("seed", range(_WAREHOUSES))
@pytest.mark.parametrize("draw", [wild, edgy])
def test_random_histories_give_equal_tables(
    mart: CompiledMart, draw: object, seed: int, tmp_path: Path
) -> None:
    tables, world = (wild if draw is wild else edgy)(Random(seed))
    (tmp_path / "none").mkdir()
    settings = resolve_settings(
        dwh=str(tmp_path / "none"), environment={"MART_HOME": str(tmp_path / "home")}
    )
    with build_world(mart, tables, world) as con:
        built = MartTables(DuckDBTables(con), DuckDBTables(con, "dwh"))
        models = [
            model
            for model in compile_on(built, settings, None)
            # Leave out the clock, because it was compiled without `as_of` and would use the wall clock.
            if model.name != "int_mart__clock"
        ]
        compared = compare_models(models, built)
    print(
        f"{draw.__name__}: {len(compared)} models, {sum(each.rows for each in compared)} rows, "  # type: ignore[attr-defined]
        f"{sum(each.values for each in compared)} values"
    )
    assert [each for each in compared if each.differences] == []
    assert len(compared) > 40


def test_a_perturbed_sample_gives_equal_tables(tmp_path: Path) -> None:
    whole = tmp_path / "whole" / SAMPLE
    write_sample(whole, 60, 5)
    settings = resolve_settings(dwh=str(whole), environment={"MART_HOME": str(tmp_path / "home")})
    loaded = newest_load(whole)
    assert loaded is not None
    project = compile_project(settings, settings.clock.refresh_at(loaded), tmp_path)
    raw = read_raw_warehouse(whole, project.seeds, settings.warehouse)
    around = [loaded - timedelta(days=days) for days in _DAYS_BEFORE_LAST]
    perturb_warehouse(raw, tmp_path / SAMPLE, around, seed=1)
    perturbed = resolve_settings(
        dwh=str(tmp_path / SAMPLE), environment={"MART_HOME": str(tmp_path / "perturbed_home")}
    )
    report = compare_builds(build_twice(perturbed, tmp_path))
    for compared in (report.first, report.later):
        print(
            f"{len(compared)} models, {sum(each.rows for each in compared)} rows, "
            f"{sum(each.values for each in compared)} values"
        )
        assert [each for each in compared if each.differences] == []
