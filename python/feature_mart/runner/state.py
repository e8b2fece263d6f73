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

from feature_mart.errors import LeaseHeldError, TerminalError, TransientError, UsageError
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
    """What the present mart.duckdb says of itself; kept inside it, so that both move at once.

    `definitions` is the hash of what decided its rows, or no hash where they were built from several.
    """

    address: str
    as_of_at: datetime
    duckdb_version: str
    clock: dict[str, Any]
    definitions: str
    run_id: str
    tests: CheckCounts


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


def read_built(mart_path: Path) -> BuiltMart | None:
    """What the mart was built from; None where there is none, or none that this DuckDB can read.

    Raises:
        TransientError: another program has the file open for writing.
    """
    text = _read_kept(mart_path, "built")
    if text is None:
        return None
    document = json.loads(text)
    return BuiltMart(
        address=document["address"],
        as_of_at=datetime.fromisoformat(document["as_of_at"]),
        duckdb_version=document["duckdb_version"],
        clock=document["clock"],
        definitions=document["definitions"],
        run_id=document["run_id"],
        tests=CheckCounts(**document["tests"]),
    )


def require_built(settings: Settings) -> BuiltMart:
    """What the present mart was built from.

    Raises:
        UsageError: there is none, or the state folder is another warehouse's.
        TransientError: another program has the file open for writing.
    """
    check_address(settings)
    built = read_built(settings.mart_path)
    if built is None:
        raise UsageError(f"There is no mart at {settings.mart_path} yet: run `mart build` first.")
    return built


def read_dbt_manifest(mart_path: Path) -> dict[str, Any]:
    """The dbt manifest of the build that made a mart.

    Raises:
        TerminalError: the mart holds none.
    """
    text = _read_kept(mart_path, "dbt_manifest")
    if text is None:
        raise TerminalError(f"{mart_path} holds no dbt manifest: build it with --full-refresh.")
    document: dict[str, Any] = json.loads(text)
    return document


def write_built(mart_path: Path, built: BuiltMart, dbt_manifest: Path) -> None:
    """Put the record and dbt's manifest into a finished mart that is not yet in its place.

    The tables through which dbt-duckdb appends what a Python model returned, and which it leaves, go.
    """
    document = asdict(built) | {"as_of_at": built.as_of_at.isoformat()}
    kept = {
        "built": json.dumps(document),
        "dbt_manifest": dbt_manifest.read_text(encoding="utf-8"),
    }
    with duckdb.connect(str(mart_path)) as con:
        left = con.execute(
            "select schema_name, table_name from duckdb_tables() where contains(table_name, '__dbt_tmp')"
        ).fetchall()
        for schema, table in left:
            con.execute(f'drop table "{schema}"."{table}"')
        con.execute("create schema if not exists mart_state")
        for name, text in kept.items():
            con.execute(
                f"create or replace table mart_state.{name} as select ? as document", [text]
            )
        con.execute("checkpoint")


def _read_kept(mart_path: Path, name: str) -> str | None:
    if not mart_path.is_file():
        return None
    try:
        with duckdb.connect(str(mart_path), read_only=True) as con:
            row = con.execute(f"select document from mart_state.{name}").fetchone()
    except duckdb.IOException as error:
        if "lock" in str(error):
            raise TransientError(
                f"Another program has {mart_path} open for writing: close it and try again."
            ) from None
        return None
    except duckdb.Error:
        return None
    return None if row is None else str(row[0])
