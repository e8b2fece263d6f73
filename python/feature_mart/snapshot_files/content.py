"""What a snapshot's content is called: an order-free hash per split, and the id made from it.

With h the hash of a row (`row_hash`), a split's content hash is the sum over its rows of h, and that of h * h, both
modulo 2**64, each written as 16 hex digits. It is the same on every engine, in whatever order the rows come and however
they are cut into parts. Names are no part of it: they are in schema.json, which the id is made from too.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from feature_mart.snapshot_files.row_hash import Words, hash_sum


def word_sums(hashes: Words) -> tuple[int, int]:
    """The two sums of some rows' hashes."""
    return hash_sum(hashes), hash_sum(hashes * hashes)


def add_sums(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """The sums of the rows of both."""
    return (one[0] + other[0]) % 2**64, (one[1] + other[1]) % 2**64


def content_hash(sums: Sequence[int]) -> str:
    """A split's content hash: 32 hex digits."""
    return "".join(f"{value:016x}" for value in sums)


def snapshot_id(
    as_of_at: datetime, schema: Mapping[str, Any], splits: Sequence[Mapping[str, Any]]
) -> str:
    """``<as_of yyyymmddThhmmZ>-<12 hex>``, from SHA-256 over schema, bounds and content hashes."""
    kept = ("name", "from", "to", "content_hash")
    content = {"schema": schema, "splits": [{key: split[key] for key in kept} for split in splits]}
    return f"{as_of_at:%Y%m%dT%H%MZ}-{hashlib.sha256(canonical(content)).hexdigest()[:12]}"


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces: what is hashed."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
