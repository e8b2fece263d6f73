"""Test the ablation of feature groups: the measured effects, and the errors that prevent measuring or overwriting."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

import snapshot_case as case
from feature_mart import exporter, pipeline
from feature_mart.cli import main
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.manifest import Manifest, parse_manifest
from feature_mart.exporter import export_snapshot
from feature_mart.knowledge import candidate as knowledge_candidate
from feature_mart.knowledge import check_seeds, evidence_path, measure_evidence, write_evidence
from feature_mart.storage import FolderStore


def manifest(**columns: str) -> Manifest:
    """Return the manifest of snapshot_case with one model per group. ``columns`` maps each feature to a group."""
    document = case.dbt_document()
    groups = columns or {
        "job_budget_log": "posting",
        "job_skill_count": "posting",
        "category_code": "category_at_request",
    }

    def model(name: str, features: list[str]) -> dict[str, Any]:
        described = {each: {"name": each, "data_type": "double"} for each in features}
        return {"name": name, "resource_type": "model", "raw_code": "", "columns": described}

    for group in set(groups.values()):
        features = [name for name, of in groups.items() if of == group]
        name = f"feat_job__{group}"
        document["nodes"][f"model.mart.{name}"] = model(name, features)
    served = model("mart_price_estimation__features", list(groups))
    document["nodes"]["model.mart.features"] = served
    return parse_manifest(document)


OF = ("price_estimation", "sample")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evidence")
    described = case.manifest()
    report = export_snapshot(
        case.build_mart(folder / "mart", rows=1500),
        described,
        described.consumers[0],
        FolderStore(folder / "s"),
        context=case.context(),
    )
    return Path(report.address)


def test_a_group_that_carries_the_label_adds_most_and_the_document_is_whole(
    snapshot: Path, tmp_path: Path
) -> None:
    steps: list[tuple[int, int, str]] = []
    document = measure_evidence(
        snapshot, manifest(), *OF, seeds=2, progress=lambda *step: steps.append(step)
    )
    groups = {group["name"]: group for group in document["groups"]}
    assert set(groups) == {"posting", "category_at_request"}
    # The budget explains most of the label, and the category explains less.
    adds = {name: group["adds"]["test"] for name, group in groups.items()}
    assert adds["posting"] > adds["category_at_request"] > 0.1
    assert groups["posting"]["alone"]["test"]["mean"] > 0.3
    assert document["all"]["columns"] == 3 and document["metric"] == "r2"
    assert document["snapshot"] == snapshot.name and document["seeds"] == 2
    whole = document["all"]["test"]["mean"] - groups["posting"]["without"]["test"]["mean"]
    assert groups["posting"]["adds"]["test"] == pytest.approx(whole, abs=2e-6)
    assert len(steps) == 5 and steps[-1][:2] == (5, 5)
    path = evidence_path(tmp_path, "price_estimation", "sample")
    write_evidence(path, document)
    assert path == tmp_path / "docs" / "evidence" / "price_estimation.sample.json"
    assert json.loads(path.read_text()) == document
    for fewer, is_refused in ((1, True), (2, False), (3, False)):
        with (
            pytest.raises(UsageError, match="measured with 2 seeds")
            if is_refused
            else nullcontext()
        ):
            check_seeds(path, "evidence", fewer)
    again = measure_evidence(snapshot, manifest(), *OF, seeds=2)
    assert again == document, "the same snapshot and seeds give the same figures"


def test_a_snapshot_of_other_features_is_refused(snapshot: Path) -> None:
    other = manifest(job_budget_log="posting", category_code="category_at_request")
    with pytest.raises(TerminalError, match=r"has other features .*job_skill_count.*export again"):
        measure_evidence(snapshot, other, *OF, seeds=1)
    with pytest.raises(UsageError, match="no snapshot folder"):
        measure_evidence(snapshot / "nowhere", manifest(), *OF, seeds=1)


def test_a_document_that_lacks_something_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(TerminalError):
        write_evidence(tmp_path / "c.json", {"schema": 1, "consumer": "c"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("of", [("hire_within_14d", "sample"), ("price_estimation", "another")])
def test_a_snapshot_of_another_consumer_or_warehouse_is_refused(
    snapshot: Path, of: tuple[str, str]
) -> None:
    with pytest.raises(UsageError, match=f"not of {of[0]} of {of[1]}"):
        measure_evidence(snapshot, manifest(), *of, seeds=1)


@pytest.mark.parametrize("command", ["evidence", "candidate"])
@pytest.mark.parametrize(
    ("more", "is_refused"),
    [(("--seeds", "3"), True), (("--seeds", "5"), False), (("--seeds", "3", "--replace"), False)],
)
def test_fewer_seeds_overwrite_nothing_and_measure_nothing(
    command: str,
    more: tuple[str, ...],
    is_refused: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Expect a refusal of fewer seeds than the five of this repository's evidence files, unless --replace is given."""

    def stop(*_arguments: object, **_options: object) -> None:
        raise TerminalError("it would be measured now")

    documents = ({"consumer": "price_estimation"}, {})
    place = SimpleNamespace(documents=lambda: documents)
    monkeypatch.setenv("MART_HOME", str(tmp_path))
    monkeypatch.delenv("MART_DWH", raising=False)
    monkeypatch.setattr(pipeline, "built_manifest", lambda _settings: manifest())
    monkeypatch.setattr(pipeline, "find_snapshot", lambda _settings, _wanted: "address")
    monkeypatch.setattr(exporter, "locate_snapshot", lambda _address, _options: place)
    monkeypatch.setattr(exporter, "snapshot_on_disk", stop)
    monkeypatch.setattr(knowledge_candidate, "judge_candidate", stop)
    words = ["evidence", "x"] if command == "evidence" else ["candidate", "budget_deciles", "x"]
    done = CliRunner().invoke(main, ["knowledge", *words, *more])
    if is_refused:
        assert done.exit_code == 2 and "was measured with 5 seeds, and --seeds is 3" in done.stderr
        assert "--replace to overwrite the file" in done.stderr
    else:
        assert done.exit_code == 1 and "it would be measured now" in done.stderr
