"""Export a snapshot to disk, copy it to the folders that a SageMaker training job reads, and run the entry point."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import snapshot_case as case
from feature_mart.exporter import export_snapshot
from feature_mart.storage import FolderStore

PYTHON = Path(__file__).parents[2] / "python"
SPLITS = ("train", "validation", "test")
ARGUMENTS = ("--seed", "3", "--learning_rate", "0.3", "--max_depth", "4")
PARAMS = {"learning_rate": 0.3, "max_depth": 4}


def export(
    folder: Path,
    *,
    rows: int = 1500,
    change: str = "",
    file_format: Any = "parquet",
    **exposure: Any,
) -> Path:
    """Export a snapshot of a mart with `rows` rows, in parts of at most 400 rows, and return the snapshot's folder."""
    manifest = case.manifest(part_rows=400, **exposure)
    mart = case.build_mart(folder / "mart", rows=rows, change=change)
    report = export_snapshot(
        mart,
        manifest,
        manifest.consumers[0],
        FolderStore(folder / "snapshots"),
        context=case.context(),
        file_format=file_format,
    )
    return Path(report.address)


def mount(snapshot: Path, base: Path) -> Path:
    """Copy each channel of a snapshot into ``base``, in the layout that SageMaker uses in /opt/ml. Return ``base``."""
    for split in SPLITS:
        shutil.copytree(snapshot / "data" / split, base / "input/data" / split)
    shutil.copytree(snapshot / "_meta", base / "input/data/meta")
    shutil.copytree(snapshot / "keys", base / "input/data/keys")
    return base


def toolkit_variables(base: Path, **changes: str) -> dict[str, str]:
    """Return the environment variables that SageMaker's training toolkit sets, with ``changes`` applied."""
    channels = {
        f"SM_CHANNEL_{name.upper()}": str(base / "input/data" / name)
        for name in (*SPLITS, "meta", "keys")
    }
    return {
        **channels,
        "SM_MODEL_DIR": str(base / "model"),
        "SM_OUTPUT_DIR": str(base / "output"),
        "SM_OUTPUT_DATA_DIR": str(base / "output/data"),
        "SM_HPS": "{}",
        "SM_HOSTS": '["algo-1"]',
        "SM_CURRENT_HOST": "algo-1",
        **changes,
    }


def run(
    variables: dict[str, str], *arguments: str, program: tuple[str, ...] = ("-m", "feature_mart.training.entry"),
    path: Path = PYTHON,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Run the training entry point in a process of its own, with only PATH, PYTHONPATH and these variables."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(path), **variables}
    return subprocess.run(
        [sys.executable, *program, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
