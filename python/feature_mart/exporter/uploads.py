"""Hash and upload part files, and remove the local files, while the next part is being written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from feature_mart.core.errors import TerminalError
from feature_mart.core.files import sha256_file
from feature_mart.storage import OccupiedError, Store

#: A function that is called with the number of rows and bytes stored so far.
Meter = Callable[[int, int], None]

_AT_ONCE = 2
#: Maximum number of unfinished uploads when `add` starts another one.
_WAITING = 4


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A data or key file in the store.

    `path` is relative to the snapshot. `is_sent` is False if the file was stored before this export.
    """

    path: str
    rows: int
    bytes: int
    sha256: str
    is_sent: bool


class Uploads:
    """The uploads of a snapshot's parts, done in the background. Use the object as a context manager.

    On an error, uploads that have not started are cancelled. The first part of a split is uploaded before the others:
    two exports that divide the same rows into different parts conflict on the first part, and the second export stops
    before it uploads further files.
    """

    def __init__(
        self,
        store: Store,
        prefix: str,
        begun: Mapping[str, str] | None,
        there: Collection[str],
        meter: Meter,
    ) -> None:
        """Prepare the uploads. `add` starts an upload.

        Args:
            begun: the SHA-256 of each part in the manifest of an uncommitted attempt, by the path of the part; None if
                there is no such manifest.
            there: the existing keys of the snapshot, from a recent listing.
            meter: called after each file with the number of rows and bytes stored so far.
        """
        self._store, self._prefix, self._begun = store, prefix, begun
        self._there = there
        self._meter = meter
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._waiting: deque[Future[StoredPart]] = deque()
        self._parts: list[StoredPart] = []

    def __enter__(self) -> Uploads:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, path: str, local: Path, rows: int, *, is_first: bool) -> None:
        """Start the upload of a file to `path`. If `is_first`, wait until this upload and all earlier ones have ended.

        The error of a failed upload is raised here or in `finish`.
        """
        self._wait(0 if is_first else _WAITING)
        self._waiting.append(self._pool.submit(self._put, path, local, rows))
        if is_first:
            self._wait(0)

    def finish(self) -> tuple[StoredPart, ...]:
        """Wait for all uploads, and return every stored file, sorted by path."""
        self._wait(0)
        return tuple(sorted(self._parts, key=lambda part: part.path))

    def _wait(self, most: int) -> None:
        while len(self._waiting) > most:
            self._parts.append(self._waiting.popleft().result())
            data = [part for part in self._parts if part.path.startswith("data/")]
            self._meter(sum(part.rows for part in data), sum(part.bytes for part in self._parts))

    def _put(self, path: str, local: Path, rows: int) -> StoredPart:
        size, sha256, key = local.stat().st_size, sha256_file(local), f"{self._prefix}/{path}"
        if self._begun is not None and self._begun.get(path) != sha256:
            raise begun_otherwise(self._store, self._prefix)
        try:
            is_sent = self._store.put_file(key, local, sha256, is_new=key not in self._there)
        except OccupiedError:
            raise begun_otherwise(self._store, self._prefix) from None
        local.unlink(missing_ok=True)
        return StoredPart(path, rows, size, sha256, is_sent)


def begun_otherwise(store: Store, prefix: str) -> TerminalError:
    """Return the error for another attempt that has divided the same rows into other part files."""
    return TerminalError(
        f"{store.address(prefix)} has other part files of an export that was not committed (with another engine "
        "version, --min-parts or part_rows). If no other export is running, remove these files with `mart snapshot "
        "clean --attempts 0`, then export again."
    )
