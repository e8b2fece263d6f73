"""The report of a run: what was done, how long it took, what failed. One JSON file a run."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from feature_mart.errors import FeatureMartError
from feature_mart.runner.dbt import Node
from feature_mart.runner.state import TestCounts
from feature_mart.settings import Settings


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a run; CPU and peak memory are this process's."""

    name: str
    status: str
    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class GitState:
    """The commit of the project. `commit` is None outside a repository."""

    commit: str | None
    dirty: bool


@dataclass(slots=True)
class RunLog:
    """Collects a run's report while it goes on; `write` puts it in its place."""

    settings: Settings
    command: str
    run_id: str
    git: GitState
    started_at: datetime
    as_of_at: datetime | None = None
    stages: list[Stage] = field(default_factory=list)
    nodes: tuple[Node, ...] = ()
    tests: TestCounts = field(default_factory=TestCounts)
    marts: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; one that raises is kept as failed."""
        wall, cpu, status = time.monotonic(), time.process_time(), "failed"
        try:
            yield
            status = "done"
        finally:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            self.stages.append(
                Stage(
                    name,
                    status,
                    round(time.monotonic() - wall, 3),
                    round(time.process_time() - cpu, 3),
                    round(peak, 1),
                )
            )

    def document(self, error: BaseException | None) -> dict[str, Any]:
        """The report as its JSON Schema has it."""
        interrupted = isinstance(error, KeyboardInterrupt)
        exit_code = 130 if interrupted else getattr(error, "exit_code", 1) if error else 0
        return {
            "schema": 1,
            "run_id": self.run_id,
            "command": self.command,
            "git": {"commit": self.git.commit, "dirty": self.git.dirty},
            "target": self.settings.target,
            "warehouse_id": self.settings.warehouse,
            "as_of_at": self.as_of_at.isoformat() if self.as_of_at else None,
            "started_at": self.started_at.isoformat(),
            "ended_at": datetime.now(UTC).isoformat(),
            "status": "done" if error is None else "interrupted" if interrupted else "failed",
            "exit_code": exit_code,
            "stages": [
                {
                    "name": stage.name,
                    "status": stage.status,
                    "attempts": 1,
                    "wall_s": stage.wall_s,
                    "cpu_s": stage.cpu_s,
                    "peak_mb": stage.peak_mb,
                }
                for stage in self.stages
            ],
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
            "tests": {
                "passed": self.tests.passed,
                "failed": self.tests.failed,
                "warned": self.tests.warned,
            },
            "marts": self.marts,
            "error": None if error is None else str(error) or type(error).__name__,
        }

    def write(self, error: BaseException | None = None) -> Path:
        """Write ``runs/<run_id>.json``, whole or not at all."""
        document = self.document(error)
        schema = json.loads(
            resources.files("feature_mart.schemas")
            .joinpath("run_report.json")
            .read_text(encoding="utf-8")
        )
        jsonschema.validate(document, schema)
        path = self.settings.runs_dir / f"{self.run_id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
        return path


def begin_run(settings: Settings, command: str) -> RunLog:
    """A new run's log, with an id that sorts by time."""
    run_id = f"{settings.now:%Y%m%dT%H%M%SZ}-{command}-{os.getpid()}"
    return RunLog(settings, command, run_id, read_git(settings.project), settings.now)


@contextmanager
def logged_run(settings: Settings, command: str) -> Iterator[RunLog]:
    """A run whose report is written however it ends."""
    log = begin_run(settings, command)
    try:
        yield log
    except (FeatureMartError, KeyboardInterrupt) as error:
        log.write(error)
        raise
    log.write()


def read_git(project: Path) -> GitState:
    """The project's commit, and whether the tree differs from it."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(project), *arguments],
                capture_output=True,
                text=True,
                check=True,
                timeout=20,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    return GitState(commit, bool(git("status", "--porcelain")) if commit else False)
