"""Test changed snapshots with rewritten file hashes: which reader notices the change, and with which message."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

import snapshot_case as case
import tampering as way
import training_case as job
from feature_mart.core.duckdb_files import parquet
from feature_mart.core.errors import FeatureMartError
from feature_mart.core.files import sha256_file
from feature_mart.exporter import export_snapshot, verify_snapshot
from feature_mart.snapshot_files import (
    LATEST,
    MANIFEST,
    SUCCESS,
    encode_document,
    read_committed,
)
from feature_mart.storage import FolderStore
from feature_mart.training import load_snapshot
from feature_mart.training.entry import main
from tampering import Tampered

ID = "schema, bounds and hashes give"
FOLDER = "but the folder is named"
CONTENT = "the content hash of the split is"
ROWS = "rows, but manifest.json has"
BOUNDS = "rows have a requested_at outside of"
ORDER = "not in the order of requested_at"
COLUMNS = "columns"
REWRITTEN = "one of the two files was rewritten"
UNSEEN = ""

#: Cases: a change of a snapshot, then parts of three error messages: that of verify, that of load_snapshot and that of
#: the training program. UNSEEN means that there is no error.
WAYS: list[tuple[Callable[[Tampered], None], str, str, str]] = [
    (way.swap_train_and_test, BOUNDS, CONTENT, CONTENT),
    (way.swap_data_alone, CONTENT, CONTENT, CONTENT),
    (way.change_a_label, CONTENT, CONTENT, CONTENT),
    (way.change_a_value_by_its_last_bit, CONTENT, CONTENT, CONTENT),
    (way.null_a_value, CONTENT, CONTENT, CONTENT),
    (way.permute_labels, CONTENT, CONTENT, CONTENT),
    (way.permute_a_column, CONTENT, CONTENT, CONTENT),
    (way.shuffle_keys, CONTENT, CONTENT, CONTENT),
    (way.shift_label_times, CONTENT, CONTENT, CONTENT),
    (way.double_a_row, CONTENT, CONTENT, CONTENT),
    (way.remove_a_row, CONTENT, CONTENT, CONTENT),
    (way.move_a_row_to_train, BOUNDS, CONTENT, CONTENT),
    (way.add_a_part, "do not match one to one", CONTENT, CONTENT),
    (way.reorder_rows, ORDER, ORDER, ORDER),
    (way.take_an_older_part, CONTENT, CONTENT, CONTENT),
    (way.rename_columns, ID, ID, ID),
    (way.rename_columns_of_parts, COLUMNS, COLUMNS, COLUMNS),
    (way.reorder_columns, ID, ID, ID),
    (way.make_a_feature_the_label, ID, ID, ID),
    (way.drop_a_category, ID, ID, ID),
    (way.store_doubles, COLUMNS, "float64", "float64"),
    (way.rewrite_counts, ROWS, ROWS, ROWS),
    (way.rewrite_bounds, ID, ID, ID),
    (way.rehash_only(way.change_a_label), ID, ID, ID),
    (way.rehash_only(way.take_an_older_part), ID, ID, ID),
    # These changes also rewrite the id. A training job cannot see the name of the snapshot's folder.
    (way.reidentified(way.change_a_label), FOLDER, FOLDER, UNSEEN),
    (way.everything(way.swap_train_and_test), BOUNDS, BOUNDS, BOUNDS),
    (way.everything(way.double_a_row), ORDER, ORDER, ORDER),
    (way.everything(way.make_a_feature_the_label), "the label is not", "the label is not", "the label is not"),
    (way.everything(way.change_a_label), UNSEEN, UNSEEN, UNSEEN),
    (way.everything(way.shift_every_label), UNSEEN, UNSEEN, UNSEEN),
    # The origin is not part of the id, and training does not use the origin.
    (way.say_another_origin, REWRITTEN, UNSEEN, UNSEEN),
    # A model treats NaN like NULL, but an export never writes NaN.
    (way.write_nan_for_null, "have NaN", UNSEEN, UNSEEN),
]  # fmt: skip


def name_of(each: object) -> str | None:
    return getattr(each, "__name__", None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job.export(tmp_path_factory.mktemp("whole"), rows=300)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    relabelled = f"update {case.MODEL} set price_log = price_log + 1"
    return job.export(tmp_path_factory.mktemp("older"), rows=300, change=relabelled)


def tamper(whole: Path, older: Path, folder: Path, change: Callable[[Tampered], None]) -> Path:
    """Copy a snapshot and latest.json, change the copied snapshot, and return the folder of the copy.

    The hashes in manifest.json and _SUCCESS are rewritten to match the changed files. latest.json is unchanged.
    """
    copy = folder / whole.relative_to(whole.parents[2])
    shutil.copytree(whole, copy)
    shutil.copy(whole.parents[1] / LATEST, copy.parents[1] / LATEST)
    it = Tampered(copy, older)
    change(it)
    it.commit()
    assert read_committed(it.folder)
    return it.folder


def verified(snapshot: Path) -> str:
    return "; ".join(problem.what for problem in verify_snapshot(snapshot).problems)


def loaded(snapshot: Path, manifest_sha256: str | None = None) -> str:
    try:
        load_snapshot(snapshot, manifest_sha256=manifest_sha256)
    except FeatureMartError as error:
        return str(error)
    return ""


def trained(snapshot: Path, base: Path, *arguments: str) -> str:
    variables = job.toolkit_variables(job.mount(snapshot, base))
    code = main(("--rounds", "1", *arguments), variables)
    failure = base / "output/failure"
    assert (code == 1) == failure.exists()
    assert (base / "model/model.ubj").exists() == (code == 0)
    return failure.read_text() if code else ""


@pytest.mark.parametrize(("change", "verify", "load", "train"), WAYS, ids=name_of)
def test_a_changed_snapshot_is_noticed_by(
    whole: Path, older: Path, tmp_path: Path,
    change: Callable[[Tampered], None], verify: str, load: str, train: str,
) -> None:  # fmt: skip
    snapshot = tamper(whole, older, tmp_path, change)
    said = (verified(snapshot), loaded(snapshot), trained(snapshot, tmp_path / "ml"))
    for text, words in zip(said, (verify, load, train), strict=True):
        assert words in text and bool(words) == bool(text)
    # A reader that compares manifest.json with a SHA-256 recorded elsewhere notices every change.
    assert "was requested" in loaded(snapshot, read_committed(whole).manifest_sha256)


def test_the_snapshot_as_it_was_exported_is_good(whole: Path, tmp_path: Path) -> None:
    recorded = read_committed(whole).manifest_sha256
    assert verified(whole) == loaded(whole) == loaded(whole, recorded) == ""
    assert trained(whole, tmp_path / "ml", "--manifest_sha256", recorded) == ""
    # The folder of a copy may have any name except the id of another snapshot.
    shutil.copytree(whole, tmp_path / "copy")
    assert loaded(tmp_path / "copy") == ""
    other = tmp_path / "20200101T0000Z-0123456789ab"
    shutil.copytree(whole, other)
    assert FOLDER in loaded(other)


def test_latest_names_the_manifest_that_it_was_moved_to(whole: Path, tmp_path: Path) -> None:
    """Change the manifest's SHA-256 in latest.json: ``verify`` reports the difference, and loading still works."""
    shutil.copytree(whole.parents[2], tmp_path / "place")
    latest = tmp_path / "place" / whole.relative_to(whole.parents[2]).parents[1] / LATEST
    document = json.loads(latest.read_text())
    assert document["manifest_sha256"] == read_committed(whole).manifest_sha256
    latest.write_bytes(encode_document({**document, "manifest_sha256": "0" * 64}))
    snapshot = tmp_path / "place" / whole.relative_to(whole.parents[2])
    assert REWRITTEN in verified(snapshot)
    assert loaded(snapshot) == ""
    # latest.json is not compared if it is broken, lacks the SHA-256 of a manifest, or names another snapshot.
    del document["manifest_sha256"]
    for data in (
        encode_document(document),
        b"{",
        encode_document({**document, "id": "20200101T0000Z-0123456789ab"}),
    ):
        latest.write_bytes(data)
        assert verified(snapshot) == ""


