"""List the snapshots in a folder or a bucket."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from feature_mart.core.errors import UsageError
from feature_mart.core.services import S3Options
from feature_mart.exporter.addresses import StoredSnapshot, locate_snapshot
from feature_mart.exporter.latest import Latest, read_latest
from feature_mart.exporter.pins import PINS, read_pins
from feature_mart.snapshot_files import (
    LATEST,
    MANIFEST,
    SNAPSHOT_ID,
    SUCCESS,
    DamagedFileError,
    DamagedSnapshotError,
    manifest_warnings,
    parse_instant,
    snapshot_folder,
)
from feature_mart.storage import Store

#: Maximum number of snapshots per consumer that a message lists.
_LISTED = 3


@dataclass(frozen=True, slots=True)
class SnapshotLine:
    """A snapshot folder in a store.

    Attributes:
        pinned: the reason of the pin; None if the snapshot is not pinned.
        problem: the reason why the snapshot is unusable: not committed, or a document was changed or is missing. None
            if the snapshot is usable. With a problem, the fields after `problem` are empty. The parts are not read (see
            `verify_snapshot`).
        warnings: the reasons why the snapshot is of little use.
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
    """Return every snapshot of a store, or of one consumer, sorted by consumer, then by id.

    An id begins with the refresh, so the snapshots of a consumer are in the order of their refreshes.

    Folders whose name is not a snapshot id are ignored. If a consumer's latest.json or a pin is unreadable, the result
    has a line with the id ``latest.json`` or ``pins`` and the problem.
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


def find_snapshot(store: Store, wanted: str, options: S3Options) -> str:
    """Return the address of a snapshot that a user names. Every command uses this function.

    Args:
        wanted: an id, a consumer (for the snapshot that latest.json names), a folder, or a ``file://`` or ``s3://``
            address. Ids and consumers are looked up in ``store``.
        options: the options for reading from S3.

    Raises:
        UsageError: there is no such snapshot, several consumers have a snapshot of this id, or the address is of
            another kind.
    """
    is_path = "/" in wanted or wanted.startswith((".", "~"))
    folder = Path(os.path.expanduser(wanted))  # noqa: PTH111 - it leaves an unknown user's home as it is
    if "://" in wanted or (is_path and folder.is_dir()):
        address = wanted if "://" in wanted else str(folder.absolute())
        if _is_there(address, options):
            return address
        raise _unknown(store, wanted)
    consumers = () if is_path or not wanted else store.folders("")
    if wanted in consumers:
        latest = read_latest(store, wanted)
        if latest is not None:
            return store.address(f"{wanted}/snapshots/{latest.id}")
    having = [name for name in consumers if wanted in _ids(store, name)]
    if len(having) == 1:
        return store.address(f"{having[0]}/snapshots/{wanted}")
    if having:
        raise UsageError(
            f"The consumers {', '.join(having)} each have a snapshot with the id {wanted}: give the address instead, "
            f"such as {store.address(f'{having[0]}/snapshots/{wanted}')}."
        )
    if wanted and Path(wanted).is_dir():
        return str(Path(wanted).absolute())
    raise _unknown(store, wanted)


def find_in_store(store: Store, wanted: str, options: S3Options) -> tuple[str, str]:
    """Return the consumer and the id of a snapshot in a store. `wanted` is as in `find_snapshot`.

    Raises:
        UsageError: the snapshot does not exist, or is not in the store.
    """
    address = find_snapshot(store, wanted, options).rstrip("/")
    consumer, _, name = "/".join(address.split("/")[-3:]).partition("/snapshots/")
    own = store.address(f"{consumer}/snapshots/{name}")
    if name and _local(own) == _local(address):
        return consumer, name
    raise UsageError(
        f"{address} is not in {store.address()}: set MART_SNAPSHOTS to the folder or bucket that contains "
        "<consumer>/snapshots/<id>."
    )


def _local(address: str) -> str:
    """Return an address in comparable form: a folder with its links resolved, or the unchanged address of a bucket."""
    if "://" in address and not address.startswith("file://"):
        return address
    try:
        return str(snapshot_folder(address).resolve())
    except UsageError:
        return address


def _is_there(address: str, options: S3Options) -> bool:
    """Return True if the folder at an address exists, or if a bucket has a snapshot there, committed or not."""
    if address.startswith("file://") or "://" not in address:
        try:
            snapshot_folder(address)
        except UsageError:
            return False
        return True
    place = locate_snapshot(address, options)
    return any(place.read(name) is not None for name in (SUCCESS, MANIFEST))


def _unknown(store: Store, wanted: str) -> UsageError:
    """Return the error for a snapshot that does not exist, with a list of the existing snapshots."""
    there = []
    for consumer in store.folders(""):
        ids = _ids(store, consumer)
        if ids:
            more = f" and {len(ids) - _LISTED} earlier" if len(ids) > _LISTED else ""
            there.append(f"{consumer} ({', '.join(ids[-_LISTED:])}{more})")
    has = "; ".join(there) if there else "no snapshot yet: `mart export` writes one"
    return UsageError(
        f"{wanted!r} is not a snapshot: name one by its id, its consumer (for the latest), its folder or its s3:// "
        f"address. {store.address()} has {has}."
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
