"""Lock the state folder of a warehouse, check which warehouse owns it, and read and write the record of the mart."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from feature_mart.core.errors import LeaseHeldError, TerminalError, UsageError
from feature_mart.core.files import write_whole
from feature_mart.core.settings import Settings

#: The folders with the files that, together with the raw rows, decide the rows of the mart. `_DECIDING` has the
#: suffixes of these files.
_DEFINITIONS = ("models", "macros", "seeds", "snapshots")
#: The files and folders that a command creates in a state folder before it writes any result.
_UNUSED = frozenset({"lock", "address", "runs", "scratch", "target"})
_DECIDING = frozenset({".sql", ".py", ".csv", ".yml", ".yaml"})


@dataclass(frozen=True, slots=True)
class CheckCounts:
    """The numbers of a build's checks, by result."""

    passed: int = 0
    failed: int = 0
    warned: int = 0


@dataclass(frozen=True, slots=True)
class BuiltMart:
    """The record of a mart: what the mart was built from. The record is published together with the mart.

    `address` is the place of the raw warehouse. `engine` is the name and version of the engine. `definitions` is the
    hash of the files that decide the rows, or ``several`` if parts of the mart were built from different files.
    `published_at` is the timestamp as of which tables on BigQuery are read; None for a mart in a file.
    """

    address: str
    as_of_at: datetime
    engine: str
    clock: dict[str, Any]
    definitions: str
    run_id: str
    tests: CheckCounts
    published_at: datetime | None = None


def clock_document(settings: Settings) -> dict[str, Any]:
    """Return the settings of the clock as JSON values, for the record of a mart."""
    return asdict(settings.clock)


@contextmanager
def hold_state(settings: Settings) -> Iterator[None]:
    """Lock a state folder and check that it belongs to this warehouse.

    The kernel releases the lock when a process dies, so a stale process id in the file does no harm. The scratch folder
    is removed at the start and the end of the context. A state folder that the command has created is also removed if
    the command raises UsageError and has written no result.

    Raises:
        LeaseHeldError: another process holds the lock.
        UsageError: the folder belongs to another warehouse of the same name.
        TerminalError: the folder cannot be written.
    """
    folder = settings.state_dir
    new = _new_folders(folder)
    handle = _open_lock(folder)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        _claim_address(settings)
        # This process has the lock, so anything in the scratch folder is from a process that died.
        shutil.rmtree(settings.scratch_dir, ignore_errors=True)
        try:
            yield
        except UsageError:
            _remove_unused(settings, new)
            raise
        finally:
            shutil.rmtree(settings.scratch_dir, ignore_errors=True)
    finally:
        os.close(handle)


def _open_lock(folder: Path) -> int:
    """Create a state folder if it is missing, lock the folder, and return the handle of the lock file.

    Raises:
        LeaseHeldError: another process holds the lock.
        TerminalError: the folder cannot be written.
    """
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise TerminalError(
                f"The state folder {folder} is not writable ({error.strerror}): correct the permissions of the "
                "folder, or set MART_HOME to another folder."
            ) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise LeaseHeldError(
                f"{folder} is locked by process {pid}: wait for that process, or set MART_HOME to another folder."
            ) from None
        if _is_at(handle, folder / "lock"):
            return handle
        # The process that held the lock has removed the folder, so this lock has no effect: try again.
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _new_folders(folder: Path) -> tuple[Path, ...]:
    """Return the folders that do not exist yet among a folder and its parents, the deepest first."""
    return tuple(itertools.takewhile(lambda each: not each.exists(), (folder, *folder.parents)))


def _remove_unused(settings: Settings, new: Sequence[Path]) -> None:
    """Remove the state folder of a command that raised UsageError, if the folder is new and has no result.

    Call this while the lock is held. ``new`` has the folders that did not exist before the command.
    """
    folder = settings.state_dir
    if not new or {each.name for each in folder.iterdir()} - _UNUSED:
        return
    # Rename the folder first, because another process may then create a folder of this name, which must be kept.
    gone = folder.with_name(f".{folder.name}.unused-{os.getpid()}")
    with suppress(OSError):
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        for above in new[1:]:
            above.rmdir()


def check_address(settings: Settings) -> None:
    """Check that the state folder belongs to this warehouse or to none yet.

    Raises:
        UsageError: the folder belongs to another warehouse of the same name.
    """
    path = settings.state_dir / "address"
    known = path.read_text(encoding="utf-8").strip() if path.is_file() else settings.address
    if known != settings.address:
        raise UsageError(
            f"{settings.state_dir} contains the mart of {known}, not of {settings.address}: rename one of the two "
            "warehouse folders, or set MART_HOME to another folder."
        )


def _claim_address(settings: Settings) -> None:
    check_address(settings)
    path = settings.state_dir / "address"
    if not path.is_file():
        write_whole(path, (settings.address + "\n").encode())


def hash_definitions(project: Path) -> str:
    """Return the SHA-256 of all files of the project that decide the rows of the mart."""
    digest = hashlib.sha256()
    files = [project / "dbt_project.yml"]
    for folder in _DEFINITIONS:
        files += sorted(
            path
            for path in (project / folder).rglob("*")
            if path.is_file() and path.suffix in _DECIDING
        )
    for path in files:
        content = path.read_bytes()
        name = path.relative_to(project).as_posix()
        digest.update(f"{len(name)} {name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def parse_built(text: str | None) -> BuiltMart | None:
    """Parse the record of a mart. Return None if ``text`` is None or the record has an older format."""
    document = json.loads(text) if text is not None else {}
    if "engine" not in document:
        return None
    published_at = document.get("published_at")
    return BuiltMart(
        address=document["address"],
        as_of_at=datetime.fromisoformat(document["as_of_at"]),
        engine=document["engine"],
        clock=document["clock"],
        definitions=document["definitions"],
        run_id=document["run_id"],
        tests=CheckCounts(**document["tests"]),
        published_at=datetime.fromisoformat(published_at) if published_at else None,
    )


def format_built(built: BuiltMart) -> str:
    """Return the record of a mart as JSON text, to be kept with the mart."""
    published = built.published_at.isoformat() if built.published_at else None
    return json.dumps(
        asdict(built) | {"as_of_at": built.as_of_at.isoformat(), "published_at": published}
    )
