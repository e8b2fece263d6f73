"""Write, commit, verify, compare and remove snapshots of a training mart.

======================================  ==========================================================
``export_snapshot(...)``                write one consumer's snapshot from a DuckDB mart to a store
``verify_snapshot(address)``            read a snapshot again and compare it with its manifest
``list_snapshots(store)``               list the snapshots in a store
``find_snapshot(store, wanted)``        return the address of the snapshot that a user names
``diff_snapshots(a, b)``                compare columns, rows, labels and distributions
``pin_snapshot``, ``unpin_snapshot``    add or remove a pin, which prevents cleaning
``clean_snapshots(store, rule)``        remove old snapshots and abandoned exports
``roll_back``, ``release``              move latest.json back and hold it; end the hold
``assign_splits(...)``                  return the split that each row of a training mart would be in
``read_seals(mart_path)``               read the seals of the raw tables from a mart
======================================  ==========================================================
"""

from feature_mart.exporter.addresses import StoredSnapshot, locate_snapshot, snapshot_on_disk
from feature_mart.exporter.assignment import Assignment, assign_splits
from feature_mart.exporter.clean import CleanReport, Removed, Rule, clean_snapshots
from feature_mart.exporter.diff import ColumnDiff, SnapshotDiff, SplitDiff, diff_snapshots
from feature_mart.exporter.documents import BuildContext
from feature_mart.exporter.latest import Latest, read_latest, release, roll_back
from feature_mart.exporter.layout import FileFormat
from feature_mart.exporter.listing import (
    SnapshotLine,
    find_in_store,
    find_snapshot,
    list_snapshots,
)
from feature_mart.exporter.pins import find_pin, pin_snapshot, require_snapshot, unpin_snapshot
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
    "SnapshotReport",
    "SourceSeal",
    "SplitDiff",
    "SplitReport",
    "StoredSnapshot",
    "Verdict",
    "Window",
    "assign_splits",
    "clean_snapshots",
    "contradicted_by_latest",
    "diff_snapshots",
    "export_rows",
    "export_snapshot",
    "find_in_store",
    "find_pin",
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
