"""Test that leaks that a careless author could merge are found, and that honest changes raise no alarm.

The author of merged_leaks.yml and honest_changes.yml had not read the code of the audit. The leakage audit at five
cutoffs or a check of the build must find each leak, except the leaks in UNSEEN, which has the reasons.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from plants import RARE_NIGHTS, Plant, PlantBench, in_batches, read_plants

LEAKS, HONEST = read_plants("merged_leaks"), read_plants("honest_changes")
#: Maps each leak that neither the leakage audit at five cutoffs nor a check of the build finds to the reason.
UNSEEN = {
    "skill_set_of_the_day_after": "job_skills has no load times, which the audit says",
    "bigquery_pit_join_an_hour_ahead": "the audit runs on DuckDB; the builds of both engines are compared in make test",
    "macro_with_fitted_coefficients": "a constant in SQL",
    "var_with_the_market_mean": "a single number among the vars, which the audit lists as not judged",
    "seed_of_premium_clients": "these are the best clients of another sample, which the test below has",
    "text_words_mined_from_prices": "a choice of words, which the audit lists as not judged",
    **dict.fromkeys(RARE_NIGHTS, "rare: --every-refresh names it, in test_every_refresh.py"),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> PlantBench:
    return PlantBench(tmp_path_factory.mktemp("merged"), jobs=1200)


@pytest.mark.audit
@pytest.mark.parametrize("plant", LEAKS, ids=lambda plant: plant.name)
def test_a_leak_is_found_by_some_check(bench: PlantBench, plant: Plant) -> None:
    verdict = bench.judge([plant], has_modes=True)
    assert verdict.is_caught is (plant.name not in UNSEEN), verdict


@pytest.mark.audit
@pytest.mark.parametrize("batch", in_batches(HONEST), ids=lambda batch: f"{len(batch)} at once")
def test_honest_changes_raise_no_alarm(bench: PlantBench, batch: list[Plant]) -> None:
    verdict = bench.judge(batch, has_modes=True)
    assert not verdict.is_caught, verdict


@pytest.mark.audit
def test_a_list_of_the_best_clients_is_found_in_the_sample_that_it_was_made_from(
    tmp_path: Path,
) -> None:
    (plant,) = (each for each in LEAKS if each.name == "seed_of_premium_clients")
    verdict = PlantBench(tmp_path, jobs=2000, seed=0).judge([plant])
    (found,) = verdict.inputs
    assert found.startswith("seed premium_clients: the choice of keys follows")


def test_there_are_a_hundred_leaks_of_every_kind_and_sixty_honest_changes() -> None:
    assert len({plant.name for plant in LEAKS}) == len(LEAKS) >= 100
    assert len({plant.name for plant in HONEST}) == len(HONEST) >= 60
    assert {plant.kind for plant in LEAKS} == {plant.kind for plant in HONEST}
    assert UNSEEN.keys() <= {plant.name for plant in LEAKS}
