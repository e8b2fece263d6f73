"""Change a snapshot, and update the hashes in its manifest.json and _SUCCESS, so that only the content is wrong."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_mart.core.files import sha256_file
from feature_mart.exporter.hashable_rows import read_rows, row_hashes
from feature_mart.snapshot_files import (
    MANIFEST,
    SCHEMA,
    SUCCESS,
    encode_document,
    parse_instant,
)
from feature_mart.snapshot_files.content import add_sums, content_hash, snapshot_id, word_sums


@dataclass
class Tampered:
    """A copy of a snapshot, with its manifest.json and schema.json parsed. `commit` writes both with the files' hashes.

    `older` is another snapshot of the same consumer. `recount` adds `false_rows` to the row count of train.
    """

    folder: Path
    older: Path
    false_rows: int = 0
    manifest: dict[str, Any] = field(init=False)
    schema: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.manifest = json.loads((self.folder / MANIFEST).read_text())
        self.schema = json.loads((self.folder / SCHEMA).read_text())

    def path(self, kind: str, split: str, number: int = 0) -> Path:
        return self.folder / kind / split / f"part-{number:05d}.parquet"

    def read(self, kind: str, split: str, number: int = 0) -> pa.Table:
        return pq.read_table(self.path(kind, split, number), partitioning=None)

    def write(self, table: pa.Table, kind: str, split: str, number: int = 0) -> None:
        pq.write_table(table, self.path(kind, split, number), compression="zstd")

    def both(self, split: str, change: Callable[[pa.Table], pa.Table]) -> None:
        """Apply the same change to the data and key files of a split's first part."""
        for kind in ("data", "keys"):
            self.write(change(self.read(kind, split)), kind, split)

    def column(
        self, name: str, change: Callable[[list[Any]], list[Any]], kind: str = "data"
    ) -> None:
        """Change the values of one column in the first part of train."""
        table = self.read(kind, "train")
        index = table.schema.get_field_index(name)
        values = pa.array(change(table.column(name).to_pylist()), table.schema.field(name).type)
        self.write(table.set_column(index, name, values), kind, "train")

    def recount(self) -> None:
        """Put the actual SHA-256, size and row count of each part and the row count of each split into `manifest`."""
        rows = {split["name"]: 0 for split in self.manifest["splits"]}
        for part in self.manifest["parts"]:
            path = self.folder / part["path"]
            part["sha256"], part["bytes"] = sha256_file(path), path.stat().st_size
            part["rows"] = pq.read_metadata(path).num_rows
            if part["path"].startswith("data/"):
                rows[part["path"].split("/")[1]] += part["rows"]
        for split in self.manifest["splits"]:
            split["rows"] = rows[split["name"]]
        self.manifest["splits"][0]["rows"] += self.false_rows

    def rehash(self) -> None:
        """Put the content hash of each split's present rows into `manifest`."""
        names = [column["name"] for column in self.schema["columns"]]
        for split in self.manifest["splits"]:
            sums = (0, 0)
            for number in range(len(list((self.folder / "data" / split["name"]).iterdir()))):
                data, keys = (self.read(kind, split["name"], number) for kind in ("data", "keys"))
                for name in keys.column_names:
                    data = data.append_column(name, keys.column(name))
                for batch in data.combine_chunks().to_batches():
                    sums = add_sums(sums, word_sums(row_hashes(read_rows(batch, names))))
            split["content_hash"] = content_hash(sums)

    def reidentify(self) -> None:
        """Put the id that follows from as_of_at, schema and splits into `manifest`. `rename` renames the folder."""
        as_of_at = parse_instant(self.manifest["as_of_at"])
        self.manifest["id"] = snapshot_id(as_of_at, self.schema, self.manifest["splits"])

    def rename(self) -> None:
        self.folder = self.folder.rename(self.folder.with_name(self.manifest["id"]))

    def commit(self) -> None:
        """Recount the files, and write manifest.json, schema.json and _SUCCESS."""
        self.recount()
        data = encode_document(self.manifest)
        (self.folder / MANIFEST).write_bytes(data)
        (self.folder / SCHEMA).write_bytes(encode_document(self.schema))
        (self.folder / SUCCESS).write_text(hashlib.sha256(data).hexdigest() + "\n")


def swap_train_and_test(it: Tampered) -> None:
    for kind in ("data", "keys"):
        one, other = it.read(kind, "train"), it.read(kind, "test")
        it.write(other, kind, "train")
        it.write(one, kind, "test")


def swap_data_alone(it: Tampered) -> None:
    one, other = it.read("data", "validation"), it.read("data", "test")
    least = min(len(one), len(other))
    it.write(pa.concat_tables([other[:least], one[least:]]), "data", "validation")


def change_a_label(it: Tampered) -> None:
    it.column("price_log", lambda values: [values[0] + 0.5, *values[1:]])


def change_a_value_by_its_last_bit(it: Tampered) -> None:
    def nudge(values: list[Any]) -> list[Any]:
        row = next(i for i, value in enumerate(values) if value is not None)
        values[row] = float(np.nextafter(np.float32(values[row]), np.float32(99)))
        return values

    it.column("job_budget_log", nudge)


