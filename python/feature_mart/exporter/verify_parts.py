"""The parts of one split, read again: bytes, columns, rows, values, and the content they make together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from feature_mart.duckdb_files import connect, csv, parquet, quoted
from feature_mart.exporter.content import add_sums, content_hash, word_sums
from feature_mart.exporter.places import SnapshotPlace
from feature_mart.exporter.row_hash import micros, read_rows, row_hashes, unfit
from feature_mart.snapshot_files import KEY_COLUMNS, parse_instant, part_path, sha256_file

_BATCH_ROWS = 122_880
#: Of sorts and scans; more is spilled to disk.
MEMORY_LIMIT = "2GB"
_KEYS = [
    (name, "VARCHAR" if kind == "string" else "TIMESTAMP WITH TIME ZONE")
    for name, kind in KEY_COLUMNS.items()
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the file (or split) it is about, and what."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Which rows a split may hold; `until` is None for the last one, which purges nothing."""

    name: str
    start: str
    end: str
    until: str | None


@dataclass(frozen=True, slots=True)
class _Rows:
    """Of one pair of parts: rows, the two sums of their hashes, and rows that should not be there."""

    rows: int
    sums: tuple[int, int]
    outside: int
    late: int
    unfit: int
    unkeyed: int


def part_sql(file: Path, columns: Sequence[str], file_format: str | None) -> str:
    """DuckDB's table function over a data part; `file_format` as schema.json has it."""
    if file_format != "csv":
        return parquet(file)
    kinds = ", ".join(f"{quoted(column)}: 'FLOAT'" for column in columns)
    options = "auto_detect = false, header = false, delim = ',', nullstr = ''"
    return csv(file, f"{options}, columns = {{{kinds}}}")


def check_split(
    place: SnapshotPlace,
    manifest: Mapping[str, Any],
    index: int,
    file_format: str | None,
    scratch: Path,
) -> Iterator[Problem]:
    """What is wrong with the split at `index`; a pair of parts at a time is brought to `scratch`."""
    split, bounds = manifest["splits"][index], _bounds(manifest, index)
    parts = {part["path"]: part for part in manifest["parts"]}
    columns = [column["name"] for column in manifest["columns"]]
    data = [path for path in parts if path.startswith(f"data/{split['name']}/")]
    keys = [part_path("keys", split["name"], number) for number in range(len(data))]
    of_split = {path for path in parts if path.split("/")[1] == split["name"]}
    is_whole = True
    for path in of_split ^ {*data, *keys}:
        is_whole = False
        yield Problem(path, "data and key parts are not one to one in manifest.json")
    rows, sums = 0, (0, 0)
    for data_path, keys_path in zip(data, keys, strict=True):
        with place.local(data_path, scratch) as file, place.local(keys_path, scratch) as key_file:
            bad = [
                *_check_part(file, parts[data_path], columns, file_format),
                *_check_part(key_file, parts.get(keys_path), None, None),
            ]
            if keys_path in parts and parts[data_path]["rows"] != parts[keys_path]["rows"]:
                have, other = parts[data_path]["rows"], parts[keys_path]["rows"]
                bad.append(Problem(data_path, f"it has {have} rows, {keys_path} has {other}"))
            yield from bad
            is_whole = is_whole and not bad
            if bad or file is None or key_file is None:
                continue
            found = _read_rows(part_sql(file, columns, file_format), key_file, columns, bounds)
            yield from _judge_rows(found, data_path, keys_path, bounds)
            rows += found.rows
            sums = add_sums(sums, found.sums)
    # Where a part is bad already, its split's content says nothing new.
    if is_whole and rows != split["rows"]:
        what = f"its parts hold {rows} rows, manifest.json says {split['rows']}"
        yield Problem(split["name"], what)
    if is_whole and content_hash(sums) != split["content_hash"]:
        yield Problem(
            split["name"],
            f"its content hash is {content_hash(sums)}, manifest.json says {split['content_hash']}: "
            "values changed, or data and keys are not row for row",
        )


