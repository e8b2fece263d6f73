"""Snapshots of a training mart: written, committed, verified, compared and cleared.

======================================  ==========================================================
``export_snapshot(...)``                one consumer's snapshot from a DuckDB mart to a store
``verify_snapshot(address)``            everything in it read again and compared with its manifest
``list_snapshots(store)``               what a store holds
``diff_snapshots(a, b)``                columns, rows, labels and distributions of two
``pin_snapshot``, ``unpin_snapshot``    kept whatever is cleaned
``clean_snapshots(store, rule)``        what nobody needs, and what dead exports left
``roll_back``, ``release``              latest.json moved back and held; let go again
``assign_splits(...)``                  the split that each row of a training mart would be in
``read_seals(mart_path)``               what the mart sealed about its raw tables
======================================  ==========================================================
"""

from feature_mart.exporter.assignment import PURGED, Assignment, assign_splits
from feature_mart.exporter.clean import CleanReport, Removed, Rule, clean_snapshots
from feature_mart.exporter.diff import ColumnDiff, SnapshotDiff, SplitDiff, diff_snapshots
from feature_mart.exporter.documents import BuildContext
from feature_mart.exporter.latest import Latest, read_latest, release, roll_back
from feature_mart.exporter.layout import FileFormat
from feature_mart.exporter.listing import SnapshotLine, find_snapshot, list_snapshots
from feature_mart.exporter.pins import pin_snapshot, require_snapshot, unpin_snapshot
from feature_mart.exporter.places import SnapshotPlace, locate_snapshot, snapshot_on_disk
from feature_mart.exporter.seals import SEALS, SourceSeal, read_seals
from feature_mart.exporter.snapshot import (
    Show,
    SnapshotReport,
    SplitReport,
    export_rows,
    export_snapshot,
)
from feature_mart.exporter.splits import Window, windows_between
from feature_mart.exporter.verify import Verdict, contradicted_by_latest, verify_snapshot
from feature_mart.exporter.verify_parts import Problem

__all__ = [
    "PURGED",
    "SEALS",
    "Assignment",
    "BuildContext",
    "CleanReport",
    "ColumnDiff",
    "FileFormat",
    "Latest",
    "Problem",
    "Removed",
    "Rule",
    "Show",
    "SnapshotDiff",
    "SnapshotLine",
    "SnapshotPlace",
    "SnapshotReport",
    "SourceSeal",
    "SplitDiff",
    "SplitReport",
    "Verdict",
    "Window",
    "assign_splits",
    "clean_snapshots",
    "contradicted_by_latest",
    "diff_snapshots",
    "export_rows",
    "export_snapshot",
    "find_snapshot",
    "list_snapshots",
    "locate_snapshot",
    "pin_snapshot",
    "read_latest",
    "read_seals",
    "release",
    "require_snapshot",
    "roll_back",
    "snapshot_on_disk",
    "unpin_snapshot",
    "verify_snapshot",
    "windows_between",
]
