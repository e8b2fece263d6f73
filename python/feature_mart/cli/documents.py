"""Build the JSON output of commands. Each command prints one object, to which `emit` adds the key `schema`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from feature_mart.core.raw_contract import CONTRACT, OPTIONAL
from feature_mart.core.settings import Settings
from feature_mart.exporter import SnapshotReport
from feature_mart.pipeline import RunSummary, UnusualLoads
from feature_mart.runner import BuildReport
from feature_mart.runner.archive import Archive
from feature_mart.runner.first_loads import Moved
from feature_mart.sample import SampleReport


def run_document(done: RunSummary) -> dict[str, Any]:
    """Return the JSON of `mart run --json`."""
    return {
        **build_document(done.build, done.run_id, done.settings, done.loads),
        "site": str(done.site),
        "snapshots": [snapshot_document(each) for each in done.snapshots],
        "seconds": round(done.seconds, 3),
    }


def build_document(
    done: BuildReport, run_id: str, settings: Settings, loads: UnusualLoads
) -> dict[str, Any]:
    """Return the JSON of `mart build --json`."""
    return {
        "run_id": run_id,
        "warehouse_id": settings.warehouse,
        "as_of_at": done.as_of_at.isoformat(),
        "mart": settings.mart_address,
        "models": done.models,
        "full_because": done.full_because,
        "tests": asdict(done.tests),
        "warnings": list(done.warnings),
        "not_judged_yet": [asdict(each) for each in done.unjudged],
        "bulk_loads": [
            {
                "table": each.table,
                "day": each.day,
                "keys": each.keys,
                "of": each.of,
                "seed_line": each.seed_line(settings.warehouse),
                "known_earlier": moved_document(each.moved),
                "compared_keys": each.compared,
            }
            for each in loads.bulk
        ],
        "archive": archive_document(loads.archive),
    }


def archive_document(archive: Archive | None) -> dict[str, Any] | None:
    """Return the JSON description of an archive; None if the warehouse is current."""
    if archive is None:
        return None
    return {
        "newest_event_at": archive.ends_at.isoformat(),
        "column": archive.column,
        "days": archive.days,
        "as_of": archive.as_of.isoformat(),
    }


def moved_document(moved: Moved) -> dict[str, Any]:
    """Return the JSON description of the keys that a load clock line makes known earlier. Durations are in hours."""
    hour = timedelta(hours=1)
    return {
        "keys": moved.keys,
        "median_hours": round(moved.median / hour, 3),
        "greatest_hours": round(moved.greatest / hour, 3),
        "example": moved.example,
    }


def sample_document(done: SampleReport) -> dict[str, Any]:
    """Return the JSON of `mart sample --json`."""
    return {"folder": str(done.folder), "jobs": done.jobs, "seed": done.seed, "rows": done.rows}


def empty_document(folder: Path) -> dict[str, Any]:
    """Return the JSON of `mart sample --empty DIR --json`."""
    return {
        "folder": str(folder),
        "columns": {
            table: {column: kind.value for column, kind in columns.items()}
            for table, columns in CONTRACT.items()
        },
        "optional_columns": {table: list(columns) for table, columns in OPTIONAL.items()},
    }


def snapshot_document(done: SnapshotReport) -> dict[str, Any]:
    """Return the JSON of one snapshot, as in `mart export --json` and `mart run --json`."""
    return {
        "consumer": done.consumer,
        "id": done.id,
        "address": done.address,
        "status": done.status,
        "mart_rows": done.mart_rows,
        "columns": list(done.columns),
        "splits": [
            {
                "name": split.name,
                "from": split.start.isoformat(),
                "to": split.end.isoformat(),
                "rows": split.rows,
                "purged": split.purged,
            }
            for split in done.splits
        ],
        "excluded": done.excluded,
        "parts": done.parts,
        "bytes": done.bytes,
        "sent_bytes": done.sent_bytes,
        "latest": done.latest,
        "warnings": [
            {"kind": each.kind, "split": each.split, "what": each.what, "remedy": each.remedy}
            for each in done.warnings
        ],
        "through": done.through or None,
    }
