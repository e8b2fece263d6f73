"""Test that SageMaker's own XGBoost container could read a data folder, and which changes make it unreadable.

The container reads a folder of Parquet files with pyarrow, converts the table to one array with pandas, and takes
column 0 as the label. It reads a folder of CSV files with xgboost's own reader. The tests use the libraries of the
container.
"""

import csv
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost

import training_case as job
from feature_mart.training import Split, load_snapshot

QUICK = {"max_depth": 4, "learning_rate": 0.3, "nthread": 1}
pytestmark = pytest.mark.filterwarnings("ignore:.*Text file input has been deprecated")


def parquet_array(folder: Path) -> np.ndarray[Any, Any]:
    table = pq.read_table(folder)  # allow folder-as-columns: as the container reads it
    array: np.ndarray[Any, Any] = table.to_pandas().to_numpy()
    return array


def parquet_matrix(folder: Path) -> xgboost.DMatrix:
    data = parquet_array(folder)
    return xgboost.DMatrix(data[:, 1:], label=data[:, 0])


def csv_matrix(folder: Path) -> xgboost.DMatrix:
    first = next(path for path in folder.iterdir() if path.is_file())
    with first.open() as handle:
        delimiter = csv.Sniffer().sniff(handle.readline()).delimiter
    return xgboost.DMatrix(f"{folder}?format=csv&label_column=0&delimiter={delimiter}")


def dense(matrix: xgboost.DMatrix) -> np.ndarray[Any, Any]:
    """Return label and features as one array with sorted rows, and NaN for missing values."""
    stored = matrix.get_data()
    found = np.full((matrix.num_row(), matrix.num_col() + 1), np.nan, dtype=np.float32)
    found[:, 0] = matrix.get_label()
    rows = np.repeat(np.arange(matrix.num_row()), np.diff(stored.indptr))
    found[rows, stored.indices + 1] = stored.data
    return found[np.lexsort(np.nan_to_num(found, nan=-1).T)]


def rows_of(split: Split) -> np.ndarray[Any, Any]:
    found = np.column_stack([split.label, split.features])
    return found[np.lexsort(np.nan_to_num(found, nan=-1).T)]


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job.export(tmp_path_factory.mktemp("parquet"))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return job.export(tmp_path_factory.mktemp("csv"), file_format="csv")


@pytest.fixture
def folder(parquet: Path, tmp_path: Path) -> Path:
    return shutil.copytree(parquet / "data/train", tmp_path / "train")


def test_a_parquet_folder_reads_as_label_and_features_in_the_snapshots_order(parquet: Path) -> None:
    for name, split in load_snapshot(parquet).splits.items():
        data = parquet_array(parquet / "data" / name)
        assert data.dtype == np.float32
        assert np.array_equal(data[:, 0], split.label)
        assert np.array_equal(data[:, 1:], split.features, equal_nan=True)
    assert len(list((parquet / "data/train").iterdir())) == 3


def test_a_csv_folder_reads_the_same_rows_and_an_empty_field_as_missing(text: Path) -> None:
    train = load_snapshot(text).splits["train"]
    found = dense(csv_matrix(text / "data/train"))
    # XGBoost's CSV parser may be off by the last bit, and reads the parts in no fixed order.
    assert np.allclose(found, rows_of(train), rtol=3e-7, atol=0, equal_nan=True)
    missing = np.isnan(train.features).sum()
    assert np.isnan(found).sum() == missing > 0
    assert (train.features == 0).sum() == (found[:, 1:] == 0).sum() > 0


def test_both_train_to_the_same_quality(parquet: Path, text: Path) -> None:
    label = load_snapshot(parquet).splits["test"].label
    errors = []
    for read, snapshot in ((parquet_matrix, parquet), (csv_matrix, text)):
        train, watched = (read(snapshot / "data" / name) for name in ("train", "validation"))
        booster = xgboost.train(
            QUICK,
            train,
            50,
            evals=[(watched, "validation")],
            early_stopping_rounds=10,
            verbose_eval=False,
        )
        errors.append(np.abs(booster.predict(parquet_matrix(parquet / "data/test")) - label).mean())
    assert errors[0] == pytest.approx(errors[1], rel=0.01)
    assert errors[0] < 0.2


