"""Compute a snapshot's row hashes and content hash one row at a time, independently of the code under test."""

import hashlib
import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_MASK = 2**64 - 1


def row_hash(
    job_id: str, requested_at: datetime, label_known_at: datetime, values: Iterable[float | None]
) -> int:
    """Return the hash of one row. The values are float32 numbers, the label first."""
    text = job_id.encode()
    words = [len(text), _micros(requested_at), _micros(label_known_at)]
    bits = [_bits(value) for value in values]
    bits += [0] * (len(bits) % 2)
    words += [bits[at] + bits[at + 1] * 2**32 for at in range(0, len(bits), 2)]
    padded = text + bytes(-len(text) % 8)
    words += struct.unpack(f"<{len(padded) // 8}Q", padded)
    total = 0
    for number, word in enumerate(words):
        spread = word * 0x9E3779B97F4A7C15 & _MASK
        spread ^= spread >> 32
        first = hashlib.sha256(str(number).encode()).digest()[:8]
        total = total + (struct.unpack("<Q", first)[0] | 1) * spread & _MASK
    total = (total ^ total >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    total = (total ^ total >> 27) * 0x94D049BB133111EB & _MASK
    return total ^ total >> 31


def content_hash(hashes: Iterable[int]) -> str:
    """Return the content hash of a split whose rows have these hashes."""
    every = list(hashes)
    return f"{sum(every) & _MASK:016x}{sum(each * each for each in every) & _MASK:016x}"


def _bits(value: float | None) -> int:
    if value is None:
        return 0x7FC00000
    packed = struct.pack("<f", value)
    return 0 if packed == struct.pack("<f", -0.0) else int(struct.unpack("<I", packed)[0])


def _micros(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) & _MASK
