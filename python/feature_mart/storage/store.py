"""Define the interface of a store of files.

Keys are paths below the store's root, with ``/``. Publishing relies on two atomic operations that every store has:
write a key only if it is absent, and replace a key only if it still has the content that was read. On S3 these are
``If-None-Match: *`` and ``If-Match``; on disk, a hard link and a comparison under a lock.
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
    """A stored file: the key, the size in bytes, and the time of writing (UTC, by the clock of the store)."""

    key: str
    bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Headers:
    """HTTP headers of a file in a store that serves browsers."""

    content_type: str
    cache_control: str


class OccupiedError(Exception):
    """A key holds other bytes and must not be replaced."""


class Store(Protocol):
    """A place for files. Writes are atomic: no key ever shows a partly written file.

    Every method raises OSError for a disk error, and TerminalError or TransientError for an error of the service.
    """

    def address(self, key: str = "") -> str:
        """Return the address of a key as a user would enter it. An empty key gives the address of the root."""
        ...

    def through(self) -> str:
        """Describe the connection to the store and the settings that define it; empty for a folder."""
        ...

    def require_conditions(self, key: str) -> None:
        """Check that the store honours both kinds of conditional write.

        A bucket is checked by writing the small file `key`, which remains. A folder needs no check.

        Raises:
            TerminalError: the store refuses conditional writes, or ignores the conditions.
        """
        ...

    def scratch(self) -> AbstractContextManager[Path]:
        """Return a context manager that yields a local folder for files in progress.

        The folder is removed at the end, or by the next writer if the process is killed.
        """
        ...

    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """Return a context manager that admits one writer per `name` at a time, if the store can lock.

        A store that locks lets `put_file` replace files. Commits do not depend on the lock.
        """
        ...

    def entries(self, prefix: str) -> tuple[Entry, ...]:
        """Return an entry for every key below a prefix, sorted by key."""
        ...

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the folders directly below a prefix, sorted, except names that begin with a dot."""
        ...

    def read(self, key: str) -> bytes | None:
        """Return the content of a small file, or None if it is missing."""
        ...

    def sha256(self, key: str) -> str | None:
        """Return the SHA-256 of a stored file in hex, or None if it is missing.

        On S3, the value is the stored checksum or the metadata of the upload; the file is not read. The value is an
        empty string if there is neither.
        """
        ...

    def local(self, key: str, scratch: Path) -> AbstractContextManager[Path | None]:
        """Return a context manager that yields a local path of the file, or None if the file is missing.

        The path is the stored file or a copy in `scratch`.
        """
        ...

    def put_file(self, key: str, local: Path, sha256: str, *, is_new: bool = False) -> bool:
        """Store a local file, which may be moved; return False if the key already has the same bytes.

        Args:
            sha256: the SHA-256 of the file, in hex.
            is_new: True if the key was absent in a recent listing; the key is then not looked up before the upload.

        Raises:
            OccupiedError: the key holds other bytes, and the store has no lock, so another writer may rely on the
                stored bytes.
        """
        ...

    def put(self, key: str, data: bytes, headers: Headers | None = None) -> None:
        """Store a small file, and replace any stored file. `headers` apply if the store serves browsers."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Store a small file if the key is absent; return False and change nothing if the key exists."""
        ...

    def swap(self, key: str, data: bytes, expected: bytes | None) -> bool:
        """Store a small file if the key holds `expected`, or is absent if `expected` is None; else return False."""
        ...

    def delete(self, key: str) -> None:
        """Remove a key. A missing key is not an error."""
        ...

    def drop_uploads(self, prefix: str, before: datetime, is_ours: Callable[[str], bool]) -> int:
        """Abort uploads of large files that began before a time and never finished, and return the number of uploads.

        `is_ours` gets each key; only uploads for which it returns True are aborted.
        """
        ...
