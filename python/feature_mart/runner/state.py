"""The state folder of one warehouse: its lock, its address, and the record of what its mart was built from."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from feature_mart.errors import LeaseHeldError, TerminalError, UsageError
from feature_mart.settings import Settings

#: What decides the rows besides the raw ones.
_DEFINITIONS = ("models", "macros", "seeds", "snapshots")
_DECIDING = frozenset({".sql", ".py", ".csv", ".yml", ".yaml"})


@dataclass(frozen=True, slots=True)
class CheckCounts:
    """How the checks of a build ended."""

    passed: int = 0
    failed: int = 0
    warned: int = 0


@dataclass(frozen=True, slots=True)
class BuiltMart:
    """What the present mart says of itself; kept with it, so that both move at once.

    `engine` is its engine's name and version; `definitions` the hash of what decided its rows, or no hash where they
    were built from several. `published_at` is the moment as of which a reader takes its tables, None where the mart
    moves as one file.
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
    """The clock as the record holds it."""
    return asdict(settings.clock)


@contextmanager
def hold_state(settings: Settings) -> Iterator[None]:
    """Be the one writer of a state folder, and see that it is this warehouse's.

    The kernel drops the lock of a process that died, so a stale pid in it stops nobody. The scratch folder is
    emptied before and after.

    Raises:
        LeaseHeldError: another process is writing.
        UsageError: the folder belongs to another warehouse of the same name.
        TerminalError: the folder cannot be written.
    """
    folder = settings.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise TerminalError(
            f"The state folder {folder} cannot be written ({error.strerror}): mend that, or set "
            "MART_HOME to another folder."
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            raise LeaseHeldError(
                f"Process {pid} is writing {folder}: wait for it, or set MART_HOME to another folder."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        _claim_address(settings)
        # Only a dead writer can have left something here.
        shutil.rmtree(settings.scratch_dir, ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(settings.scratch_dir, ignore_errors=True)
    finally:
        os.close(handle)


def check_address(settings: Settings) -> None:
    """See that the state folder is this warehouse's, where it is anybody's.

    Raises:
        UsageError: another warehouse of the same name has used it.
    """
    path = settings.state_dir / "address"
    known = path.read_text(encoding="utf-8").strip() if path.is_file() else settings.address
    if known != settings.address:
        raise UsageError(
            f"{settings.state_dir} holds the mart of {known}, not of {settings.address}: rename the "
            "folder of one of them, or set MART_HOME to another folder."
        )


def _claim_address(settings: Settings) -> None:
    check_address(settings)
    path = settings.state_dir / "address"
    if not path.is_file():
        temporary = path.with_suffix(".part")
        temporary.write_text(settings.address + "\n", encoding="utf-8")
        temporary.replace(path)


def hash_definitions(project: Path) -> str:
    """SHA-256 over every file that decides what the mart's rows are."""
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
    """The record that a build kept with its mart; None where there is none, or one of another form."""
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
    """The record as the text that is kept."""
    published = built.published_at.isoformat() if built.published_at else None
    return json.dumps(
        asdict(built) | {"as_of_at": built.as_of_at.isoformat(), "published_at": published}
    )
