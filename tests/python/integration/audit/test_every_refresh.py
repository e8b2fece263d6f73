"""Test that `mart audit leakage --every-refresh` names rare leaks, and raises no alarm on the unchanged project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from feature_mart.cli import main
from plants import RARE_NIGHTS, Plant, RareBench, read_plants

RARE = [plant for plant in read_plants("merged_leaks") if plant.name in RARE_NIGHTS]


@pytest.mark.audit
def test_the_newest_night_is_compared_alone_and_without_a_difference(tmp_path: Path) -> None:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, env={"MART_HOME": str(tmp_path / "home")})

    assert call("sample", "--jobs", "150").exit_code == 0
    narrow = ("--nights", "1", "--jobs", "20", "--json")
    result = call("audit", "leakage", "--every-refresh", *narrow)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    (cutoff,) = report["cutoffs"]
    assert cutoff["about"] == "a refresh" and cutoff["rows"] > 1000
    seen = report["covered_pairs"]
    assert 0 < seen["by_a_day"] < seen["of"] / 100


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> RareBench:
    return RareBench(tmp_path_factory.mktemp("rare"))


@pytest.mark.audit
@pytest.mark.parametrize("plant", RARE, ids=lambda plant: plant.name)
def test_a_rare_leak_is_named_at_some_refresh(bench: RareBench, plant: Plant) -> None:
    first, count = RARE_NIGHTS[plant.name]
    assert plant.columns & bench.judge(plant, first, count)
