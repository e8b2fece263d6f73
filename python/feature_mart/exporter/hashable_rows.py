"""Read the rows of an Arrow batch as arrays, for the hash in `snapshot_files.row_hash`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from feature_mart.snapshot_files.row_hash import NULL_BITS, Bits, Utf8Texts, Words, hash_rows


@dataclass(frozen=True, slots=True)
class HashableRows:
    """The keys and the columns of some rows.

    `bits` has the bits of the float32 values as unsigned integers; NULL is NULL_BITS.

    Shapes: `job_id` (n,), `requested_at` and `label_known_at` (n,) in microseconds since 1970, `bits` (columns, n).
    """

    job_id: pa.StringArray
    requested_at: npt.NDArray[np.int64]
    label_known_at: npt.NDArray[np.int64]
    bits: Bits

    def __len__(self) -> int:
        return len(self.requested_at)


def read_rows(batch: pa.RecordBatch, columns: Sequence[str]) -> HashableRows:
    """Return the rows of an Arrow batch that has the three keys, none of them NULL, and `columns` as floats.

    NaN, infinite values and values beyond the range of float32 are read too; `unfit` finds such values.
    """
    bits = np.empty((len(columns), batch.num_rows), np.uint32)
    for number, name in enumerate(columns):
        array, row = batch.column(name), bits[number]
        floats = row.view(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            floats[:] = _buffer(array, 1, np.dtype(f"f{array.type.bit_width // 8}"))
            # Rounding turns a small negative number into -0.0, and adding 0 turns -0.0 into 0.0.
            floats += np.float32(0)
        if array.null_count:
            row[~_valid(array)] = NULL_BITS
    job_id = batch.column("job_id")
    if not pa.types.is_string(job_id.type):
        job_id = job_id.cast(pa.string())
    return HashableRows(
        job_id, _micros(batch.column("requested_at")), _micros(batch.column("label_known_at")), bits
    )


def unfit(
    rows: HashableRows, columns: Sequence[str], batch: pa.RecordBatch
) -> npt.NDArray[np.bool_]:
    """Return a mask of the rows with a value that is neither NULL nor a finite float32. Shape: (n,).

    `batch` is the Arrow batch from which the rows were read.
    """
    found = np.zeros(len(rows), np.bool_)
    for name, bits in zip(columns, rows.bits, strict=True):
        found |= unfit_values(bits, batch.column(name))
    return found


def unfit_values(bits: Bits, given: pa.Array) -> npt.NDArray[np.bool_]:
    """Return a mask of the values of one column that are neither NULL nor a finite float32. Shape: (n,).

    `bits` is the row of the column in `HashableRows.bits`; `given` is the Arrow array from which `bits` was read.
    """
    wrong = ~np.isfinite(bits.view(np.float32))
    if given.null_count and np.count_nonzero(wrong) == given.null_count:
        wrong[:] = False
    elif given.null_count:
        wrong &= _valid(given)
    return wrong


def row_hashes(rows: HashableRows) -> Words:
    """Return the hash of each row. Shape: (n,)."""
    octets = np.frombuffer(rows.job_id.buffers()[2] or b"", np.uint8)
    texts = Utf8Texts(text_offsets(rows.job_id), octets)
    return hash_rows(texts, rows.requested_at, rows.label_known_at, rows.bits)


def text_offsets(texts: pa.StringArray) -> npt.NDArray[np.int32]:
    """Return the byte offset of each text in the array, and the end of the last text. Shape: (n + 1,)."""
    if not len(texts):
        return np.zeros(1, np.int32)
    every: npt.NDArray[np.int32] = np.frombuffer(texts.buffers()[1], np.int32)
    return every[texts.offset : texts.offset + len(texts) + 1]


def _micros(array: pa.Array) -> npt.NDArray[np.int64]:
    return _buffer(array, 1, np.dtype(np.int64))


def _buffer(array: pa.Array, index: int, kind: np.dtype[Any]) -> npt.NDArray[Any]:
    if not len(array):
        return np.empty(0, kind)
    values: npt.NDArray[Any] = np.frombuffer(array.buffers()[index], kind)
    return values[array.offset : array.offset + len(array)]


def _valid(array: pa.Array) -> npt.NDArray[np.bool_]:
    marks = np.frombuffer(array.buffers()[0], np.uint8)
    ones = np.unpackbits(marks, count=array.offset + len(array), bitorder="little")
    return ones[array.offset :].view(np.bool_)