def null_a_value(it: Tampered) -> None:
    it.column("job_skill_count", lambda values: [None, *values[1:]])


def shuffle_keys(it: Tampered) -> None:
    it.column("job_id", lambda values: [*values[1:], values[0]], "keys")


def shift_label_times(it: Tampered) -> None:
    it.column("label_known_at", lambda v: [at - timedelta(hours=1) for at in v], "keys")


def permute_a_column(it: Tampered) -> None:
    it.column("job_budget_log", lambda values: [*values[1:], values[0]])


def permute_labels(it: Tampered) -> None:
    it.column("price_log", lambda values: values[::-1])


def double_a_row(it: Tampered) -> None:
    it.both("train", lambda table: pa.concat_tables([table[:1], table]))


def remove_a_row(it: Tampered) -> None:
    it.both("train", lambda table: table[1:])


def move_a_row_to_train(it: Tampered) -> None:
    for kind in ("data", "keys"):
        train, test = it.read(kind, "train"), it.read(kind, "test")
        it.write(pa.concat_tables([train, test[:1]]), kind, "train")
        it.write(test[1:], kind, "test")


def reorder_rows(it: Tampered) -> None:
    it.both("train", lambda table: table.take(pa.array(range(len(table) - 1, -1, -1))))


def take_an_older_part(it: Tampered) -> None:
    for kind in ("data", "keys"):
        shutil.copy(it.older / kind / "train/part-00000.parquet", it.path(kind, "train"))


def rename_columns(it: Tampered) -> None:
    names = {"job_budget_log": "job_skill_count", "job_skill_count": "job_budget_log"}
    for columns in (it.schema["columns"], it.manifest["columns"]):
        for column in columns:
            column["name"] = names.get(column["name"], column["name"])
    rename_columns_of_parts(it)


def rename_columns_of_parts(it: Tampered) -> None:
    names = {"job_budget_log": "job_skill_count", "job_skill_count": "job_budget_log"}
    for split in it.manifest["splits"]:
        for number in range(len(list((it.folder / "data" / split["name"]).iterdir()))):
            table = it.read("data", split["name"], number)
            table = table.rename_columns([names.get(each, each) for each in table.column_names])
            it.write(table, "data", split["name"], number)


def reorder_columns(it: Tampered) -> None:
    for columns in (it.schema["columns"], it.manifest["columns"]):
        columns[1], columns[2] = columns[2], columns[1]


def make_a_feature_the_label(it: Tampered) -> None:
    for columns in (it.schema["columns"], it.manifest["columns"]):
        columns[0]["role"], columns[1]["role"] = "feature", "label"
    it.schema["label"] = "job_budget_log"


def drop_a_category(it: Tampered) -> None:
    for columns in (it.schema["columns"], it.manifest["columns"]):
        columns[3]["categorical"] = False


def rewrite_counts(it: Tampered) -> None:
    it.false_rows = 7


def rewrite_bounds(it: Tampered) -> None:
    first, second, _ = it.manifest["splits"]
    first["to"] = second["from"] = second["to"]


def store_doubles(it: Tampered) -> None:
    table = it.read("data", "train")
    doubles = pa.schema([(name, pa.float64()) for name in table.column_names])
    it.write(table.cast(doubles), "data", "train")


def add_a_part(it: Tampered) -> None:
    for kind in ("data", "keys"):
        path = it.path(kind, "test", 7)
        shutil.copy(it.path(kind, "test"), path)
        it.manifest["parts"].append({"path": str(path.relative_to(it.folder))})


def write_nan_for_null(it: Tampered) -> None:
    it.column("job_budget_log", lambda values: [float("nan") if v is None else v for v in values])


def say_another_origin(it: Tampered) -> None:
    it.manifest["warehouse_id"] = "another"
    it.manifest["git"]["commit"] = "1" * 40
    it.manifest["purged"]["train"] = 0
    it.manifest["embargo_days"] = 0


def shift_every_label(it: Tampered) -> None:
    it.column("price_log", lambda values: [value + 0.1 for value in values])


def rehash_only(change: Callable[[Tampered], None]) -> Callable[[Tampered], None]:
    """Return a function that makes the change and updates the content hashes, but not the id."""

    def changed(it: Tampered) -> None:
        change(it)
        it.recount()
        it.rehash()

    changed.__name__ = f"rehash_only_{change.__name__}"
    return changed


def reidentified(change: Callable[[Tampered], None]) -> Callable[[Tampered], None]:
    """Return a function that makes the change and updates the content hashes and the id, but not the folder's name."""

    def changed(it: Tampered) -> None:
        rehash_only(change)(it)
        it.reidentify()

    changed.__name__ = f"reidentified_{change.__name__}"
    return changed


def everything(change: Callable[[Tampered], None]) -> Callable[[Tampered], None]:
    """Return a function that makes the change and updates the content hashes, the id and the folder's name."""

    def changed(it: Tampered) -> None:
        reidentified(change)(it)
        it.rename()

    changed.__name__ = f"everything_{change.__name__}"
    return changed