def _bounds(manifest: Mapping[str, Any], index: int) -> _Bounds:
    split = manifest["splits"][index]
    later = [each["from"] for each in manifest["splits"][index + 1 :] if each["from"] < each["to"]]
    until = None
    if later:
        embargo = timedelta(days=manifest["embargo_days"])
        until = (parse_instant(later[0]) - embargo).isoformat()
    return _Bounds(split["name"], split["from"], split["to"], until)


def _check_part(
    file: Path | None,
    part: Mapping[str, Any] | None,
    columns: Sequence[str] | None,
    file_format: str | None,
) -> Iterator[Problem]:
    """One file; `columns` of a data part, None for keys."""
    if part is None:
        return
    path = part["path"]
    if file is None:
        yield Problem(path, "the part is missing")
        return
    if file.stat().st_size != part["bytes"] or sha256_file(file) != part["sha256"]:
        what = "the part was changed: its bytes or their SHA-256 are not those of manifest.json"
        yield Problem(path, what)
        return
    reads = part_sql(file, columns or (), file_format)
    try:
        with connect(memory_limit=MEMORY_LIMIT) as con:
            found = con.execute(f"describe from {reads}").fetchall()
            ((rows,),) = con.execute(f"select count(*) from {reads}").fetchall()
    except duckdb.Error as error:
        yield Problem(path, f"it cannot be read: {error}")
        return
    have = [(row[0], row[1]) for row in found]
    want = _KEYS if columns is None else [(name, "FLOAT") for name in columns]
    if have != want:
        wrong = next((pair for pair in zip(have, want, strict=False) if pair[0] != pair[1]), None)
        what = (
            "other columns"
            if wrong is None
            else f"{wrong[0][0]} {wrong[0][1]} where {wrong[1][0]} {wrong[1][1]} belongs"
        )
        yield Problem(path, f"its columns are not those of schema.json: {what}")
    if rows != part["rows"]:
        yield Problem(path, f"it has {rows} rows, manifest.json says {part['rows']}")


def _read_rows(data_sql: str, keys: Path, columns: Sequence[str], bounds: _Bounds) -> _Rows:
    start, end = (micros(parse_instant(instant)) for instant in (bounds.start, bounds.end))
    until = None if bounds.until is None else micros(parse_instant(bounds.until))
    found = _Rows(0, (0, 0), 0, 0, 0, 0)
    with connect(memory_limit=MEMORY_LIMIT) as con:
        reader = con.sql(f"from {data_sql} positional join {parquet(keys)}").to_arrow_reader(
            _BATCH_ROWS
        )
        for batch in reader:
            rows = read_rows(batch, columns)
            at, known = rows.requested_at, rows.label_known_at
            nulls = [batch.column(name).null_count for name in KEY_COLUMNS]
            found = _Rows(
                found.rows + len(rows),
                add_sums(found.sums, word_sums(row_hashes(rows))),
                found.outside + int(np.count_nonzero((at < start) | (at >= end))),
                found.late + (0 if until is None else int(np.count_nonzero(known > until))),
                found.unfit + int(np.count_nonzero(unfit(rows, columns, batch))),
                found.unkeyed + max(nulls),
            )
    return found


def _judge_rows(found: _Rows, data: str, keys: str, bounds: _Bounds) -> Iterator[Problem]:
    if found.outside:
        what = (
            f"{found.outside} rows have a requested_at outside of {bounds.name}, {bounds.start} to "
            f"{bounds.end}"
        )
        yield Problem(keys, what)
    if found.late:
        what = (
            f"{found.late} rows had their label known only after the next split began; they must be "
            "purged"
        )
        yield Problem(keys, what)
    if found.unfit:
        yield Problem(data, f"{found.unfit} rows hold NaN or an infinite value")
    if found.unkeyed:
        yield Problem(keys, f"{found.unkeyed} rows lack a key; none may be NULL")
