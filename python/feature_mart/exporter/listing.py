"""List the snapshots in a folder or a bucket."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from feature_mart.core.errors import UsageError
from feature_mart.exporter.addresses import StoredSnapshot
from feature_mart.exporter.latest import Latest, read_latest
from feature_mart.exporter.pins import PINS, read_pins
from feature_mart.snapshot_files import (
    LATEST,
    SNAPSHOT_ID,
    DamagedFileError,
    DamagedSnapshotError,
    manifest_warnings,
    parse_instant,
)
from feature_mart.storage import Store


@dataclass(frozen=True, slots=True)
class SnapshotLine:
    """One snapshot folder.

    Attributes:
        pinned: the reason of its pin; None without one.
        problem: why it is not a committed snapshot with intact documents; None if it is one. With a problem, the fields
            after it are empty. Parts are not read: `verify_snapshot` does that.
        warnings: why the snapshot is of little use.
    """

    consumer: str
    id: str
    address: str
    is_latest: bool
    is_held: bool
    pinned: str | None
    problem: str | None
    as_of_at: datetime | None = None
    created_at: datetime | None = None
    warehouse_id: str | None = None
    file_format: str | None = None
    rows: dict[str, int] | None = None
    bytes: int | None = None
    warnings: tuple[str, ...] = ()


def list_snapshots(store: Store, consumer: str | None = None) -> tuple[SnapshotLine, ...]:
    """Return every snapshot of a store, sorted by consumer and id; the newest refresh comes last.

    Folders whose name is not a snapshot id are ignored. If a consumer's latest.json or a pin is unreadable, a line with
    ``latest.json`` or ``pins`` as its id says so.
    """
    lines: list[SnapshotLine] = []
    for name in store.folders("") if consumer is None else (consumer,):
        found = _ids(store, name)
        if not found:
            continue
        latest, pins = None, {}
        try:
            latest = read_latest(store, name)
        except DamagedFileError as error:
            lines.append(_damaged(store, name, LATEST, error))
        try:
            pins = read_pins(store, name)
        except DamagedFileError as error:
            lines.append(_damaged(store, name, PINS, error))
        for snapshot in found:
            place = StoredSnapshot(store, f"{name}/snapshots/{snapshot}")
            lines.append(_line(place, name, latest, pins.get(snapshot)))
    return tuple(lines)


def find_snapshot(store: Store, wanted: str) -> str:
    """Return the address of a snapshot, given by its address, its id, or its consumer for the latest one.

    Raises:
        UsageError: there is no such snapshot, or several have the id.
    """
    is_path = "/" in wanted or wanted.startswith(".")
    if "://" in wanted:
        return wanted
    if is_path and Path(wanted).expanduser().is_dir():
        return str(Path(wanted).expanduser().absolute())
    consumers = () if is_path or not wanted else store.folders("")
    if wanted in consumers:
        latest = read_latest(store, wanted)
        if latest is not None:
            return store.address(f"{wanted}/snapshots/{latest.id}")
    found = {f"{name}/snapshots/{each}": each for name in consumers for each in _ids(store, name)}
    having = [prefix for prefix, each in found.items() if each == wanted]
    if len(having) == 1:
        return store.address(having[0])
    known = ", ".join(sorted(found.values())[-3:]) or "none"
    raise UsageError(
        f"{wanted!r} is not a snapshot in {store.address()}: use an id, a consumer or an address. The last snapshots "
        f"are {known} (`mart snapshot list`)."
    )


def _ids(store: Store, consumer: str) -> list[str]:
    return [each for each in store.folders(f"{consumer}/snapshots") if SNAPSHOT_ID.fullmatch(each)]


def _damaged(store: Store, consumer: str, name: str, error: DamagedFileError) -> SnapshotLine:
    where = store.address(f"{consumer}/{name}")
    return SnapshotLine(
        consumer, name, where, is_latest=False, is_held=False, pinned=None, problem=str(error)
    )


def _line(
    place: StoredSnapshot, consumer: str, latest: Latest | None, pinned: str | None
) -> SnapshotLine:
    is_latest = latest is not None and latest.id == place.name
    common: dict[str, Any] = {
        "consumer": consumer,
        "id": place.name,
        "address": place.address,
        "is_latest": is_latest,
        "is_held": is_latest and latest is not None and latest.held,
        "pinned": pinned,
    }
    try:
        manifest, schema = place.documents()
    except DamagedSnapshotError as error:
        return SnapshotLine(**common, problem=str(error))
    return SnapshotLine(
        **common,
        problem=None,
        as_of_at=parse_instant(manifest["as_of_at"]),
        created_at=parse_instant(manifest["created_at"]),
        warehouse_id=manifest["warehouse_id"],
        file_format=schema.get("format", "parquet"),
        rows={split["name"]: split["rows"] for split in manifest["splits"]},
        bytes=sum(part["bytes"] for part in manifest["parts"]),
        warnings=manifest_warnings(manifest),
    )
