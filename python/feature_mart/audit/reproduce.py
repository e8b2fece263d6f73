"""Implement `mart audit reproduce`: rebuild a snapshot with the code of its commit, and compare the manifests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_mart.audit.documents import ManifestEntry, compare_manifests
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.settings import SAMPLE, Settings
from feature_mart.exporter import locate_snapshot, verify_snapshot
from feature_mart.runner import Progress, RunLog, extract_commit
from feature_mart.snapshot_files import read_committed

_TAIL = 12
#: Environment variables that the commands of the older commit must not inherit, because they name folders of the
#: current run.
_OURS = frozenset({"MART_DWH", "MART_SNAPSHOTS"})
_AS_SAID = "as its manifest says"


@dataclass(frozen=True, slots=True)
class ReproduceReport:
    """The comparison of a snapshot with its rebuild, and messages about what could not be compared."""

    id: str
    address: str
    commit: str
    as_of_at: str
    checks: tuple[ManifestEntry, ...]
    not_judged: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Return True if no check found a difference."""
        return all(check.is_same for check in self.checks)


def audit_reproduce(
    settings: Settings, log: RunLog, address: str, progress: Progress | None = None
) -> ReproduceReport:
    """Rebuild a snapshot with the code of its commit, and compare the manifests.

    Call this inside `open_run`. The files of the snapshot are verified first. The rebuild is as of the snapshot's
    refresh. All project code, including the runner and the exporter, comes from the commit; installed packages are the
    current ones. The raw warehouse may have grown since the export, because later rows do not change what was known at
    a refresh.

    Raises:
        UsageError: the snapshot was made from another warehouse, or its manifest names no commit.
        TerminalError: the commit is not available, or its code could not build or export.
    """

    def show(done: int, what: str) -> None:
        if progress is not None:
            progress(done, 4, what)

    then, schema = locate_snapshot(address, settings.s3).documents()
    commit = _commit_of(then, settings)
    folder = settings.scratch_dir / "audit"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with log.stage("verify"):
            show(0, "verify the files")
            verdict = verify_snapshot(address, settings.s3)
            problems = [f"{each.where}: {each.what}" for each in verdict.problems]
        with log.stage("code"):
            show(1, f"code of {commit[:9]}")
            code = _extract(settings.project, commit, folder / "code")
        rebuild = _Rebuild(settings, code, folder)
        with log.stage("build"):
            show(2, f"build as of {then['as_of_at']}")
            rebuild.call("build", "--full-refresh", "--as-of", then["as_of_at"])
        with log.stage("export"):
            show(3, "export")
            now = rebuild.export(then, schema.get("format", "parquet"))
        checks, not_judged = compare_manifests(then, now)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    files = ManifestEntry("files of the snapshot", _AS_SAID, "; ".join(problems) or _AS_SAID)
    checks = (files, *checks)
    return ReproduceReport(then["id"], address, commit, then["as_of_at"], checks, tuple(not_judged))


def _commit_of(then: Mapping[str, Any], settings: Settings) -> str:
    if then["warehouse_id"] != settings.warehouse:
        raise UsageError(
            f"Snapshot {then['id']} was made from the warehouse {then['warehouse_id']}, not from "
            f"{settings.warehouse}: set MART_DWH to the folder of {then['warehouse_id']}."
        )
    commit = then["git"]["commit"]
    if commit is None:
        raise UsageError(
            f"Snapshot {then['id']} was exported outside a Git repository: its manifest names no commit, so it cannot "
            "be rebuilt."
        )
    return str(commit)


def _extract(project: Path, commit: str, out: Path) -> Path:
    """Write the project's files at the snapshot's commit into the new folder ``out``, and return the folder."""
    try:
        return extract_commit(project, commit, out)
    except UsageError as error:
        raise TerminalError(f"The code of the snapshot's commit cannot be read: {error}") from None


class _Rebuild:
    """Runs commands of an older commit over the same raw warehouse, with a separate state folder."""

    def __init__(self, settings: Settings, code: Path, folder: Path) -> None:
        self.code, self.snapshots = code, folder / "snapshots"
        home = folder / "home"
        kept = {name: value for name, value in os.environ.items() if name not in _OURS}
        path = os.pathsep.join(filter(None, (str(code / "python"), os.environ.get("PYTHONPATH"))))
        self.environment = {**kept, "MART_HOME": str(home), "PYTHONPATH": path}
        if settings.is_sample:
            # The warehouse has the sample's name, and with it the sample's load clock, only if MART_DWH is not set.
            (home / SAMPLE).mkdir(parents=True)
            (home / SAMPLE / "dwh").symlink_to(settings.dwh, target_is_directory=True)
        else:
            self.environment["MART_DWH"] = str(settings.dwh)

    def call(self, *arguments: str) -> str:
        """Run a command with the commit's code, and return its output.

        Raises:
            TerminalError: the command failed.
        """
        done = subprocess.run(
            [sys.executable, "-m", "feature_mart", *arguments],
            cwd=self.code,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-_TAIL:])
            raise TerminalError(
                f"`mart {arguments[0]}`, run with the code of the snapshot's commit, failed:\n{tail}"
            )
        return done.stdout

    def export(self, then: Mapping[str, Any], file_format: str) -> Mapping[str, Any]:
        """Export the rebuilt mart with the options of the original snapshot, and return the manifest.

        The split with the most parts in the original gives the minimum number of parts of every split. A split with
        fewer rows has one part per row.
        """
        parts = max(_count_parts(then["parts"], split["name"]) for split in then["splits"])
        arguments = ["export", then["consumer"], "--to", str(self.snapshots), "--json"]
        if then["allow_failed"]:
            arguments.append("--allow-failed")
        if file_format != "parquet":
            arguments += ["--format", file_format]
        done = json.loads(self.call(*arguments, "--min-parts", str(parts)))
        return read_committed(done["snapshots"][0]["address"]).manifest


def _count_parts(parts: Sequence[Mapping[str, Any]], split: str) -> int:
    return sum(part["path"].startswith(f"data/{split}/") for part in parts)
