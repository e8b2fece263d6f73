"""Changes that let nothing of the future in: the leakage audit raises no alarm, whatever they do to the plan.

tests/plants/cleans.yml was written by somebody who had not read the audit.
"""

from __future__ import annotations

import pytest

from plants import Plant, PlantBench, in_batches, read_plants

CLEANS = read_plants("cleans")
_BATCHES = in_batches(CLEANS)
#: The largest take a minute and hold three changes of four; `make audit` judges all, and each by itself.
_QUICK = 2


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> PlantBench:
    return PlantBench(tmp_path_factory.mktemp("cleans"))


def test_the_mart_as_it_is_raises_no_alarm_and_is_judged_at_every_cutoff(bench: PlantBench) -> None:
    assert bench.clean.is_clean
    assert len(bench.clean.cutoffs) == 5 and not bench.clean.empty
    never = {f"{model}.{name}" for model, names in bench.clean.constant.items() for name in names}
    assert len(never) < 20, "so few columns vary that the audit says little"


@pytest.mark.parametrize(
    "batch",
    [
        pytest.param(
            batch, marks=[] if number < _QUICK else [pytest.mark.audit], id=f"{len(batch)} at once"
        )
        for number, batch in enumerate(_BATCHES)
    ],
)
def test_clean_changes_raise_no_alarm(bench: PlantBench, batch: list[Plant]) -> None:
    verdict = bench.judge(batch)
    assert len(verdict.altered) > len(batch) / 4
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