def test_a_snapshot_removed_by_hand_and_exported_again_is_good(tmp_path: Path) -> None:
    first = job.export(tmp_path, rows=300)
    before = read_committed(first).manifest_sha256
    shutil.rmtree(first)
    later = case.context(created_at=case.AS_OF)
    manifest = case.manifest(part_rows=400)
    export_snapshot(
        tmp_path / "mart/mart.duckdb",
        manifest,
        manifest.consumers[0],
        FolderStore(tmp_path / "snapshots"),
        context=later,
    )
    assert read_committed(first).manifest_sha256 != before
    assert verified(first) == ""


def test_the_program_trains_on_the_manifest_that_was_asked_for_alone(
    whole: Path, older: Path, tmp_path: Path
) -> None:
    snapshot = tamper(whole, older, tmp_path, way.everything(way.change_a_label))
    asked = ("--manifest_sha256", read_committed(whole).manifest_sha256)
    assert "was requested" in trained(snapshot, tmp_path / "ml", *asked)


def test_without_the_keys_nothing_is_trained_on(whole: Path, tmp_path: Path) -> None:
    base = job.mount(whole, tmp_path / "ml")
    shutil.rmtree(base / "input/data/keys")
    assert main(("--rounds", "1"), job.toolkit_variables(base)) == 1
    assert "There is no channel keys" in (base / "output/failure").read_text()


def test_a_label_changed_in_csv_is_noticed(tmp_path: Path) -> None:
    snapshot = job.export(tmp_path, rows=300, file_format="csv")
    assert loaded(snapshot) == trained(snapshot, tmp_path / "ml") == ""
    parts = sorted((snapshot / "keys/train").iterdir())
    found = duckdb.sql(f"select count(*) from {parquet(parts)}").fetchall()
    assert found == [(load_snapshot(snapshot).splits["train"].rows,)]
    path = snapshot / "data/train/part-00000.csv"
    label, rest = path.read_text().split(",", 1)
    path.write_text(f"{float(label) + 1},{rest}")
    manifest = json.loads((snapshot / MANIFEST).read_text())
    for part in manifest["parts"]:
        file = snapshot / part["path"]
        part["sha256"], part["bytes"] = sha256_file(file), file.stat().st_size
    (snapshot / MANIFEST).write_bytes(encode_document(manifest))
    (snapshot / SUCCESS).write_text(sha256_file(snapshot / MANIFEST))
    assert CONTENT in verified(snapshot)
    assert CONTENT in loaded(snapshot)
    assert CONTENT in trained(snapshot, tmp_path / "changed")
