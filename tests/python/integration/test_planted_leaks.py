"""Changes by which a feature knows what came later: the leakage audit names the columns, whoever made the mistake.

Caught is a leak only when all of the columns are named that tests/plants/leaks.yml says.
"""

from __future__ import annotations

import pytest

from plants import Plant, PlantBench, read_plants

LEAKS = read_plants("leaks")
#: One of each kind here, all of them in `make audit`.
_QUICK = {plant.kind: plant.name for plant in reversed(LEAKS)}
_SLOW = pytest.mark.audit
KINDS = {
    *("future_window", "event_time_for_known_time", "latest_value", "whole_table_statistics"),
    *("target_encoding", "same_day_aggregate", "back_fill", "off_by_one_frame"),
    *("version_after_request", "label_column", "wrong_zone", "current_dimension"),
    *("seed_from_future", "filter_before_chaining", "other"),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> PlantBench:
    return PlantBench(tmp_path_factory.mktemp("leaks"))


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(
            plant, id=plant.name, marks=[] if _QUICK[plant.kind] == plant.name else [_SLOW]
        )
        for plant in LEAKS
    ],
)
def test_a_leak_is_named_by_its_columns(bench: PlantBench, plant: Plant) -> None:
    verdict = bench.judge([plant])
    assert verdict.named >= plant.columns, sorted(plant.columns - verdict.named)


def test_there_are_forty_leaks_of_every_kind_in_sql_and_python() -> None:
    assert len(LEAKS) >= 40 and {plant.kind for plant in LEAKS} == KINDS
    assert all(plant.columns for plant in LEAKS)
    endings = {patch.file.rpartition(".")[2] for plant in LEAKS for patch in plant.patches}
    assert endings == {"sql", "py", "csv"}
