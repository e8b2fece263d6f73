"""The hash of one row: what a snapshot's content is made of.

It is 64 bits, and the same on every platform and whatever engine handed out the row. All arithmetic is on unsigned
64-bit integers, modulo 2**64. A row is a sequence of such integers, its words:

- word 0: the number of bytes of `job_id` in UTF-8.
- words 1 and 2: `requested_at` and `label_known_at`, microseconds since 1970 (two's complement where negative).
- then the columns, label first, in pairs, a word each: the first one's 32 bits, plus 2**32 times the second one's;
  where the number of columns is odd, the last word is the last column's alone. A value is rounded to float32 (through
  float64, to nearest even; -0.0 becomes 0.0) and is the unsigned integer of its bits; NULL is 0x7FC00000, which no
  value can have, because NaN is refused.
- then the bytes of `job_id`, eight to a word, the first one lowest; the last word is filled up with zeros.

With M = 0x9E3779B97F4A7C15, and f(i) = the first 8 bytes of the SHA-256 of the decimal text of i, the first one lowest,
with the lowest bit set::

    spread(w) = (w * M) xor ((w * M) >> 32)
    s         = sum over i of f(i) * spread(word i)
    finish(s): s = (s xor (s >> 30)) * 0xBF58476D1CE4E5B9;  s = (s xor (s >> 27)) * 0x94D049BB133111EB;  s xor (s >> 31)

and the hash is finish(s), the last steps of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).

`spread` and a product with an odd number are one to one: a row that differs in one word has another hash, surely. One
that differs in several has another one but for a chance of about 2**-64. `finish`, through which no sum passes, ties a
row's values to its key and to each other, so that values changed between rows are seen. It guards against accidents:
who wants two contents of one hash can make them. The MD5 of a text, made by the engine, took ten times the CPU.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

NULL_BITS = 0x7FC00000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Words = npt.NDArray[np.uint64]
Bits = npt.NDArray[np.uint32]

_M = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_HALF = np.uint64(32)
#: Rows at a time: what is worked on stays in the processor's cache.
_BLOCK = 16_384


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as they are exported: keys, and the float32 of every column as its bits, NULL being NULL_BITS.

    Shapes: `job_id` (n,), `requested_at` and `label_known_at` (n,) in microseconds since 1970, `bits` (columns, n).
    """

    job_id: pa.StringArray
    requested_at: npt.NDArray[np.int64]
    label_known_at: npt.NDArray[np.int64]
    bits: Bits

    def __len__(self) -> int:
        return len(self.requested_at)


