"""Run a command as the only writer of a state folder, and write the command's run record."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from types import FrameType
from typing import Any

import jsonschema

from feature_mart.core.errors import StopRequestedError, UsageError
from feature_mart.core.files import write_whole
from feature_mart.core.settings import Settings
from feature_mart.runner.dbt import Node
from feature_mart.runner.git import GitState, read_git
from feature_mart.runner.stages import Stage, measured
from feature_mart.runner.state import CheckCounts, check_address, hold_state

_INTERRUPTED = 130


@dataclass(slots=True)
class RunLog:
    """The run record of a command, filled in while the command runs and written by `write`."""

    settings: Settings
    command: str
    run_id: str
    git: GitState
    started_at: datetime
    as_of_at: datetime | None = None
    stages: list[Stage] = field(default_factory=list)
    nodes: tuple[Node, ...] = ()
    tests: CheckCounts = field(default_factory=CheckCounts)
    marts: list[dict[str, Any]] = field(default_factory=list)

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Return a context manager that measures a stage. A stage that raises is recorded as failed."""
        return measured(name, self.stages)

    def document(self, error: BaseException | None) -> dict[str, Any]:
        """Return the record as JSON values; ``error`` is the exception that ended the run, None after a success."""
        interrupted = isinstance(error, KeyboardInterrupt)
        return {
            "schema": 1,
            "run_id": self.run_id,
            "command": self.command,
            "git": asdict(self.git),
            "target": self.settings.target,
            "warehouse_id": self.settings.warehouse_id,
            "as_of_at": self.as_of_at.isoformat() if self.as_of_at else None,
            "started_at": self.started_at.isoformat(),
            "ended_at": datetime.now(UTC).isoformat(),
            "status": "done" if error is None else "interrupted" if interrupted else "failed",
            "exit_code": exit_code(error),
            "stages": [{**asdict(stage), "attempts": 1} for stage in self.stages],
            "nodes": [
                {
                    "id": node.id,
                    "status": node.status,
                    "wall_s": node.wall_s,
                    "rows": node.rows,
                    "bytes": None,
                    "cost": None,
                }
                for node in self.nodes
            ],
            "tests": asdict(self.tests),
            "marts": self.marts,
            "error": None if error is None else str(error) or type(error).__name__,
        }

    def write(self, error: BaseException | None = None) -> Path:
        """Write ``runs/<run_id>.json`` atomically and return its path."""
        document = self.document(error)
        schema = resources.files("feature_mart.core.schemas").joinpath("run_report.json")
        jsonschema.validate(document, json.loads(schema.read_text(encoding="utf-8")))
        path = self.settings.runs_dir / f"{self.run_id}.json"
        write_whole(path, (json.dumps(document, indent=1) + "\n").encode())
        return path


def exit_code(error: BaseException | None) -> int:
    """Return the exit code of a command that ended with ``error``; 0 if ``error`` is None."""
    if error is None:
        return 0
    default = _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return int(getattr(error, "exit_code", default))


@contextmanager
def open_run(settings: Settings, command: str) -> Iterator[RunLog]:
    """Lock a warehouse's state folder, yield the run record of a command, and write the record at the end.

    The record is also written after a failure, but not if the folder is locked or belongs to another warehouse. SIGTERM
    ends the run in the same way as Ctrl-C.

    Raises:
        LeaseHeldError: another process holds the lock.
        UsageError: there is no such warehouse, or the folder belongs to another warehouse of the same name.
        StopRequestedError: the process received SIGTERM.
    """
    check_address(settings)
    is_there = settings.is_sample or settings.dwh.is_dir() or settings.state_dir.is_dir()
    if settings.bigquery is None and not is_there:
        raise UsageError(
            f"The warehouse {settings.dwh} is not a folder: set --dwh or MART_DWH (or `make mart DWH=…`) to a "
            "folder with one Parquet file per raw table."
        )
    with _sigterm_as_interrupt(), hold_state(settings):
        run_id = f"{settings.now:%Y%m%dT%H%M%SZ}-{command}-{os.getpid()}"
        log = RunLog(settings, command, run_id, read_git(settings.project), settings.now)
        try:
            yield log
        except BaseException as error:
            # Raise the error of the run even if the record cannot be written, for example to a full disk.
            with suppress(OSError):
                log.write(error)
            raise
        log.write()


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Turn SIGTERM into a StopRequestedError, so that dbt can cancel its queries and the run is recorded."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise StopRequestedError("stopped by SIGTERM")

    try:
        former = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # Only the main thread can set signal handlers.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
