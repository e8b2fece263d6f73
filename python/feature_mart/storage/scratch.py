"""Open scratch folders for files in progress, and hold locks between processes on one machine."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_scratch(parent: Path) -> Iterator[Path]:
    """Yield a new folder below `parent`; first remove the folders that dead processes left there.

    A running process holds a lock on the file ``.lock`` in its scratch folder.
    """
    with hold_lock(parent / "scratch.lock"):
        for left in parent.iterdir():
            if left.is_dir() and not _is_held(left / ".lock"):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix="files-", dir=parent))
        held = _lock(folder / ".lock")
    try:
        yield folder
    finally:
        os.close(held)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Wait for a file lock, and hold it inside the `with` block. The lock is released if the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = _lock(path)
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
