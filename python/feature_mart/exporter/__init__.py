"""Snapshots of a training mart: written, committed, verified and listed (DESIGN.md, "A snapshot").

============================  ===============================================================
``export_snapshot(...)``      one consumer's snapshot from a DuckDB mart to a folder
``verify_snapshot(address)``  everything in it read again and compared with its manifest
``list_snapshots(root)``      what a folder holds
``read_seals(mart_path)``     what the mart sealed about its raw tables, for a ``BuildContext``
============================  ===============================================================
"""

from feature_mart.exporter.listing import SnapshotLine, list_snapshots
from feature_mart.exporter.seals import SEALS, SourceSeal, read_seals
from feature_mart.exporter.snapshot import (
    BuildContext,
    SnapshotReport,
    SplitReport,
    export_rows,
    export_snapshot,
)
from feature_mart.exporter.verify import Problem, Verdict, verify_snapshot

__all__ = [
    "SEALS",
    "BuildContext",
    "Problem",
    "SnapshotLine",
    "SnapshotReport",
    "SourceSeal",
    "SplitReport",
    "Verdict",
    "export_rows",
    "export_snapshot",
    "list_snapshots",
    "read_seals",
    "verify_snapshot",
]