def test_an_empty_split_reads_as_parquet_and_not_as_csv(tmp_path: Path) -> None:
    options: dict[str, Any] = {"rows": 300, "validation_share": 0}
    folder = job.export(tmp_path / "parquet", **options)
    assert parquet_matrix(folder / "data/validation").num_row() == 0
    folder = job.export(tmp_path / "csv", file_format="csv", **options)
    with pytest.raises(csv.Error, match="delimiter"):
        csv_matrix(folder / "data/validation")


def test_manifest_json_in_the_folder_breaks_both(folder: Path, parquet: Path, text: Path) -> None:
    shutil.copy(parquet / "_meta/manifest.json", folder)
    with pytest.raises(pa.ArrowInvalid, match=r"manifest\.json"):
        parquet_matrix(folder)
    shutil.copytree(text / "data/train", folder.parent / "csv")
    shutil.copy(text / "_meta/manifest.json", folder.parent / "csv")
    address = f"{folder.parent / 'csv'}?format=csv&label_column=0&delimiter=,"
    with pytest.raises(xgboost.core.XGBoostError, match="Delimiter ',' is not found"):
        xgboost.DMatrix(address)


def with_column(folder: Path, values: Callable[[int], pa.Array]) -> Path:
    for path in folder.iterdir():
        table = pq.read_table(path, partitioning=None)
        pq.write_table(table.append_column("extra", values(table.num_rows)), path)
    return folder


def test_a_text_column_breaks_it_or_becomes_a_number_unasked(folder: Path) -> None:
    with_column(folder, lambda rows: pa.array(["tokyo"] * rows))
    with pytest.raises(ValueError, match="could not convert string to float: 'tokyo'"):
        parquet_matrix(folder)
    for path in folder.iterdir():
        pq.write_table(pq.read_table(path, partitioning=None).drop(["extra"]), path)
    with_column(folder, lambda rows: pa.array(["12"] * rows))
    assert parquet_matrix(folder).num_col() == 4


@pytest.mark.parametrize(
    ("value", "kind", "dtype"),
    [
        (Decimal("1.5"), pa.decimal128(10, 2), "object"),
        (True, pa.bool_(), "object"),
        (1, pa.int64(), "float64"),
        (0.5, pa.float64(), "float64"),
        (0.5, pa.float32(), "float32"),
    ],
)
def test_one_column_of_another_type_turns_all_into_wider_numbers_or_objects(
    folder: Path, value: object, kind: pa.DataType, dtype: str
) -> None:
    with_column(folder, lambda rows: pa.array([value] * rows, kind))
    assert parquet_array(folder).dtype == dtype


def test_a_folder_named_key_value_breaks_it_or_adds_a_column(folder: Path) -> None:
    def move_into(name: str) -> None:
        (folder / name).mkdir()
        for path in list(folder.rglob("*.parquet")):
            path.rename(folder / name / path.name)

    move_into("split=train")
    with pytest.raises(ValueError, match="could not convert string to float: 'train'"):
        parquet_matrix(folder)
    move_into("month=7")
    (folder / "split=train").rmdir()
    assert parquet_matrix(folder).num_col() == 4
    assert (parquet_array(folder)[:, 4] == 7).all()


def test_a_csv_header_would_become_a_row(text: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(text / "data/train", tmp_path / "train")
    rows = csv_matrix(folder).num_row()
    first = folder / "part-00000.csv"
    first.write_text(f"price_log,a,b,c\n{first.read_text()}")
    with_header = xgboost.DMatrix(f"{folder}?format=csv&label_column=0&delimiter=,")
    assert with_header.num_row() == rows + 1


def test_a_last_csv_column_without_any_value_is_lost(tmp_path: Path) -> None:
    (tmp_path / "part-00000.csv").write_text("1.5,2,,\n0.5,3,4,\n")
    assert csv_matrix(tmp_path).num_col() == 2
