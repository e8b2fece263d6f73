"""Test snapshots in folders whose names mean something to SQL, to a glob pattern or to a partition layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import training_case as job
from feature_mart.core.services import S3Options
from feature_mart.exporter import diff_snapshots, verify_snapshot
from feature_mart.training import load_snapshot
from strange_names import WORST

#: Nested folders that look like Hive partitions by the label, a feature and a key.
LIKE_COLUMNS = "price_log=1/job_budget_log=9/job_id=x"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job.export(tmp_path_factory.mktemp("plain"), rows=600)


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
@pytest.mark.parametrize("below", [WORST, LIKE_COLUMNS])
def test_a_snapshot_is_the_same_wherever_it_lies(
    plain: Path, tmp_path: Path, below: str, file_format: str
) -> None:
    folder = job.export(tmp_path / below, rows=600, file_format=file_format)
    assert verify_snapshot(str(folder), S3Options()).problems == ()
    loaded, expected = load_snapshot(folder), load_snapshot(plain)
    assert loaded.columns == expected.columns
    for name, split in expected.splits.items():
        assert np.array_equal(loaded.splits[name].label, split.label)
        assert np.array_equal(loaded.splits[name].features, split.features, equal_nan=True)
        assert list(loaded.splits[name].keys["job_id"]) == list(split.keys["job_id"])
    if file_format == "parquet":
        assert folder.name == plain.name
        difference = diff_snapshots(plain, folder)
        assert all(each.only_a == each.only_b == each.relabelled == 0 for each in difference.splits)
