"""Test the warnings and errors of export and training for snapshots that are not fit for training or for scoring."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import snapshot_case as case
import training_case as job
from feature_mart.cli.documents import snapshot_document
from feature_mart.cli.snapshot_summary import print_lines, print_verdict
from feature_mart.cli.summary import print_snapshot
from feature_mart.core.errors import TerminalError
from feature_mart.core.settings import resolve_settings
from feature_mart.exporter import SnapshotReport, export_snapshot, list_snapshots, verify_snapshot
from feature_mart.exporter.removal import success_of
from feature_mart.snapshot_files.usability import MIN_SCORED_ROWS, SplitCounts, judge_snapshot
from feature_mart.storage import FolderStore
from feature_mart.training import fit, load_snapshot, score_seeds
from feature_mart.training.entry import main

#: The bounds of the splits of a mart with 100 days from 2026-01-01, unless a case has its own.
CUTS = {"validation_from": "2026-03-12", "test_from": "2026-03-27"}


def sql(*changes: str) -> str:
    return "; ".join(f"update {case.MODEL} set {change}" for change in changes)


LABELLED = "exclusion_reason is null"
IN_VALIDATION = (
    "requested_at >= timestamptz '2026-03-11 15:00:00+00' "
    "and requested_at < timestamptz '2026-03-26 15:00:00+00'"
)
IN_TEST = "requested_at >= timestamptz '2026-03-26 15:00:00+00'"
BINARY = f"price_log = (price_log > 12)::int where {LABELLED}"
KEEP = "exclusion_reason = 'cut', price_log = null where"

#: Cases: a name, SQL that changes the mart, keys of the exposure, and the expected findings. Each finding is a kind, a
#: split and a part of the message.
CASES: list[tuple[str, str, dict[str, Any], list[tuple[str, str, str]]]] = [
    ("nothing is wrong", "", CUTS, []),
    ("nothing is wrong with a binary label", sql(BINARY), {**CUTS, "label_kind": "binary"}, []),
    (
        "train is empty",
        "",
        {"validation_from": "2025-12-01", "test_from": "2026-03-12"},
        [("no_rows", "train", "there are no rows to train on")],
    ),
    (
        "validation is empty",
        "",
        {"validation_from": "2026-03-12", "test_from": "2026-03-12"},
        [("no_rows", "validation", "there are no rows to score")],
    ),
    (
        "test is empty",
        "",
        {"validation_from": "2026-03-12", "test_from": "2026-06-01"},
        [("no_rows", "test", "there are no rows to score")],
    ),
    (
        "all of train is purged",
        sql(f"label_known_at = timestamptz '2026-03-20 00:00:00+00' where {LABELLED}"),
        CUTS,
        [("no_rows", "train", "no rows to train on (2")],
    ),
    (
        "fewer rows than features",
        sql(f"{KEEP} {LABELLED} and requested_at < timestamptz '2026-03-10 06:00:00+00'"),
        {**CUTS, "embargo_days": 0},
        [("fewer_rows_than_features", "train", "than features (3)")],
    ),
    (
        "few rows to score",
        "",
        {"validation_from": "2026-04-01", "test_from": "2026-04-05"},
        [
            ("too_few_rows_to_score", "validation", f"fewer than {MIN_SCORED_ROWS}"),
            ("too_few_rows_to_score", "test", f"fewer than {MIN_SCORED_ROWS}"),
        ],
    ),
    (
        "one class in every split",
        sql(f"price_log = 0 where {LABELLED}"),
        {**CUTS, "label_kind": "binary"},
        [("one_class", split, "only one class (0 in all") for split in job.SPLITS],
    ),
    (
        "one class in validation",
        sql(BINARY, f"price_log = 1 where {LABELLED} and {IN_VALIDATION}"),
        {**CUTS, "label_kind": "binary"},
        [("one_class", "validation", "only one class (1 in all")],
    ),
    (
        "one value in every split",
        sql(f"price_log = 7.5 where {LABELLED}"),
        CUTS,
        [("one_value", split, "only one value (7.5 in all") for split in job.SPLITS],
    ),
    (
        "one value in test",
        sql(f"price_log = 7.5 where {LABELLED} and {IN_TEST}"),
        CUTS,
        [("one_value", "test", "only one value (7.5 in all")],
    ),
    (
        "a binary label that is none",
        "",
        {**CUTS, "label_kind": "binary"},
        [("other_classes", "train", "it ranges from")],
    ),
    (
        "no feature varies",
        sql("job_budget_log = null, job_skill_count = 3, category_code = 0"),
        CUTS,
        [("no_feature_varies", "train", "all 3 features are constant")],
    ),
    (
        "a feature varies by its NULL alone, in the last row of train",
        sql(
            "job_budget_log = null, job_skill_count = 3, category_code = 0",
            "category_code = null where job_id = 'job-0000273'",
        ),
        CUTS,
        [],
    ),
    (
        "features vary outside of train alone",
        sql(
            "job_budget_log = null, job_skill_count = 3, category_code = 0",
            f"category_code = 1 where {IN_VALIDATION}",
        ),
        CUTS,
        [("no_feature_varies", "train", "all 3 features are constant")],
    ),
]


def export(folder: Path, change: str, exposure: dict[str, Any], **options: Any) -> SnapshotReport:
    manifest = case.manifest(**exposure)
    mart = case.build_mart(folder / "mart", change=change)
    return export_snapshot(
        mart,
        manifest,
        manifest.consumers[0],
        FolderStore(folder / "snapshots"),
        context=case.context(),
        **options,
    )


@pytest.mark.parametrize(
    ("change", "exposure", "wanted"),
    [each[1:] for each in CASES],
    ids=[each[0] for each in CASES],
)
def test_an_export_warns_and_training_finds_the_same(
    change: str, exposure: dict[str, Any], wanted: list[tuple[str, str, str]], tmp_path: Path
) -> None:
    report = export(tmp_path, change, exposure)
    assert [(each.kind, each.split) for each in report.warnings] == [each[:2] for each in wanted]
    for each, (_, _, figure) in zip(report.warnings, wanted, strict=True):
        assert figure in each.what
    snapshot = load_snapshot(report.address)
    assert [each["what"] for each in snapshot.manifest["warnings"]] == [
        each.what for each in report.warnings
    ]
    assert snapshot.shortcomings(("train",)) == report.warnings
    for each in report.warnings:
        where = rf"{snapshot.id}, {each.split}: "
        if each.is_final and each.split == "train":
            with pytest.raises(TerminalError, match=where):
                fit(snapshot, seed=0)
        elif each.is_final:
            with pytest.raises(TerminalError, match=where):
                score_seeds(snapshot, [0], split=each.split)


#: The case in which validation is empty.
UNUSABLE = CASES[3]


def test_strict_refuses_before_anything_is_written(tmp_path: Path) -> None:
    _, change, exposure, _ = UNUSABLE
    for options in ({}, {"dry_run": True}):
        with pytest.raises(TerminalError) as failed:
            export(tmp_path, change, exposure, strict=True, **options)
        said = str(failed.value)
        assert failed.value.exit_code == 1
        assert said.startswith("price_estimation: --strict refused the snapshot; nothing was")
        assert (
            "validation: there are no rows to score; make the split longer in models/exposures.yml"
            in said
        )
        kept = [path for path in (tmp_path / "snapshots").rglob("*") if path.is_file()]
        assert all(".scratch" in path.parts for path in kept)
    assert export(tmp_path, change, exposure).status == "written"
    with pytest.raises(TerminalError, match="--strict refused"):
        export(tmp_path, change, exposure, strict=True)
    assert export(tmp_path / "good", "", CUTS, strict=True).status == "written"


def test_warnings_are_no_part_of_the_id_and_an_older_manifest_still_loads(tmp_path: Path) -> None:
    _, change, exposure, _ = UNUSABLE
    report = export(tmp_path, change, exposure)
    folder = Path(report.address)
    manifest = json.loads((folder / "_meta/manifest.json").read_text())
    assert manifest.pop("warnings")
    older = json.dumps(manifest).encode()
    (folder / "_meta/manifest.json").write_bytes(older)
    (folder / "_meta/_SUCCESS").write_bytes(success_of(older))
    latest = folder.parents[1] / "latest.json"
    document = json.loads(latest.read_text())
    del document["manifest_sha256"]
    latest.write_text(json.dumps(document))
    assert verify_snapshot(folder).ok
    assert load_snapshot(folder).id == report.id
    assert list_snapshots(FolderStore(tmp_path / "snapshots"))[0].warnings == ()
    again = export(tmp_path, change, exposure)
    assert (again.status, again.warnings) == ("unchanged", report.warnings)


def test_warnings_are_printed_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, change, exposure, _ = UNUSABLE
    report = export(tmp_path, change, exposure)
    print_snapshot(replace(report, through="http://s3 (AWS_ENDPOINT_URL_S3)"), resolve_settings())
    printed = capsys.readouterr().out
    assert "  warning    price_estimation, validation: there are no rows to score; " in printed
    assert "  through    http://s3 (AWS_ENDPOINT_URL_S3)" in printed
    assert snapshot_document(report)["warnings"][0]["kind"] == "no_rows"
    store = FolderStore(tmp_path / "snapshots")
    print_lines(list_snapshots(store), store.address(), None)
    assert "latest, 1 warnings (--json)" in capsys.readouterr().out
    print_verdict(verify_snapshot(report.address))
    assert "  warning    validation: there are no rows to score" in capsys.readouterr().out


def test_a_training_job_says_what_has_no_score_and_prints_no_empty_metric(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change = sql(f"price_log = 7.5 where {LABELLED} and {IN_VALIDATION}")
    folder = Path(export(tmp_path, change, CUTS).address)
    base = job.mount(folder, tmp_path / "ml")
    assert main(("--rounds", "3"), job.toolkit_variables(base)) == 0
    found = capsys.readouterr()
    assert "validation:r2" not in found.out
    assert "none" not in found.out
    assert "validation:mae=" in found.out
    (line,) = found.err.splitlines()
    assert line.startswith(
        f"warning: {folder.name}, validation: the label price_log has only one value"
    )


def test_scores_on_few_rows_say_so(tmp_path: Path) -> None:
    _, change, exposure, _ = next(each for each in CASES if each[0] == "few rows to score")
    snapshot = load_snapshot(export(tmp_path, change, exposure).address)
    found = score_seeds(snapshot, [0], split="test", params={"learning_rate": 1.0})
    (line,) = found.warnings
    assert line.startswith("test: ") and "so a score on them is unreliable; " in line


def test_one_row_of_a_split_is_counted_as_it_is() -> None:
    train = SplitCounts("train", 100, 0, 0.0, 1.0, 0)
    for rows, kinds in ((MIN_SCORED_ROWS, []), (MIN_SCORED_ROWS - 1, ["too_few_rows_to_score"])):
        split = SplitCounts("validation", rows, 0, 0.0, 1.0, 0)
        found = judge_snapshot("hired", "binary", 100, 1, (train, split))
        assert [each.kind for each in found] == kinds
    few = judge_snapshot("hired", "binary", 101, 1, (train,))
    assert [each.kind for each in few] == ["fewer_rows_than_features"]
    assert not few[0].is_final
