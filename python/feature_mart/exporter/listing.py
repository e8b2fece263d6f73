"""What snapshots a folder holds."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from feature_mart.errors import TerminalError
from feature_mart.exporter.latest import Latest, read_latest
from feature_mart.exporter.store import FolderStore
from feature_mart.snapshot_files import parse_instant, read_committed


@dataclass(frozen=True, slots=True)
class SnapshotLine:
    """One snapshot folder.

    `problem` is None for a committed snapshot whose documents are sound (parts are not read:
    `verify_snapshot` does that); else it says why it is none, and the fields after it are empty.
    """

    consumer: str
    id: str
    address: str
    is_latest: bool
    is_held: bool
    problem: str | None
    as_of_at: datetime | None = None
    created_at: datetime | None = None
    warehouse_id: str | None = None
    rows: dict[str, int] | None = None
    bytes: int | None = None


def list_snapshots(root: Path, consumer: str | None = None) -> tuple[SnapshotLine, ...]:
    """Every snapshot below a folder, by consumer and id: the newest as_of comes last."""
    lines: list[SnapshotLine] = []
    store = FolderStore(root)
    for folder in sorted(root.glob("[!.]*/snapshots/*")):
        name = folder.parent.parent.name
        if folder.is_dir() and consumer in (None, name):
            lines.append(_line(folder, name, read_latest(store, name)))
    return tuple(lines)


def _line(folder: Path, consumer: str, latest: Latest | None) -> SnapshotLine:
    is_latest = latest is not None and latest.id == folder.name
    is_held = is_latest and latest is not None and latest.held
    address = str(folder.absolute())
    try:
        manifest = read_committed(folder).manifest
    except TerminalError as error:
        return SnapshotLine(consumer, folder.name, address, is_latest, is_held, str(error))
    return SnapshotLine(
        consumer=consumer,
        id=folder.name,
        address=address,
        is_latest=is_latest,
        is_held=is_held,
        problem=None,
        as_of_at=parse_instant(manifest["as_of_at"]),
        created_at=parse_instant(manifest["created_at"]),
        warehouse_id=manifest["warehouse_id"],
        rows={split["name"]: split["rows"] for split in manifest["splits"]},
        bytes=sum(part["bytes"] for part in manifest["parts"]),
    )
