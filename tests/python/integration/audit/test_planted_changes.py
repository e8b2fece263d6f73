"""Test that the leakage audit names planted leaks by their columns, and raises no alarm on honest changes.

A leak counts as found only if the audit names all columns of the leak. The authors of leaks.yml and cleans.yml had not
read the code of the audit; leaks_of_the_author.yml is by the author of the audit.
"""

from __future__ import annotations

import pytest

from plants import Plant, PlantBench, in_batches, read_plants

UNSEEN, CLEANS = read_plants("leaks"), read_plants("cleans")
LEAKS = [*UNSEEN, *read_plants("leaks_of_the_author")]
#: The leaks that `make test` plants: in a SQL model, a Python model, an undeclared column and a mart. `make audit`
#: plants all leaks.
_QUICK = {
    *("client_contracts_counted_from_contract_time", "text_price_of_the_word"),
    *("text_reposted_description_count", "mart_budget_relative_to_all"),
}
_SLOW = pytest.mark.audit
KINDS = {
    *("future_window", "event_time_for_known_time", "latest_value", "whole_table_statistics"),
    *("target_encoding", "same_day_aggregate", "back_fill", "off_by_one_frame"),
    *("version_after_request", "label_column", "wrong_zone", "current_dimension"),
    *("seed_from_future", "filter_before_chaining", "other"),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> PlantBench:
    return PlantBench(tmp_path_factory.mktemp("plants"))


def test_the_mart_as_it_is_raises_no_alarm_and_is_judged_at_every_cutoff(bench: PlantBench) -> None:
    assert bench.clean.is_clean
    assert len(bench.clean.cutoffs) == 5 and not bench.clean.empty
    never = {f"{model}.{name}" for model, names in bench.clean.constant.items() for name in names}
    assert len(never) < 20, "so few columns vary that the audit says little"


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(plant, id=plant.name, marks=[] if plant.name in _QUICK else [_SLOW])
        for plant in LEAKS
    ],
)
def test_a_leak_is_named_by_its_columns(bench: PlantBench, plant: Plant) -> None:
    verdict = bench.judge([plant])
    assert verdict.named >= plant.columns, sorted(plant.columns - verdict.named)


@_SLOW
@pytest.mark.parametrize("batch", in_batches(CLEANS), ids=lambda batch: f"{len(batch)} at once")
def test_clean_changes_raise_no_alarm(bench: PlantBench, batch: list[Plant]) -> None:
    verdict = bench.judge(batch)
    assert len(verdict.altered) > len(batch) / 4
    assert not verdict.named


@_SLOW
@pytest.mark.parametrize("plant", CLEANS, ids=lambda plant: plant.name)
def test_each_clean_change_alters_compiled_code_and_raises_no_alarm(
    bench: PlantBench, plant: Plant
) -> None:
    verdict = bench.judge([plant])
    assert verdict.altered, "this change does not reach the compiled code"
    assert not verdict.named


def test_there_are_forty_leaks_of_every_kind_in_sql_and_python() -> None:
    assert len(UNSEEN) >= 40 and {plant.kind for plant in LEAKS} == KINDS
    assert len({plant.name for plant in LEAKS}) == len(LEAKS)
    assert all(plant.columns for plant in LEAKS) and {plant.name for plant in LEAKS} >= _QUICK
    endings = {patch.file.rpartition(".")[2] for plant in LEAKS for patch in plant.patches}
    assert endings >= {"sql", "py", "csv"}


def test_there_are_forty_clean_changes_and_half_of_them_change_the_plan() -> None:
    plans = sum(plant.kind == "plan" for plant in CLEANS)
    assert len(CLEANS) >= 40 and 2 * plans >= len(CLEANS) - 1
