"""What the leakage audit is worth: planted leaks are named by their columns, clean changes raise no alarm.

tests/plants/leaks.yml and cleans.yml were written by people who had not read the audit, and are not fitted to it.
"""

from __future__ import annotations

import pytest

from plants import Plant, PlantBench, in_batches, read_plants

CLEANS = read_plants("cleans")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> PlantBench:
    return PlantBench(tmp_path_factory.mktemp("plants"))


def test_the_mart_as_it_is_raises_no_alarm_and_is_judged_at_every_cutoff(bench: PlantBench) -> None:
    assert bench.clean.is_clean
    assert len(bench.clean.cutoffs) == 5 and not bench.clean.empty
    never = {f"{model}.{name}" for model, names in bench.clean.constant.items() for name in names}
    assert len(never) < 20, "so few columns vary that the audit says little"


@pytest.mark.parametrize(
    "batch", in_batches(CLEANS), ids=lambda batch: f"{len(batch)} from {batch[0].name}"
)
def test_clean_changes_raise_no_alarm(bench: PlantBench, batch: list[Plant]) -> None:
    verdict = bench.judge(batch)
    assert verdict.altered
    assert not verdict.named


@pytest.mark.audit
@pytest.mark.parametrize("plant", CLEANS, ids=lambda plant: plant.name)
def test_each_clean_change_alters_compiled_code_and_raises_no_alarm(
    bench: PlantBench, plant: Plant
) -> None:
    verdict = bench.judge([plant])
    assert verdict.altered, "this change does not reach the compiled code"
    assert not verdict.named


def test_there_are_forty_clean_changes_and_half_of_them_change_the_plan() -> None:
    plans = sum(plant.kind == "plan" for plant in CLEANS)
    assert len(CLEANS) >= 40 and 2 * plans >= len(CLEANS) - 1
