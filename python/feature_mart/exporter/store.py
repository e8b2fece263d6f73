"""Where bytes go: the seam, and a folder on disk behind it.

Keys are paths below the store's root, with ``/``. The commit rests on two promises every store can
keep: a key written only if absent, and a key replaced only if it is still what was read (on S3
``If-None-Match: *`` and ``If-Match``; on disk a hard link, and a comparison under a lock).
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from feature_mart.errors import TerminalError
from feature_mart.snapshot_files import sha256_file


class Store(Protocol):
    """A place for snapshots. Nothing half-written is ever visible under a key."""

    def address(self, key: str) -> str:
        """What a user pastes to reach the key."""
        ...

    def scratch(self) -> AbstractContextManager[Path]:
        """A local folder for parts; gone afterwards, after a kill by the next export."""
        ...

    def exclusive(self, consumer: str) -> AbstractContextManager[None]:
        """One writer of a consumer at a time where the store can; nothing rests on it."""
        ...

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key below a prefix, sorted."""
        ...

    def read(self, key: str) -> bytes | None:
        """A small file, None when it is not there."""
        ...

    def sha256(self, key: str) -> str | None:
        """SHA-256 of what is stored, None when it is not there."""
        ...

    def put_file(self, key: str, local: Path, sha256: str) -> bool:
        """Store a local file, which may be moved; False when the same bytes were there."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Store a small file whatever was there."""
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


class FolderStore:
    """Snapshots in a local folder; every file is synced under a temporary name first."""

    def __init__(self, root: Path) -> None:
        """The folder is made when something is first written."""
        self._root = root.absolute()
        # Beside the consumers, on the same file system, so that a rename is enough.
        self._private = self._root / ".scratch"

    def address(self, key: str) -> str:
        """The absolute path."""
        return str(self._root / key)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Remove what dead exports left; a living one holds the lock in its folder."""
        with self._locked("scratch"):
            for left in self._private.iterdir():
                if left.is_dir() and not _is_held(left / ".lock"):
                    shutil.rmtree(left, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix="export-", dir=self._private))
            held = _lock(folder / ".lock")
        try:
            yield folder
        finally:
            os.close(held)
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def exclusive(self, consumer: str) -> Iterator[None]:
        """A file lock; the operating system frees it when its holder dies."""
        with self._locked(f"consumer-{consumer}"):
            yield

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Walk the folder."""
        folder = self._root / prefix
        found = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
        return tuple(sorted(path.relative_to(self._root).as_posix() for path in found))

    def read(self, key: str) -> bytes | None:
        """Read the file."""
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            return None

    def sha256(self, key: str) -> str | None:
        """Hash the file."""
        try:
            return sha256_file(self._root / key)
        except FileNotFoundError:
            return None

    def put_file(self, key: str, local: Path, sha256: str) -> bool:
        """Sync, then rename."""
        target = self._root / key
        if self.sha256(key) == sha256:
            return False
        _sync(local)
        target.parent.mkdir(parents=True, exist_ok=True)
        local.replace(target)
        _sync(target.parent)
        return True

    def put(self, key: str, data: bytes) -> None:
        """Write, sync, rename."""
        with self._written(key, data) as temporary:
            temporary.replace(self._root / key)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write, sync, link: a link fails on a taken name, and shows the whole file at once."""
        with self._written(key, data) as temporary:
            try:
                os.link(temporary, self._root / key)
            except FileExistsError:
                return False
            except OSError as error:
                raise TerminalError(
                    f"{self._root} is on a file system without hard links ({error}); choose "
                    "another MART_SNAPSHOTS."
                ) from error
        return True

    def swap(self, key: str, data: bytes, expected: bytes | None) -> bool:
        """Compare and replace under a lock of the key's own."""
        with self._locked("swap-" + hashlib.sha256(key.encode()).hexdigest()[:12]):
            if self.read(key) != expected:
                return False
            self.put(key, data)
            return True

    def delete(self, key: str) -> None:
        """Unlink."""
        with suppress(FileNotFoundError):
            (self._root / key).unlink()

    @contextmanager
    def _written(self, key: str, data: bytes) -> Iterator[Path]:
        self._private.mkdir(parents=True, exist_ok=True)
        parent = (self._root / key).parent
        parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="put-", dir=self._private)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            yield temporary
            _sync(parent)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        self._private.mkdir(parents=True, exist_ok=True)
        held = _lock(self._private / f"{name}.lock")
        try:
            yield
        finally:
            os.close(held)


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def _is_held(path: Path) -> bool:
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
