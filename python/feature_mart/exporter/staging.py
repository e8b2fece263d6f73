"""Store the rows of a snapshot in a local file, grouped by part, until the parts are written.

The rows of a part are scattered over the table. Selecting them part by part would read the table once for each part.
Instead, the table is read once, and the rows of each batch are written to the staging file, grouped by part. The
staging file is as large as the uncompressed rows: 4 bytes per value, 20 bytes per row, and the job_ids.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_mart.exporter.hashable_rows import HashableRows, text_offsets

Key = tuple[int, str]
"""The sort key of a row: (`requested_at` in microseconds since 1970, `job_id`)."""

#: Maximum number of arrays passed to one system call, which accepts up to 1024.
_AT_ONCE = 512

Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Slices:
    """The bounds of every part of a snapshot, in order.

    `starts` has the lower bound of each part except the first part of the snapshot. The lower bound of the first part
    of a split is the start of the split with an empty `job_id`; that of any other part is the key of its first row.
    """

    starts: tuple[Key, ...]

    def __len__(self) -> int:
        return len(self.starts) + 1

    def numbers(self, rows: HashableRows) -> Numbers:
        """Return the number of the part that each row belongs to. Shape: (n,)."""
        instants = [instant for instant, _ in self.starts]
        found = np.searchsorted(np.array(instants, np.int64), rows.requested_at, side="left")
        if not instants:
            return found
        # If `requested_at` is equal to the `requested_at` of a start, compare `job_id`.
        maybe = np.array(instants, np.int64)[np.minimum(found, len(instants) - 1)]
        tied = np.flatnonzero(maybe == rows.requested_at)
        for instant in np.unique(rows.requested_at[tied]).tolist():
            there = tied[rows.requested_at[tied] == instant]
            job_ids = rows.job_id.take(pa.array(there))
            for start in range(
                bisect_right(instants, instant - 1), bisect_right(instants, instant)
            ):
                after = pc.greater_equal(job_ids, self.starts[start][1])
                found[there] += after.to_numpy(zero_copy_only=False)
        return found


@dataclass(frozen=True, slots=True)
class _Piece:
    """The rows that one batch has for one part: byte offset in the file, row count, and total bytes of the job_ids."""

    at: int
    rows: int
    text_bytes: int


class Room:
    """Memory for the rows of a part, reused for later parts. Only one thread may use the memory at a time.

    Allocating new memory for each part would take as long as the work itself.
    """

    def __init__(self) -> None:
        self._room: dict[str, npt.NDArray[Any]] = {}

    def take(self, name: str, shape: tuple[int, ...], kind: type[np.generic]) -> npt.NDArray[Any]:
        """Return an uninitialised array of the given shape.

        Calls with the same name reuse the memory if it is large enough, and must give the same ``kind``.
        """
        size = math.prod(shape)
        if name not in self._room or len(self._room[name]) < size:
            self._room[name] = np.empty(size, kind)
        return self._room[name][:size].reshape(shape)


class Staging:
    """A local file of rows, in pieces that belong to one part each. Use the object as a context manager."""

    def __init__(self, path: Path, columns: int) -> None:
        self._path, self._columns = path, columns
        self._file = path.open("w+b", buffering=0)
        self._end = 0
        self._pieces: dict[int, list[_Piece]] = {}
        self._room = Room()

    def close(self) -> None:
        """Close and remove the file. Freeing the disk space is slow, so call this method while other threads work."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, rows: HashableRows, numbers: Numbers) -> None:
        """Add each row to the part given by `numbers`. Only one thread may call this method at a time."""
        if not len(rows):
            return
        order = np.argsort(
            numbers.astype(np.uint16) if numbers.max() < 2**16 else numbers, kind="stable"
        )
        fixed = [
            self._room.take(name, each.shape, each.dtype.type)
            for name, each in (("at", rows.requested_at), ("known", rows.label_known_at))
        ]
        bits = self._room.take("bits", rows.bits.shape, np.uint32)
        for given, sorted_ in zip(
            (rows.requested_at, rows.label_known_at, *rows.bits), (*fixed, *bits), strict=True
        ):
            np.take(given, order, out=sorted_, mode="clip")
        job_id = rows.job_id.take(pa.array(order))
        offsets = text_offsets(job_id)
        lengths, text = np.diff(offsets), memoryview(job_id.buffers()[2] or b"")
        parts, begins = np.unique(numbers[order], return_index=True)
        ends = [*begins[1:].tolist(), len(rows)]
        for part, begin, end in zip(parts.tolist(), begins.tolist(), ends, strict=True):
            first, last = int(offsets[begin]), int(offsets[end])
            views = [memoryview(each[begin:end]) for each in (*fixed, lengths, *bits)]
            views.append(text[first:last])
            self._pieces.setdefault(part, []).append(_Piece(self._end, end - begin, last - first))
            self._end = _write_all(self._file.fileno(), views, self._end)

    def take(self, part: int, room: Room) -> HashableRows:
        """Return all rows of a part, in any order. The arrays except `job_id` use the memory of `room`.

        Several threads may call this method at a time, after the last call of `put`.
        """
        pieces = self._pieces.get(part, [])
        size, text_size = (
            sum(getattr(each, name) for each in pieces) for name in ("rows", "text_bytes")
        )
        at, known = room.take("at", (size,), np.int64), room.take("known", (size,), np.int64)
        bits = room.take("bits", (self._columns, size), np.uint32)
        offsets, text = np.zeros(size + 1, np.int32), np.empty(text_size, np.uint8)
        begin = text_begin = 0
        for piece in pieces:
            end, text_end = begin + piece.rows, text_begin + piece.text_bytes
            views: list[npt.NDArray[Any]] = [at[begin:end], known[begin:end]]
            views += [offsets[begin + 1 : end + 1], *bits[:, begin:end], text[text_begin:text_end]]
            _read_all(self._file.fileno(), [each.data for each in views], piece.at)
            begin, text_begin = end, text_end
        np.cumsum(offsets, out=offsets)
        job_id = pa.StringArray.from_buffers(size, pa.py_buffer(offsets), pa.py_buffer(text))
        return HashableRows(job_id, at, known, bits)


def _write_all(file: int, views: Sequence[memoryview], at: int) -> int:
    """Write arrays one after the other at an offset, and return the offset at which they end."""
    for first in range(0, len(views), _AT_ONCE):
        some = views[first : first + _AT_ONCE]
        size = sum(view.nbytes for view in some)
        written = os.pwritev(file, some, at)
        while written < size:
            # A short write means a full disk; the next call raises the error.
            written += os.pwrite(file, b"".join(some)[written:], at + written)
        at += size
    return at


def _read_all(file: int, views: Sequence[memoryview], at: int) -> None:
    """Fill arrays with the bytes that `_write_all` wrote at an offset."""
    for first in range(0, len(views), _AT_ONCE):
        some = views[first : first + _AT_ONCE]
        size = sum(view.nbytes for view in some)
        if os.preadv(file, some, at) != size:
            raise OSError(f"{size} bytes at offset {at} of the staged rows could not be read")
        at += size
