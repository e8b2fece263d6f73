"""Compute the hash of a row, from which the content hash of a snapshot is made.

The hash has 64 bits, and does not depend on the platform or on the engine that returned the row. All arithmetic is on
unsigned 64-bit integers, modulo 2**64. A row is encoded as a sequence of such integers, called words:

- word 0: the number of bytes of `job_id` in UTF-8.
- words 1 and 2: `requested_at` and `label_known_at`, microseconds since 1970 (two's complement if negative).
- then the columns, label first, two to a word: the 32 bits of the first one, plus 2**32 times the bits of the second.
  If the number of columns is odd, the last word has only the last column. A value is rounded to float32 (through
  float64, to nearest even; -0.0 becomes 0.0), and its bits are taken as an unsigned integer. NULL is 0x7FC00000,
  which no value can have, because NaN is refused.
- then the bytes of `job_id`, eight to a word, the first one lowest; the last word is padded with zeros.

With M = 0x9E3779B97F4A7C15, and f(i) = the first 8 bytes of the SHA-256 of the decimal text of i, the first one lowest,
with the lowest bit set::

    spread(w) = (w * M) xor ((w * M) >> 32)
    s         = sum over i of f(i) * spread(word i)
    finish(s): s = (s xor (s >> 30)) * 0xBF58476D1CE4E5B9;  s = (s xor (s >> 27)) * 0x94D049BB133111EB;  s xor (s >> 31)

and the hash is finish(s), the last steps of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).

`spread` and the product with an odd number are bijections: rows that differ in one word always have different hashes.
Rows that differ in several words have the same hash with a probability of about 2**-64. `finish` is not linear, so the
sum over rows also changes if values are exchanged between rows. The hash protects against accidents, not attacks: two
contents with the same hash can be constructed. An MD5 of the row as text, computed by the engine, took ten times the
CPU time.

This module needs numpy only, because a training job computes the hash too, and the image of a training job has no
pyarrow.
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

NULL_BITS = 0x7FC00000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Words = npt.NDArray[np.uint64]
Bits = npt.NDArray[np.uint32]

_M = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_HALF = np.uint64(32)
#: Rows per block, chosen to keep a block in the processor's cache.
_BLOCK = 16_384


@dataclass(frozen=True, slots=True)
class Utf8Texts:
    """Concatenated texts in UTF-8. The bytes of text i are octets[offsets[i] : offsets[i + 1]].

    Shapes: `offsets` (n + 1,), `octets` (bytes of all texts,).
    """

    offsets: npt.NDArray[np.int32] | npt.NDArray[np.int64]
    octets: npt.NDArray[np.uint8]


def join_texts(texts: Sequence[str]) -> Utf8Texts:
    """Encode texts in UTF-8. Raises: TypeError if an item is not a text."""
    octets = "".join(texts).encode()
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=offsets[1:])
    if offsets[-1] != len(octets):
        lengths = (len(text.encode()) for text in texts)
        np.cumsum(np.fromiter(lengths, np.int64, len(texts)), out=offsets[1:])
    return Utf8Texts(offsets, np.frombuffer(octets, np.uint8))


def hash_rows(
    job_id: Utf8Texts,
    requested_at: npt.NDArray[np.int64],
    label_known_at: npt.NDArray[np.int64],
    bits: Sequence[Bits] | Bits,
) -> Words:
    """Return the hash of each row. Shape: (n,).

    Args:
        requested_at, label_known_at: microseconds since 1970. Shape: (n,).
        bits: each column's float32 as unsigned integers, label first; NULL is NULL_BITS. Shape: (columns, n).
    """
    found = np.empty(len(requested_at), np.uint64)
    for start in range(0, len(found), _BLOCK):
        block = slice(start, start + _BLOCK)
        _hash_block(
            Utf8Texts(job_id.offsets[start : start + _BLOCK + 1], job_id.octets),
            (requested_at[block], label_known_at[block]),
            [column[block] for column in bits],
            found[block],
        )
    return found


def hash_sum(hashes: Words) -> int:
    """Return the sum of hashes modulo 2**64."""
    return int(np.sum(hashes, dtype=np.uint64))


def micros(instant: datetime) -> int:
    """Return a timestamp in microseconds since 1970."""
    return (instant - EPOCH) // timedelta(microseconds=1)


@cache
def factor(number: int) -> np.uint64:
    """Return f(number) as defined in the docstring of this module."""
    digest = hashlib.sha256(str(number).encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little") | 1)


def _hash_block(
    job_id: Utf8Texts,
    moments: Sequence[npt.NDArray[np.int64]],
    bits: Sequence[Bits],
    out: Words,
) -> None:
    size = len(out)
    word, spare = np.empty(size, np.uint64), np.empty(size, np.uint64)
    out[:] = 0

    def add(number: int) -> None:
        np.multiply(word, _M, out=word)
        np.right_shift(word, _HALF, out=spare)
        np.bitwise_xor(word, spare, out=word)
        np.multiply(word, factor(number), out=word)
        np.add(out, word, out=out)

    lengths = np.diff(job_id.offsets)
    word[:] = lengths
    add(0)
    for number, instants in enumerate(moments, 1):
        word[:] = instants.view(np.uint64)
        add(number)
    number = 3
    for first in range(0, len(bits), 2):
        if first + 1 < len(bits):
            word[:] = bits[first + 1]
            np.left_shift(word, _HALF, out=word)
            np.bitwise_or(word, bits[first], out=word)
        else:
            word[:] = bits[first]
        add(number)
        number += 1
    _add_texts(job_id, lengths, number, out)
    for shift, times in ((30, _FIRST), (27, _SECOND), (31, None)):
        np.right_shift(out, np.uint64(shift), out=spare)
        np.bitwise_xor(out, spare, out=out)
        if times is not None:
            np.multiply(out, times, out=out)


def _add_texts(texts: Utf8Texts, lengths: npt.NDArray[Any], number: int, out: Words) -> None:
    """Add the words of the texts to `out`. Texts of equal length are processed together, because they form an array."""
    offsets, octets = texts.offsets, texts.octets
    if offsets[0] == offsets[-1]:
        return
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
