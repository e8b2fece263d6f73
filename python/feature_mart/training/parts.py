"""Read the parts of one split as arrays, and verify that the rows are unchanged since the export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from feature_mart.core.duckdb_files import csv, parquet
from feature_mart.core.errors import TerminalError
from feature_mart.core.files import sha256_file
from feature_mart.snapshot_files.checks import Bounds, content_faults, split_bounds
from feature_mart.snapshot_files.content import word_sums
from feature_mart.snapshot_files.row_hash import hash_rows, join_texts


@dataclass(frozen=True, slots=True)
class Arrays:
    """The rows of a split as arrays.

    `columns` are float32, label first, with NaN for NULL. Timestamps are microseconds since 1970.
    """

    columns: tuple[NDArray[np.float32], ...]
    job_id: NDArray[np.object_]
    requested_at: NDArray[np.int64]
    label_known_at: NDArray[np.int64]


def check_part(path: Path, sha256: str) -> None:
    """Raise TerminalError unless the file exists and has the SHA-256 `sha256`."""
    if not path.is_file() or sha256_file(path) != sha256:
        raise TerminalError(
            f"{path} is missing or was changed after the snapshot was committed: run `mart snapshot verify`."
        )


def read_arrays(
    con: duckdb.DuckDBPyConnection,
    data: Sequence[Path],
    keys: Sequence[Path],
    names: Sequence[str],
    file_format: str | None,
) -> Arrays:
    """Return the rows of a split, read from the parts.

    Args:
        con: any connection, passed in because opening a connection takes as long as reading 5,000 rows.
        data, keys: the data parts and the key parts, in order; empty for a split without rows.
        names: the columns, label first.
        file_format: the format in schema.json; None for Parquet.

    Raises:
        TerminalError: a part cannot be read, has other columns or types, or a row lacks a key.
    """
    nothing = np.empty(0, np.int64)
    columns = tuple(np.empty(0, np.float32) for _ in names)
    if data:
        columns = _read_columns(con, data, names, file_format)
    if not keys:
        return Arrays(columns, np.empty(0, object), nothing, nothing)
    query = (
        "select job_id::varchar as job_id, epoch_us(requested_at) as requested_at, "
        f"epoch_us(label_known_at) as label_known_at from {parquet(keys)}"
    )
    found = _fetch(con, query, keys)
    if any(np.ma.is_masked(array) for array in found.values()):
        raise TerminalError(f"{keys[0].parent} has rows without a key: run `mart snapshot verify`.")
    at, known = (np.asarray(found[name], np.int64) for name in ("requested_at", "label_known_at"))
    return Arrays(columns, np.asarray(found["job_id"], object), at, known)


def check_rows(arrays: Arrays, manifest: Mapping[str, Any], index: int, where: str) -> None:
    """Raise TerminalError unless `arrays` has the exported rows of the split at `index` in the manifest.

    The content hash is recomputed from keys and values, and compared with the content hash in the manifest.
    """
    split, bounds = manifest["splits"][index], split_bounds(manifest, index)
    sizes = {len(arrays.columns[0]), len(arrays.job_id)}
    if len(sizes) > 1:
        rows, keys = len(arrays.columns[0]), len(arrays.job_id)
        raise _not_exported(
            where, bounds, f"the data parts have {rows} rows, but the key parts have {keys}"
        )
    hashes = hash_rows(
        join_texts(arrays.job_id.tolist()),
        arrays.requested_at,
        arrays.label_known_at,
        [column.view(np.uint32) for column in arrays.columns],
    )
    found = bounds.count(
        arrays.requested_at,
        arrays.label_known_at,
        arrays.job_id.__getitem__,
        word_sums(hashes),
    )
    for what in (*content_faults(found, split), *bounds.key_faults(found)):
        raise _not_exported(where, bounds, what)


def _not_exported(where: str, bounds: Bounds, what: str) -> TerminalError:
    return TerminalError(
        f"{where}, {bounds.name}: {what}. These are not the rows that were exported: run `mart snapshot verify`, then "
        "export again."
    )


def _read_columns(
    con: duckdb.DuckDBPyConnection,
    paths: Sequence[Path],
    names: Sequence[str],
    file_format: str | None,
) -> tuple[NDArray[np.float32], ...]:
    if file_format == "csv":
        # Read the columns by position, because the file has no header. An empty field is NULL.
        types = ", ".join(f"'{index}': 'float'" for index in range(len(names)))
        options = "auto_detect = false, header = false, delim = ',', quote = '', escape = '', nullstr = ''"
        read = csv(paths, f"{options}, columns = {{{types}}}")
        found = dict(zip(names, _fetch(con, f"from {read}", paths).values(), strict=True))
    else:
        found = _fetch(con, f"from {parquet(paths)}", paths)
    if list(found) != list(names):
        raise TerminalError(
            f"{paths[0].parent} has other columns than schema.json: run `mart snapshot verify`."
        )
    return tuple(_floats(name, array, paths[0].parent) for name, array in found.items())


def _floats(name: str, array: NDArray[Any], folder: Path) -> NDArray[np.float32]:
    """Return a column with NaN for NULL. The bits of this NaN are `NULL_BITS`, as in the row hash."""
    values = np.ma.getdata(array)
    if values.dtype != np.float32:
        raise TerminalError(
            f"{folder}: {name} is {values.dtype}, but must be float32: run `mart snapshot verify`."
        )
    if array is not values:
        values[np.ma.getmaskarray(array)] = np.nan
    # Turn -0.0 into 0.0, as the hash of the export does.
    values += np.float32(0)
    return values


def _fetch(
    con: duckdb.DuckDBPyConnection, query: str, paths: Sequence[Path]
) -> dict[str, NDArray[Any]]:
    try:
        return con.execute(query).fetchnumpy()
    except duckdb.Error as error:
        raise TerminalError(
            f"{paths[0].parent} cannot be read ({str(error).splitlines()[0]}): run `mart snapshot verify`."
        ) from None