def read_rows(batch: pa.RecordBatch, columns: Sequence[str]) -> Rows:
    """The rows of an Arrow batch that has the three keys, none of them NULL, and these columns as floats.

    NaN, an infinite value and one beyond what float32 holds are read as well; `unfit` tells where they are.
    """
    bits = np.empty((len(columns), batch.num_rows), np.uint32)
    for number, name in enumerate(columns):
        array, row = batch.column(name), bits[number]
        floats = row.view(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            floats[:] = _buffer(array, 1, np.dtype(f"f{array.type.bit_width // 8}"))
            # After the rounding: a small negative number becomes -0.0 by it.
            floats += np.float32(0)
        if array.null_count:
            row[~_valid(array)] = NULL_BITS
    job_id = batch.column("job_id")
    if not pa.types.is_string(job_id.type):
        job_id = job_id.cast(pa.string())
    return Rows(
        job_id, _micros(batch.column("requested_at")), _micros(batch.column("label_known_at")), bits
    )


def unfit(rows: Rows, columns: Sequence[str], batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Whether each row, read from that batch, holds a value that is no finite float32. Shape: (n,)."""
    found = np.zeros(len(rows), np.bool_)
    for name, bits in zip(columns, rows.bits, strict=True):
        found |= unfit_values(bits, batch.column(name))
    return found


def unfit_values(bits: Bits, given: pa.Array) -> npt.NDArray[np.bool_]:
    """Of one column, given as an Arrow array and read as bits, the values that are no finite float32."""
    wrong = ~np.isfinite(bits.view(np.float32))
    if given.null_count and np.count_nonzero(wrong) == given.null_count:
        wrong[:] = False
    elif given.null_count:
        wrong &= _valid(given)
    return wrong


def row_hashes(rows: Rows) -> Words:
    """The hash of each row. Shape: (n,)."""
    found = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), _BLOCK):
        _hash_block(rows, start, found[start : start + _BLOCK])
    return found


def hash_sum(hashes: Words) -> int:
    """Modulo 2**64."""
    return int(np.sum(hashes, dtype=np.uint64))


def micros(instant: datetime) -> int:
    """Microseconds since 1970."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def text_offsets(texts: pa.StringArray) -> npt.NDArray[np.int32]:
    """Where each text begins in the array's bytes, and where the last one ends. Shape: (n + 1,)."""
    if not len(texts):
        return np.zeros(1, np.int32)
    every: npt.NDArray[np.int32] = np.frombuffer(texts.buffers()[1], np.int32)
    return every[texts.offset : texts.offset + len(texts) + 1]


@cache
def factor(number: int) -> np.uint64:
    """f of the definition."""
    digest = hashlib.sha256(str(number).encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little") | 1)


def _hash_block(rows: Rows, start: int, out: Words) -> None:
    size = len(out)
    word, spare = np.empty(size, np.uint64), np.empty(size, np.uint64)
    out[:] = 0

    def add(number: int) -> None:
        np.multiply(word, _M, out=word)
        np.right_shift(word, _HALF, out=spare)
        np.bitwise_xor(word, spare, out=word)
        np.multiply(word, factor(number), out=word)
        np.add(out, word, out=out)

    stop = start + size
    offsets = text_offsets(rows.job_id)[start : stop + 1]
    lengths = np.diff(offsets)
    word[:] = lengths
    add(0)
    for number, instants in enumerate((rows.requested_at, rows.label_known_at), 1):
        word[:] = instants[start:stop].view(np.uint64)
        add(number)
    number = 3
    for first in range(0, len(rows.bits), 2):
        if first + 1 < len(rows.bits):
            word[:] = rows.bits[first + 1, start:stop]
            np.left_shift(word, _HALF, out=word)
            np.bitwise_or(word, rows.bits[first, start:stop], out=word)
        else:
            word[:] = rows.bits[first, start:stop]
        add(number)
        number += 1
    _add_texts(rows.job_id.buffers()[2], offsets, lengths, number, out)
    for shift, times in ((30, _FIRST), (27, _SECOND), (31, None)):
        np.right_shift(out, np.uint64(shift), out=spare)
        np.bitwise_xor(out, spare, out=out)
        if times is not None:
            np.multiply(out, times, out=out)


def _add_texts(
    data: pa.Buffer | None,
    offsets: npt.NDArray[Any],
    lengths: npt.NDArray[Any],
    number: int,
    out: Words,
) -> None:
    """The words of the texts' own bytes: texts of one length at a time, because those make a table."""
    if data is None or offsets[0] == offsets[-1]:
        return
    octets = np.frombuffer(data, np.uint8)
    for length in np.unique(lengths[lengths > 0]).tolist():
        chosen = np.flatnonzero(lengths == length)
        padded = np.zeros((len(chosen), -(-length // 8) * 8), np.uint8)
        if len(chosen) == len(lengths):
            padded[:, :length] = octets[offsets[0] : offsets[-1]].reshape(-1, length)
        else:
            padded[:, :length] = octets[offsets[chosen][:, None] + np.arange(length)]
        words = padded.view("<u8").astype(np.uint64)
        words *= _M
        words ^= words >> _HALF
        words *= np.array([factor(number + place) for place in range(words.shape[1])])
        out[chosen] += words.sum(axis=1, dtype=np.uint64)


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
