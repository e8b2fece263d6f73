"""Read and write pins. A pin is a file with a reason, which protects a snapshot from cleaning."""

from __future__ import annotations

from datetime import datetime

from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.exporter.addresses import StoredSnapshot
from feature_mart.snapshot_files import (
    REMOVED,
    SNAPSHOT_ID,
    SUCCESS,
    DamagedFileError,
    DamagedSnapshotError,
    check_document,
    decode_document,
    encode_document,
    instant_text,
)
from feature_mart.storage import Store

PINS = "pins"


def read_pins(store: Store, consumer: str) -> dict[str, str]:
    """Return the reasons of a consumer's pins by snapshot id.

    Raises:
        DamagedFileError: a pin is not JSON, or does not match the JSON Schema.
    """
    pins: dict[str, str] = {}
    for entry in store.entries(f"{consumer}/{PINS}"):
        data = store.read(entry.key)
        if data is not None:
            where = store.address(entry.key)
            try:
                document = decode_document(data, "pin", where)
            except TerminalError as error:
                raise DamagedFileError(
                    f"{error} Remove the file, then pin the snapshot again."
                ) from None
            pins[document["id"]] = document["reason"]
    return pins


def pin_snapshot(store: Store, consumer: str, name: str, reason: str, now: datetime) -> bool:
    """Pin a committed snapshot; return False and change nothing if the snapshot is pinned already.

    Raises:
        UsageError: the snapshot does not exist or is damaged.
        TerminalError: the snapshot was removed in the meantime.
    """
    require_snapshot(store, consumer, name)
    success = f"{consumer}/snapshots/{name}/{SUCCESS}"
    document = {"schema": 1, "id": name, "reason": reason, "pinned_at": instant_text(now)}
    key = _key(consumer, name)
    check_document(document, "pin", key)
    is_new = store.put_if_absent(key, encode_document(document))
    # Avoid a race with `mart snapshot clean`, which invalidates the commit before it reads the pins. This function
    # writes the pin before it reads the commit, so at least one of the two sees the other's change and reverts its own.
    if store.read(success) in {None, REMOVED}:
        store.delete(key)
        raise TerminalError(
            f"{name} of {consumer} was removed at the same time, so nothing was pinned: choose another snapshot."
        )
    return is_new


def unpin_snapshot(store: Store, consumer: str, name: str) -> bool:
    """Remove the pin of a snapshot; return False if the snapshot is not pinned."""
    key = _key(consumer, name)
    if store.read(key) is None:
        return False
    store.delete(key)
    return True


def find_pin(store: Store, name: str) -> str | None:
    """Return the consumer that has a pin of this id, even if the snapshot is gone; None if there is no such pin."""
    if not SNAPSHOT_ID.fullmatch(name):
        return None
    having = (each for each in store.folders("") if store.read(_key(each, name)) is not None)
    return next(having, None)


def require_snapshot(store: Store, consumer: str, name: str) -> StoredSnapshot:
    """Return a committed snapshot whose documents are intact.

    Raises:
        UsageError: the snapshot does not exist or is damaged. The message lists the last snapshots.
    """
    place = StoredSnapshot(store, f"{consumer}/snapshots/{name}")
    try:
        if not SNAPSHOT_ID.fullmatch(name):
            raise DamagedSnapshotError("The name is not a snapshot id.")
        place.documents()
    except DamagedSnapshotError as error:
        known = ", ".join(store.folders(f"{consumer}/snapshots")[-3:]) or "none"
        raise UsageError(
            f"{name} is not a usable snapshot of {consumer}: {error} The last snapshots are {known} (`mart snapshot "
            "list`)."
        ) from None
    return place


def _key(consumer: str, name: str) -> str:
    return f"{consumer}/{PINS}/{name}.json"
