"""Where bytes go: the seam.

Keys are paths below the store's root, with ``/``. Publishing rests on two promises that every store keeps: a key
written only if absent, and a key replaced only if it is still what was read (on S3 ``If-None-Match: *`` and
``If-Match``; on disk a hard link, and a comparison under a lock).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One key below a prefix: its size in bytes, and when it was written (UTC, by the store's own clock)."""

    key: str
    bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Headers:
    """What a browser is told of a file by a store that browsers ask."""

    content_type: str
    cache_control: str


class OccupiedError(Exception):
    """A key that nobody may replace holds other bytes."""


class Store(Protocol):
    """A place for files. Nothing half-written is ever visible under a key.

    Every method raises OSError where the disk, and TerminalError or TransientError where the service, refuses.
    """

    def address(self, key: str = "") -> str:
        """What a user pastes to reach the key; the root's own address for no key."""
        ...

    def through(self) -> str:
        """Return how the store is reached, and by which settings, for a person to read; empty for a folder."""
        ...

    def require_conditions(self, key: str) -> None:
        """Prove that the store keeps its two promises; `key` is a small file of its own, which stays.

        Raises:
            TerminalError: the store refuses conditional writes, or ignores their conditions.
        """
        ...

    def scratch(self) -> AbstractContextManager[Path]:
        """A local folder for what is being written; gone afterwards, after a kill by the next export."""
        ...

    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """One writer of that name at a time where the store can: `put_file` may replace then. No commit rests on it."""
        ...

    def entries(self, prefix: str) -> tuple[Entry, ...]:
        """Every key below a prefix, sorted."""
        ...

    def folders(self, prefix: str) -> tuple[str, ...]:
        """The names that stand directly below a prefix and have keys below them, sorted."""
        ...

    def read(self, key: str) -> bytes | None:
        """A small file, None when it is not there."""
        ...

    def sha256(self, key: str) -> str | None:
        """SHA-256 of what is stored, None when it is not there.

        On S3 it is the store's own checksum, by which it refused anything else when the file came; nothing is read.
        """
        ...

    def local(self, key: str, scratch: Path) -> AbstractContextManager[Path | None]:
        """The whole file on local disk, at its own place or in `scratch`; None when it is not there."""
        ...

    def put_file(self, key: str, local: Path, sha256: str, *, is_new: bool = False) -> bool:
        """Store a local file, which may be moved; False when the same bytes were there.

        `is_new`: nothing was there a while ago, so that it is not asked for before it is sent.

        Raises:
            OccupiedError: other bytes are there, and the store cannot keep others from relying on them.
        """
        ...

    def put(self, key: str, data: bytes, headers: Headers | None = None) -> None:
        """Store a small file whatever was there; `headers` where the store hands files to browsers."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Store a small file; False, and nothing changed, when the key is there."""
        ...

    def swap(self, key: str, data: bytes, expected: bytes | None) -> bool:
        """Store a small file if the key still holds `expected` (None: is absent), else False."""
        ...

    def delete(self, key: str) -> None:
        """Remove a key, if it is there."""
        ...

    def drop_uploads(self, prefix: str, before: datetime, is_ours: Callable[[str], bool]) -> int:
        """Drop uploads of large files that were begun before an instant and never ended; returns how many.

        `is_ours` is asked for each key.
        """
        ...
