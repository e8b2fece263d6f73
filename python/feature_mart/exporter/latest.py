"""latest.json: which snapshot of a consumer is current. An export moves it forward only."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from feature_mart.errors import TerminalError, TransientError, UsageError
from feature_mart.exporter.pins import require_snapshot
from feature_mart.snapshot_files import (
    LATEST,
    REMOVED,
    SUCCESS,
    DamagedFileError,
    check_document,
    decode_document,
    encode_document,
    instant_text,
    parse_instant,
)
from feature_mart.storage import Store

LatestOutcome = Literal["moved", "already", "held", "newer", "fenced", "csv"]
"""moved; named it already; held by a rollback; names a newer as_of; written under a newer lease; names Parquet only."""

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Latest:
    """latest.json, parsed. `held` is true after a rollback until it is released, and `reason` says why.

    `manifest_sha256` is that of the snapshot's manifest.json when the file was moved to it; None in an older file.
    """

    id: str
    as_of_at: datetime
    warehouse_id: str
    fencing: int
    held: bool
    reason: str | None = None
    manifest_sha256: str | None = None


def read_latest(store: Store, consumer: str) -> Latest | None:
    """None before the first export. Raises: DamagedFileError when it breaks its schema."""
    data = store.read(f"{consumer}/{LATEST}")
    return None if data is None else _parse(store, consumer, data)


def check_warehouse(store: Store, consumer: str, warehouse_id: str) -> None:
    """Raise TerminalError when the consumer's latest snapshot here comes from another warehouse."""
    latest = read_latest(store, consumer)
    if latest is not None:
        _check_same(store, consumer, latest, warehouse_id)


def _check_same(store: Store, consumer: str, latest: Latest, warehouse_id: str) -> None:
    if latest.warehouse_id != warehouse_id:
        raise TerminalError(
            f"{store.address(consumer)} holds snapshots of the warehouse {latest.warehouse_id}, not {warehouse_id}; "
            "set MART_SNAPSHOTS to another place."
        )


def move_latest(
    store: Store,
    consumer: str,
    *,
    snapshot_id: str,
    as_of_at: datetime,
    warehouse_id: str,
    fencing: int,
    is_new: bool = True,
) -> LatestOutcome:
    """Point latest.json at a committed snapshot by compare-and-swap.

    `fencing` 0 means without a lease and is never refused; the number in the file never goes down. `is_new` says that
    this export committed the snapshot: if the file names one of that id from before, it was removed by hand, and the
    new manifest's SHA-256 goes in.

    Raises:
        TerminalError: the file belongs to another warehouse.
        TransientError: others kept changing it, or the snapshot was removed meanwhile.
    """
    seen: list[bytes | None] = []
    for before, now in _attempts(store, consumer, seen):
        if now is not None:
            _check_same(store, consumer, now, warehouse_id)
            if now.id == snapshot_id:
                if is_new and not _swap(
                    store, consumer, _as_committed(store, consumer, now), before
                ):
                    continue
                return "already"
            if now.held:
                return "held"
            if now.as_of_at > as_of_at:
                return "newer"
            if 0 < fencing < now.fencing:
                return "fenced"
        lease = max(fencing, now.fencing if now else 0)
        moved = Latest(snapshot_id, as_of_at, warehouse_id, lease, held=False)
        if _swap(store, consumer, _as_committed(store, consumer, moved), before):
            return "moved"
    raise _not_replaced(store, consumer, seen)


def roll_back(store: Store, consumer: str, to: str, reason: str) -> Latest | None:
    """Point latest.json at another committed snapshot and hold it there; exports leave it until `release`.

    Returns:
        What it named before, None when there was none.

    Raises:
        UsageError: there is no such snapshot, or it is damaged.
        TransientError: others kept changing the file, or the snapshot was removed meanwhile.

    A latest.json that cannot be read is replaced as if there were none.
    """
    committed = require_snapshot(store, consumer, to).committed()
    manifest, schema = committed.manifest, committed.schema
    if schema.get("format", "parquet") != "parquet":
        raise UsageError(f"{to} is in CSV; latest.json names snapshots in Parquet only.")
    seen: list[bytes | None] = []
    for before, now in _attempts(store, consumer, seen, is_mending=True):
        moved = Latest(
            to,
            parse_instant(manifest["as_of_at"]),
            manifest["warehouse_id"],
            now.fencing if now else 0,
            held=True,
            reason=reason,
            manifest_sha256=committed.manifest_sha256,
        )
        if _swap(store, consumer, moved, before):
            return now
    raise _not_replaced(store, consumer, seen)


