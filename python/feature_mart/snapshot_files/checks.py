"""Check the rows and documents of a snapshot beyond the hashes of its files.

Anybody who changes a part can write its new SHA-256 to manifest.json, and the SHA-256 of manifest.json to _SUCCESS. But
the id and the content hashes are computed from the rows, schema and bounds, and would no longer match. `mart snapshot
verify`, `load_snapshot` and the training program make the same checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_mart.snapshot_files import (
    KEY_COLUMNS,
    MANIFEST,
    SCHEMA,
    SNAPSHOT_ID,
    SPLITS,
    parse_instant,
)
from feature_mart.snapshot_files.content import add_sums, content_hash, snapshot_id
from feature_mart.snapshot_files.row_hash import micros

Key = tuple[int, str]
"""The sort key of a row: (`requested_at` in microseconds since 1970, `job_id`)."""


@dataclass(frozen=True, slots=True)
class Found:
    """Counts and hash sums of some rows of one split.

    Attributes:
        sums: the two sums of the row hashes (see `content`).
        outside: number of rows whose `requested_at` is outside the bounds of the split.
        late: number of rows that should have been purged, because the label was known too late for the split.
        misplaced: number of rows whose key is not greater than the key of the previous row.
        last: the key of the last row. If there are no rows, the key of the previous row, or None.
    """

    rows: int = 0
    sums: tuple[int, int] = (0, 0)
    outside: int = 0
    late: int = 0
    misplaced: int = 0
    last: Key | None = None


def add_found(one: Found, other: Found) -> Found:
    """Combine the counts and sums of two consecutive sets of rows. `other` has the later rows."""
    return Found(
        one.rows + other.rows,
        add_sums(one.sums, other.sums),
        one.outside + other.outside,
        one.late + other.late,
        one.misplaced + other.misplaced,
        other.last,
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds that every row of a split must satisfy.

    Attributes:
        start, end: range of `requested_at`, in microseconds since 1970, `end` excluded.
        until: latest permitted `label_known_at`, in microseconds since 1970; None if the split purges nothing.
        text: the range of `requested_at` as text, for messages.
    """

    name: str
    start: int
    end: int
    until: int | None
    text: str

    def count(
        self,
        requested_at: npt.NDArray[np.int64],
        label_known_at: npt.NDArray[np.int64],
        job_id: Callable[[int], str],
        sums: tuple[int, int],
        last: Key | None = None,
    ) -> Found:
        """Count rows of the split, and the faults in the keys of the rows.

        Args:
            requested_at, label_known_at: microseconds since 1970. Shape: (n,).
            job_id: function that returns the job_id of the row at an index.
            sums: the two sums of the row hashes (see `content`), for the result.
            last: the key of the previous row; None if the rows are the first of the split.
        """
        size = len(requested_at)
        if not size:
            return Found(sums=sums, last=last)
        outside = np.count_nonzero((requested_at < self.start) | (requested_at >= self.end))
        late = 0 if self.until is None else np.count_nonzero(label_known_at > self.until)
        steps = np.diff(requested_at)
        ties = np.flatnonzero(steps == 0).tolist()
        misplaced = np.count_nonzero(steps < 0) + sum(job_id(i + 1) <= job_id(i) for i in ties)
        if last is not None:
            misplaced += (int(requested_at[0]), job_id(0)) <= last
        end = (int(requested_at[-1]), job_id(size - 1))
        return Found(size, sums, int(outside), int(late), int(misplaced), end)

    def key_faults(self, found: Found) -> Iterator[str]:
        """Yield a message for each kind of key fault in `found`."""
        if found.outside:
            yield f"{found.outside} rows have a requested_at outside of {self.name}, {self.text}"
        if found.late:
            yield (
                f"{found.late} rows have a label that was known only after the next split began; they must be purged"
            )
        if found.misplaced:
            yield (
                f"{found.misplaced} rows are not in the order of requested_at and job_id: rows were reordered or "
                "duplicated"
            )


def split_bounds(manifest: Mapping[str, Any], index: int) -> Bounds:
    """Return the bounds of the split at `index` in the manifest.

    `until` is the start of the next split whose window is not empty, minus the embargo; None if there is no such split.
    """
    split = manifest["splits"][index]
    later = [each["from"] for each in manifest["splits"][index + 1 :] if each["from"] < each["to"]]
    until = None
    if later:
        embargo = timedelta(days=manifest["embargo_days"])
        until = micros(parse_instant(later[0]) - embargo)
    start, end = (micros(parse_instant(split[key])) for key in ("from", "to"))
    return Bounds(split["name"], start, end, until, f"{split['from']} to {split['to']}")


def identity_faults(
    manifest: Mapping[str, Any], schema: Mapping[str, Any], folder: str | None
) -> Iterator[tuple[str, str]]:
    """Yield each fault in the id, label, keys and split names of a snapshot, as (path of the document, message).

    Args:
        folder: the name of the snapshot's folder, which must be the id; None skips this check.
    """
    wanted = snapshot_id(parse_instant(manifest["as_of_at"]), schema, manifest["splits"])
    if manifest["id"] != wanted:
        yield MANIFEST, f"the id is {manifest['id']}, but schema, bounds and hashes give {wanted}"
    if folder is not None and folder != manifest["id"]:
        yield MANIFEST, f"the id is {manifest['id']}, but the folder is named {folder}"
    roles = [column["role"] for column in schema["columns"]]
    if (
        roles[0] != "label"
        or "label" in roles[1:]
        or schema["columns"][0]["name"] != schema["label"]
    ):
        yield SCHEMA, "the label is not the first column, or not the only label"
    if {key["name"]: key["type"] for key in schema["keys"]} != KEY_COLUMNS:
        yield SCHEMA, f"the keys are not {', '.join(KEY_COLUMNS)}"
    if tuple(split["name"] for split in manifest["splits"]) != SPLITS:
        yield MANIFEST, f"the splits are not {', '.join(SPLITS)} in this order"


def named_like_a_snapshot(folder: str) -> str | None:
    """Return `folder` if the name is a snapshot id, else None. A copy of a snapshot may have any folder name."""
    return folder if SNAPSHOT_ID.fullmatch(folder) else None


def content_faults(found: Found, split: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message if the row count or the content hash of a split differs from manifest.json."""
    if found.rows != split["rows"]:
        yield f"the parts of the split have {found.rows} rows, but manifest.json has {split['rows']}"
    if content_hash(found.sums) != split["content_hash"]:
        yield (
            f"the content hash of the split is {content_hash(found.sums)}, but manifest.json has "
            f"{split['content_hash']}: values were changed, or rows of data and keys do not match"
        )
