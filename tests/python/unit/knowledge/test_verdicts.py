"""Test that a group that lowers the validation score needs a verdict, and a snapshot has one baseline per metric."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from feature_mart.knowledge.check import check_baselines, check_verdicts
from feature_mart.knowledge.rationale import ModelFiles

PROJECT = Path(__file__).resolve().parents[4]
REJECTED = "docs/evidence/rejected/budget_deciles.price_estimation.sample.json"


def write(project: Path, name: str, **changes: Any) -> dict[str, Any]:
    """Copy an evidence file of this repository into a project, with some keys replaced, and return the document."""
    document: dict[str, Any] = json.loads((PROJECT / name).read_text(encoding="utf-8")) | changes
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return document


def evidence(project: Path, adds: float | None, *, is_empty: bool = False) -> None:
    """Write evidence in which `market_at_request` adds ``adds`` to the validation score, and other groups add 0.1.

    None means that the score is unknown. ``is_empty`` says that each column of the group is constant or NULL.
    """
    name = "docs/evidence/price_estimation.sample.json"
    groups = json.loads((PROJECT / name).read_text(encoding="utf-8"))["groups"]
    for group in groups:
        is_it = group["name"] == "market_at_request"
        group["adds"] = {"validation": adds if is_it else 0.1, "test": -0.2}
        group["is_empty"] = is_it and is_empty
    write(project, name, groups=groups)


def found(project: Path, notes: str) -> list[str]:
    place = ("models/x.sql", "models/x.yml", "models/x.md")
    model = ModelFiles("feat_job__market_at_request", *place, "", f"## Evidence\n{notes}\n", {})
    return [f"{each.path}: {each.what}" for each in check_verdicts(project, [model])]


@pytest.mark.parametrize("adds", [-0.0000001, -0.3])
def test_a_group_that_lowers_the_validation_score_needs_a_verdict(
    tmp_path: Path, adds: float
) -> None:
    evidence(tmp_path, adds)
    (line,) = found(tmp_path, "Measured.")
    assert line.startswith("models/x.md: market_at_request adds -0.")
    assert "write 'Verdict on price_estimation.sample: kept because …'" in line


@pytest.mark.parametrize("adds", [0.0, 0.2, None])
def test_a_group_that_lowers_nothing_needs_none(tmp_path: Path, adds: float | None) -> None:
    evidence(tmp_path, adds)
    assert found(tmp_path, "Measured.") == []


def test_a_group_that_is_empty_there_needs_none(tmp_path: Path) -> None:
    evidence(tmp_path, -0.3, is_empty=True)
    assert found(tmp_path, "Measured.") == []


@pytest.mark.parametrize(
    ("notes", "is_enough"),
    [
        ("Verdict on price_estimation.sample: kept because it is noise.", True),
        ("Verdict on price_estimation.sample: removed because it is noise.", True),
        ("Verdict on price_estimation.real and\nprice_estimation.sample: kept because noise", True),
        ("Verdict on price_estimation.sample, hires.sample: kept because noise", True),
        ("Verdict on price_estimation.sample: ", False),
        ("Verdict on price_estimation.sample: kept because", False),
        ("Verdict on price_estimation.sample: good", False),
        ("Verdict on hires.sample: kept because noise", False),
        ("Verdict on price_estimation.sample_2: kept because noise", False),
        ("Kept because noise", False),
    ],
)
def test_a_verdict_names_its_file_and_its_reason(
    tmp_path: Path, notes: str, is_enough: bool
) -> None:
    evidence(tmp_path, -0.3)
    assert (found(tmp_path, notes) == []) is is_enough


def test_a_verdict_outside_of_the_section_is_none(tmp_path: Path) -> None:
    evidence(tmp_path, -0.3)
    verdict = "Verdict on price_estimation.sample: kept because noise"
    assert found(tmp_path, f"Measured.\n## Another\n{verdict}") != []


def test_the_committed_files_have_one_baseline_for_each_snapshot() -> None:
    assert [each.what for each in check_baselines(PROJECT)] == []
    names = {path.name for path in (PROJECT / "docs/evidence/rejected").glob("*.json")}
    assert len(names) >= 8, "what is compared is there"


@pytest.mark.parametrize(
    ("changes", "is_wrong"),
    [
        ({"without": {"mean": 0.5, "spread": 0.0}}, True),
        (
            {"without": {"mean": 0.5, "spread": 0.0}, "snapshot": "20200101T1800Z-aaaaaaaaaaaa"},
            False,
        ),
        ({"without": {"mean": 0.5, "spread": 0.0}, "metric": "mae"}, False),
        ({}, False),
    ],
)
def test_a_candidate_of_another_baseline_on_the_same_snapshot_is_named(
    tmp_path: Path, changes: dict[str, Any], is_wrong: bool
) -> None:
    write(tmp_path, "docs/evidence/price_estimation.sample.json")
    write(tmp_path, REJECTED, **changes)
    lines = [f"{each.path}: {each.what}" for each in check_baselines(tmp_path)]
    assert len(lines) == is_wrong
    assert not is_wrong or (lines[0].startswith(REJECTED) and "0.5000 ± 0.0000" in lines[0])