def release(store: Store, consumer: str) -> Latest | None:
    """Let exports move latest.json again; it names what it named until one does. None where none was held."""
    seen: list[bytes | None] = []
    for before, now in _attempts(store, consumer, seen):
        if now is None or not now.held:
            return None
        freed = replace(now, held=False, reason=None)
        if _swap(store, consumer, freed, before):
            return freed
    raise _not_replaced(store, consumer, seen)


def _attempts(
    store: Store, consumer: str, seen: list[bytes | None], *, is_mending: bool = False
) -> Iterator[tuple[bytes | None, Latest | None]]:
    """Return what latest.json holds now, as often as it is worth trying to replace it; each goes into `seen` too."""
    for _ in range(_ATTEMPTS):
        before = store.read(f"{consumer}/{LATEST}")
        seen.append(before)
        try:
            now = None if before is None else _parse(store, consumer, before)
        except DamagedFileError:
            if not is_mending:
                raise
            now = None
        yield before, now


def _swap(store: Store, consumer: str, latest: Latest, before: bytes | None) -> bool:
    key = f"{consumer}/{LATEST}"
    document: dict[str, Any] = {
        "schema": 1,
        "id": latest.id,
        "as_of_at": instant_text(latest.as_of_at),
        "warehouse_id": latest.warehouse_id,
        "fencing": latest.fencing,
        "held": latest.held,
    }
    if latest.manifest_sha256 is not None:
        document["manifest_sha256"] = latest.manifest_sha256
    if latest.reason is not None:
        document["reason"] = latest.reason
    check_document(document, "latest", key)
    data = encode_document(document)
    if not store.swap(key, data, before):
        return False
    # Whoever cleans looks at latest.json after the commit is gone, and puts it back: one of the two sees the other.
    try:
        _committed_sha256(store, consumer, latest.id)
    except TransientError:
        if before is not None:
            store.swap(key, before, data)
        raise
    return True


def _as_committed(store: Store, consumer: str, latest: Latest) -> Latest:
    return replace(latest, manifest_sha256=_committed_sha256(store, consumer, latest.id))


def _committed_sha256(store: Store, consumer: str, snapshot_id: str) -> str:
    """Return what a snapshot's _SUCCESS holds. Raises: TransientError where it is gone."""
    success = store.read(f"{consumer}/snapshots/{snapshot_id}/{SUCCESS}")
    if success is None or success == REMOVED:
        raise TransientError(
            f"{snapshot_id} of {consumer} was removed by `mart snapshot clean` meanwhile; try again, with another "
            "snapshot or an export."
        )
    return success.decode(errors="replace").strip()


def _not_replaced(
    store: Store, consumer: str, seen: list[bytes | None]
) -> TransientError | TerminalError:
    where = store.address(f"{consumer}/{LATEST}")
    if len(set(seen)) == 1:
        return TerminalError(
            f"{where} holds the same as before, and the store refused {len(seen)} times to replace it as if it had "
            "changed; look for a proxy that rewrites ETags, or correct MART_S3_ENDPOINT. What was exported is "
            "committed."
        )
    return TransientError(
        f"{where} kept changing, so it was left as it is; try again. What was exported is committed."
    )


def _parse(store: Store, consumer: str, data: bytes) -> Latest:
    try:
        document = decode_document(data, "latest", store.address(f"{consumer}/{LATEST}"))
        as_of_at = parse_instant(document["as_of_at"])
    except (TerminalError, ValueError) as error:
        raise DamagedFileError(
            f"{error} Put it right with `mart snapshot rollback {consumer} --to ID --reason TEXT`."
        ) from None
    return Latest(
        id=document["id"],
        as_of_at=as_of_at,
        warehouse_id=document["warehouse_id"],
        fencing=document["fencing"],
        held=document["held"],
        reason=document.get("reason"),
        manifest_sha256=document.get("manifest_sha256"),
    )
