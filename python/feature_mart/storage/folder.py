"""Store files in a local folder."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from feature_mart.core.errors import TerminalError
from feature_mart.core.files import sha256_file
from feature_mart.storage.scratch import hold_lock, open_scratch
from feature_mart.storage.store import Entry, Headers

#: Error numbers of `os.link` on a file system that does not support hard links.
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class FolderStore:
    """A store in a local folder. Each file is written and synced under a temporary name, then renamed or linked."""

    def __init__(self, root: Path) -> None:
        """Create the store. The first write creates the folder."""
        self._root = root.absolute()
        # Temporary files are kept below the root, because a rename is atomic only within one file system.
        self._private = self._root / ".scratch"
        # SHA-256 of each file stored by this object, with the inode, size and modification time, which reveal changes.
        self._known: dict[str, tuple[tuple[int, int, int], str]] = {}

    def address(self, key: str = "") -> str:
        """Return the absolute path of a key."""
        return str(self._root / key)

    def through(self) -> str:
        """Return an empty string, because a folder is reached directly."""
        return ""

    def require_conditions(self, key: str) -> None:
        """Do nothing, because a file system without links or locks raises an error at the first write."""

    def scratch(self) -> AbstractContextManager[Path]:
        """Return a context manager that yields a folder on the file system of the stored files."""
        return open_scratch(self._private)

    def exclusive(self, name: str) -> AbstractContextManager[None]:
        """Return a context manager that holds the file lock of ``name``."""
        return hold_lock(self._private / f"{name}.lock")

    def entries(self, prefix: str) -> tuple[Entry, ...]:
        """Return an entry for every file below a folder, sorted by key. Omit scratch files."""
        found = []
        for path in (self._root / prefix).rglob("*"):
            key = path.relative_to(self._root)
            if (path.is_file() or path.is_symlink()) and key.parts[0] != self._private.name:
                state = path.lstat()
                at = datetime.fromtimestamp(state.st_mtime, UTC)
                found.append(Entry(key.as_posix(), state.st_size, at))
        return tuple(sorted(found, key=lambda entry: entry.key))

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the direct subfolders, sorted, empty ones included. Omit names with a leading dot."""
        with suppress(FileNotFoundError):
            found = (path.name for path in (self._root / prefix).iterdir() if path.is_dir())
            return tuple(sorted(name for name in found if name[0] != "."))
        return ()

    def read(self, key: str) -> bytes | None:
        """Return the content of the file, or None if it is missing."""
        try:
            return (self._root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def sha256(self, key: str) -> str | None:
        """Return the SHA-256 of the file, or None if it is missing.

        A file that this object stored is not hashed again unless the file was changed since.
        """
        path = self._root / key
        try:
            mark, sha256 = self._known.get(key, (None, ""))
            return sha256 if mark == _mark(path) else sha256_file(path)
        except FileNotFoundError:
            return None

    @contextmanager
    def local(self, key: str, scratch: Path) -> Iterator[Path | None]:  # noqa: ARG002
        """Yield the path of the stored file, or None if it is missing."""
        path = self._root / key
        yield path if path.is_file() else None

    def put_file(self, key: str, local: Path, sha256: str, *, is_new: bool = False) -> bool:  # noqa: ARG002
        """Sync the file and rename it over the stored one. Return False if the same bytes are already stored.

        Overwriting is safe, because writers hold the lock of `exclusive`.
        """
        target = self._root / key
        if self.sha256(key) == sha256:
            return False
        _sync(local)
        target.parent.mkdir(parents=True, exist_ok=True)
        local.replace(target)
        _sync(target.parent)
        self._known[key] = _mark(target), sha256
        return True

    def put(self, key: str, data: bytes, headers: Headers | None = None) -> None:  # noqa: ARG002
        """Write and sync a temporary file, then rename it over the stored file, if any."""
        with self._written(key, data) as temporary:
            temporary.replace(self._root / key)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write and sync a temporary file, then link it to the key. A link is atomic, and fails if the key exists."""
        with self._written(key, data) as temporary:
            try:
                os.link(temporary, self._root / key)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                raise TerminalError(
                    f"{self._root} is on a file system without hard links ({error}): set MART_SNAPSHOTS to another "
                    "folder."
                ) from error
        return True

    def swap(self, key: str, data: bytes, expected: bytes | None) -> bool:
        """Replace the file if the content is `expected`, under a lock for the key; else return False."""
        name = hashlib.sha256(key.encode()).hexdigest()[:12]
        with hold_lock(self._private / f"swap-{name}.lock"):
            if self.read(key) != expected:
                return False
            self.put(key, data)
            return True

    def delete(self, key: str) -> None:
        """Remove the file, and the parent folders that are then empty."""
        path = self._root / key
        with suppress(FileNotFoundError):
            path.unlink()
        for folder in path.parents:
            if folder == self._root:
                break
            try:
                folder.rmdir()
            except OSError:
                break

    def drop_uploads(
        self,
        prefix: str,  # noqa: ARG002
        before: datetime,  # noqa: ARG002
        is_ours: Callable[[str], bool],  # noqa: ARG002
    ) -> int:
        """Return 0, because a folder has no uploads. `scratch` removes the scratch folders of dead processes."""
        return 0

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


def _mark(path: Path) -> tuple[int, int, int]:
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
