"""What a snapshot's content is called: an order-free hash per split, and the id made from it.

The hash is the same on every engine, in whatever order it hands out the rows. For one row:

- Each column is rounded to float32 (through float64, to nearest even; -0.0 becomes 0.0) and read as
  the unsigned integer of its 32 bits; NULL is 0x7FC00000, which no value can have, because NaN is
  refused. `requested_at` and `label_known_at` are microseconds since 1970, as two integers each:
  divided by 2**32, and the remainder.
- ``mix`` is the sum of each such integer times its column's coefficient (22 bits, from the SHA-256
  of its name): below 2**63 for up to 500 columns, so that a signed 64-bit sum is exact everywhere.
- ``h`` is the MD5, in hex, of the UTF-8 text ``<mix>:<job_id>``.

The split's hash is the sum over its rows of ``h``'s first 8 hex digits read as an integer, and of
the next 8, each written as 16 hex digits (exact below 2**31 rows). BigQuery says the same with
``TO_HEX(MD5(...))``, ``CAST(CONCAT('0x', SUBSTR(h, 1, 8)) AS INT64)``, ``DIV``, ``MOD`` and
``UNIX_MICROS``; the bits of a float32 come from a JavaScript function of one line, ``new
Uint32Array(new Float32Array([x]).buffer)[0]``, or from the rows themselves, once read over Arrow.
An MD5 of the values' text would be simpler and took three times as long.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from feature_mart.errors import TerminalError

MAX_COLUMNS = 500
NULL_BITS = 0x7FC00000
_TIMES = ("requested_at", "label_known_at")


def coefficients(names: Sequence[str]) -> dict[str, int]:
    """A distinct positive multiplier below 2**22 for each name.

    Raises:
        TerminalError: more than MAX_COLUMNS names.
    """
    if len(names) > MAX_COLUMNS:
        raise TerminalError(
            f"A snapshot holds at most {MAX_COLUMNS} columns; this one has {len(names)}."
        )
    taken: dict[str, int] = {}
    for name in names:
        attempt = 0
        while True:
            digest = hashlib.sha256(f"{name}#{attempt}".encode()).digest()
            value = int.from_bytes(digest[:3], "big") >> 2
            if value and value not in taken.values():
                break
            attempt += 1
        taken[name] = value
    return taken


def float32_sql(column: str) -> str:
    """The column as the float32 that is exported: NULL where it does not fit, never -0.0."""
    return f'(try_cast(cast("{column}" as double) as float) + cast(0 as float))'


def row_hash_sql(columns: Sequence[str]) -> str:
    """DuckDB expression for ``h`` of one row that has these columns, `job_id` and the two instants."""
    words = [*columns, *(f"{time}/{half}" for time in _TIMES for half in ("high", "low"))]
    factor = coefficients(words)
    terms = [
        f"coalesce({float32_sql(column)}::bit::uinteger, {NULL_BITS}::uinteger)::bigint * "
        f"{factor[column]}"
        for column in columns
    ]
    for time in _TIMES:
        terms.append(f'(epoch_us("{time}") // 4294967296) * {factor[f"{time}/high"]}')
        terms.append(f'(epoch_us("{time}") % 4294967296) * {factor[f"{time}/low"]}')
    return f"md5(({' + '.join(terms)})::varchar || ':' || \"job_id\")"


def word_sums_sql(row_hash: str) -> str:
    """Two aggregates over a column of row hashes: the sums of their first and second word."""
    return ", ".join(
        f"coalesce(sum(('0x' || substr({row_hash}, {start}, 8))::bigint), 0)::bigint"
        for start in (1, 9)
    )


def content_hash(sums: Sequence[int]) -> str:
    """A split's content hash: 32 hex digits. Sums of parts may be added before."""
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
