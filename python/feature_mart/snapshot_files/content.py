"""Compute the content hash of a split, and the id of a snapshot.

The content hash of a split consists of two sums over its rows modulo 2**64, each written as 16 hex digits: the sum of
h, the hash of a row (see `row_hash`), and the sum of h * h. The content hash does not depend on the engine, on the
order of the rows, or on how the rows are cut into parts. The content hash does not cover column names. The id of a
snapshot does, because it is computed from schema.json as well.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from feature_mart.snapshot_files.row_hash import Words, hash_sum


def word_sums(hashes: Words) -> tuple[int, int]:
    """Return the sum of the row hashes and the sum of the squared row hashes, both modulo 2**64."""
    return hash_sum(hashes), hash_sum(hashes * hashes)


def add_sums(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """Return the two sums over the union of two sets of rows, given the sums over each set, modulo 2**64."""
    return (one[0] + other[0]) % 2**64, (one[1] + other[1]) % 2**64


def content_hash(sums: Sequence[int]) -> str:
    """Return a split's content hash as 32 hex digits, from the two sums of the row hashes."""
    return "".join(f"{value:016x}" for value in sums)


def snapshot_id(
    as_of_at: datetime, schema: Mapping[str, Any], splits: Sequence[Mapping[str, Any]]
) -> str:
    """Return ``<as_of yyyymmddThhmmZ>-<12 hex>``, from a SHA-256 over schema, bounds and content hashes."""
    kept = ("name", "from", "to", "content_hash")
    content = {"schema": schema, "splits": [{key: split[key] for key in kept} for split in splits]}
    return f"{as_of_at:%Y%m%dT%H%MZ}-{hashlib.sha256(canonical(content)).hexdigest()[:12]}"


def canonical(value: object) -> bytes:
    """Encode a value as JSON with sorted keys and no spaces, for hashing."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
