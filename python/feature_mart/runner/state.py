"""The state folder of one warehouse: its lock, its address, and what the mart in it was built from."""

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

import duckdb

from feature_mart.errors import LeaseHeldError, TerminalError, UsageError
from feature_mart.settings import Settings

#: What decides the rows besides the raw ones.
_DEFINITIONS = ("models", "macros", "seeds")


@dataclass(frozen=True, slots=True)
class TestCounts:
    """How the checks of a build ended."""

    passed: int = 0
    failed: int = 0
    warned: int = 0


@dataclass(frozen=True, slots=True)
class BuiltMart:
    """What the present mart.duckdb says of itself; kept inside it, so that both move at once."""

    address: str
    as_of_at: datetime
    duckdb_version: str
    clock: dict[str, Any]
    definitions: str
    run_id: str
    tests: TestCounts


def clock_document(settings: Settings) -> dict[str, Any]:
    """The clock as the record holds it."""
    return asdict(settings.clock)


@contextmanager
def hold_state(settings: Settings) -> Iterator[None]:
    """Be the one writer of a state folder, and see that it is this warehouse's.

    Raises:
        LeaseHeldError: another process is writing.
        UsageError: the folder belongs to another warehouse of the same name.
    """
    folder = settings.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise TerminalError(f"The state folder {folder} cannot be used: {error}.") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            raise LeaseHeldError(
                f"Process {pid} is writing {folder}: wait for it, or set MART_HOME to another folder."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        check_address(settings)
        # Only a dead writer can have left something here.
        shutil.rmtree(settings.scratch_dir, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def check_address(settings: Settings) -> None:
    """Remember the warehouse's address in its state folder, or compare with the one there.

    Raises:
        UsageError: another warehouse of the same name has used the folder.
    """
    path = settings.state_dir / "address"
    if path.is_file():
        known = path.read_text(encoding="utf-8").strip()
        if known != settings.address:
            raise UsageError(
                f"{settings.state_dir} holds the mart of {known}, not of {settings.address}: rename "
                "the folder of one of them, or set MART_HOME to another folder."
            )
        return
    temporary = path.with_suffix(f".{os.getpid()}")
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
            if path.is_file() and path.suffix in {".sql", ".py", ".csv", ".yml"}
        )
    for path in files:
        digest.update(str(path.relative_to(project)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def read_built(mart_path: Path) -> BuiltMart | None:
    """What the mart was built from; None where there is none, or none that this DuckDB can read."""
    if not mart_path.is_file():
        return None
    try:
        with duckdb.connect(str(mart_path), read_only=True) as con:
            row = con.execute("select document from mart_state.built").fetchone()
    except duckdb.Error:
        return None
    if row is None:
        return None
    document = json.loads(row[0])
    return BuiltMart(
        address=document["address"],
        as_of_at=datetime.fromisoformat(document["as_of_at"]),
        duckdb_version=document["duckdb_version"],
        clock=document["clock"],
        definitions=document["definitions"],
        run_id=document["run_id"],
        tests=TestCounts(**document["tests"]),
    )


def write_built(mart_path: Path, built: BuiltMart) -> None:
    """Put the record into a finished mart that is not yet in its place."""
    document = asdict(built) | {"as_of_at": built.as_of_at.isoformat()}
    with duckdb.connect(str(mart_path)) as con:
        con.execute("create schema if not exists mart_state")
        con.execute(
            "create or replace table mart_state.built as select ? as document",
            [json.dumps(document)],
        )
        con.execute("checkpoint")
