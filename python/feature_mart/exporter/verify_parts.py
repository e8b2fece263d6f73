"""Verify the parts of one split: size, SHA-256, columns, rows, values, and the content hash."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from feature_mart.core.duckdb_files import connect, csv, parquet, quoted
from feature_mart.core.files import sha256_file
from feature_mart.exporter.addresses import StoredSnapshot
from feature_mart.exporter.hashable_rows import read_rows, row_hashes, unfit
from feature_mart.snapshot_files import KEY_COLUMNS, part_path
from feature_mart.snapshot_files.checks import (
    Bounds,
    Found,
    Key,
    add_found,
    content_faults,
    split_bounds,
)
from feature_mart.snapshot_files.content import word_sums

_BATCH_ROWS = 122_880
#: Memory limit for sorts and scans, beyond which DuckDB spills to disk.
MEMORY_LIMIT = "2GB"
_KEYS = [
    (name, "VARCHAR" if kind == "string" else "TIMESTAMP WITH TIME ZONE")
    for name, kind in KEY_COLUMNS.items()
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: the file or split with the fault, and a description."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class _Rows:
    """The findings in one data part and its key part.

    Attributes:
        unfit: number of rows with NaN or an infinite value.
        unkeyed: number of rows with a NULL in a key column. For each batch, only the NULLs in the key column with the
            most NULLs are counted.
    """

    found: Found
    unfit: int
    unkeyed: int


def part_sql(file: Path, columns: Sequence[str], file_format: str | None) -> str:
    """Return the SQL of a DuckDB table function that reads a part. `file_format` is csv, or None for Parquet."""
    if file_format != "csv":
        return parquet(file)
    kinds = ", ".join(f"{quoted(column)}: 'FLOAT'" for column in columns)
    options = "auto_detect = false, header = false, delim = ',', nullstr = ''"
    return csv(file, f"{options}, columns = {{{kinds}}}")


def check_split(
    place: StoredSnapshot,
    manifest: Mapping[str, Any],
    index: int,
    file_format: str | None,
    scratch: Path,
) -> Iterator[Problem]:
    """Yield the problems of the split at `index`. Parts in a bucket are copied to `scratch`, one pair at a time."""
    split, bounds = manifest["splits"][index], split_bounds(manifest, index)
    parts = {part["path"]: part for part in manifest["parts"]}
    columns = [column["name"] for column in manifest["columns"]]
    data = [path for path in parts if path.startswith(f"data/{split['name']}/")]
    keys = [part_path("keys", split["name"], number) for number in range(len(data))]
    of_split = {path for path in parts if path.split("/")[1] == split["name"]}
    is_whole = True
    for path in of_split ^ {*data, *keys}:
        is_whole = False
        yield Problem(path, "data and key parts in manifest.json do not match one to one")
    total = Found()
    for data_path, keys_path in zip(data, keys, strict=True):
        with place.local(data_path, scratch) as file, place.local(keys_path, scratch) as key_file:
            bad = [
                *_check_part(file, parts[data_path], columns, file_format),
                *_check_part(key_file, parts.get(keys_path), None, None),
            ]
            if keys_path in parts and parts[data_path]["rows"] != parts[keys_path]["rows"]:
                have, other = parts[data_path]["rows"], parts[keys_path]["rows"]
                bad.append(
                    Problem(data_path, f"the part has {have} rows, but {keys_path} has {other}")
                )
            yield from bad
            is_whole = is_whole and not bad
            if bad or file is None or key_file is None:
                continue
            read = part_sql(file, columns, file_format)
            rows = _read_rows(read, key_file, columns, bounds, total.last)
            yield from _judge_rows(rows, data_path, keys_path, bounds)
            total = add_found(total, rows.found)
    # Skip the content hash if a part is bad, because the hash would differ too, and the part is already reported.
    if is_whole:
        yield from (Problem(split["name"], what) for what in content_faults(total, split))


def _check_part(
    file: Path | None,
    part: Mapping[str, Any] | None,
    columns: Sequence[str] | None,
    file_format: str | None,
) -> Iterator[Problem]:
    """Yield the problems of one file; `columns` are the columns of a data part, None for a key part."""
    if part is None:
        return
    path = part["path"]
    if file is None:
        yield Problem(path, "the part is missing")
        return
    if file.stat().st_size != part["bytes"] or sha256_file(file) != part["sha256"]:
        what = "the part was changed: its size or SHA-256 differs from manifest.json"
        yield Problem(path, what)
        return
    reads = part_sql(file, columns or (), file_format)
    try:
        with connect(memory_limit=MEMORY_LIMIT) as con:
            found = con.execute(f"describe from {reads}").fetchall()
            ((rows,),) = con.execute(f"select count(*) from {reads}").fetchall()
    except duckdb.Error as error:
        yield Problem(path, f"the part cannot be read: {error}")
        return
    have = [(row[0], row[1]) for row in found]
    want = _KEYS if columns is None else [(name, "FLOAT") for name in columns]
    if have != want:
        wrong = next((pair for pair in zip(have, want, strict=False) if pair[0] != pair[1]), None)
        what = (
            "other columns"
            if wrong is None
            else f"{wrong[0][0]} {wrong[0][1]} instead of {wrong[1][0]} {wrong[1][1]}"
        )
        yield Problem(path, f"the columns of the part differ from schema.json: {what}")
    if rows != part["rows"]:
        yield Problem(path, f"the part has {rows} rows, but manifest.json has {part['rows']}")


def _read_rows(
    data_sql: str, keys: Path, columns: Sequence[str], bounds: Bounds, last: Key | None
) -> _Rows:
    """Read a data part and its key part, and count the rows and faults.

    `last` is the key of the last row of the previous part; None if there is no previous part.
    """
    total, unfit_rows, unkeyed = Found(last=last), 0, 0
    with connect(memory_limit=MEMORY_LIMIT) as con:
        reader = con.sql(f"from {data_sql} positional join {parquet(keys)}").to_arrow_reader(
            _BATCH_ROWS
        )
        for batch in reader:
            rows = read_rows(batch, columns)
            unfit_rows += int(np.count_nonzero(unfit(rows, columns, batch)))
            unkeyed += max(batch.column(name).null_count for name in KEY_COLUMNS)
            sums = word_sums(row_hashes(rows))
            total = add_found(
                total,
                bounds.count(
                    rows.requested_at,
                    rows.label_known_at,
                    partial(_text, rows.job_id),
                    sums,
                    total.last,
                ),
            )
    return _Rows(total, unfit_rows, unkeyed)


def _text(texts: pa.StringArray, row: int) -> str:
    return str(texts[row])


def _judge_rows(rows: _Rows, data: str, keys: str, bounds: Bounds) -> Iterator[Problem]:
    yield from (Problem(keys, what) for what in bounds.key_faults(rows.found))
    if rows.unfit:
        yield Problem(data, f"{rows.unfit} rows have NaN or an infinite value")
    if rows.unkeyed:
        yield Problem(keys, f"{rows.unkeyed} rows have a NULL key")
