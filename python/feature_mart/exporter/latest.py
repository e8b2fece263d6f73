"""Read and move latest.json, which names a consumer's current snapshot.

An export never moves latest.json to a snapshot of an earlier refresh.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from feature_mart.core.errors import TerminalError, TransientError, UsageError
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
"""The effect of an export on latest.json.

moved: latest.json now names the snapshot. For all other outcomes, latest.json names the same snapshot as before.
already: latest.json named this snapshot before. held: latest.json is held by a rollback. newer: latest.json names a
snapshot of a later refresh. fenced: latest.json was written under a newer lease. csv: the snapshot is in CSV, and
latest.json names only Parquet snapshots.
"""

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Latest:
    """The content of latest.json.

    Attributes:
        held: True from a rollback until the release.
        reason: the reason of the rollback; None if latest.json is not held.
        manifest_sha256: SHA-256 of the snapshot's manifest.json when latest.json was written; None in older files.
    """

    id: str
    as_of_at: datetime
    warehouse_id: str
    fencing: int
    held: bool
    reason: str | None = None
    manifest_sha256: str | None = None


def read_latest(store: Store, consumer: str) -> Latest | None:
    """Return the content of a consumer's latest.json, or None before the first export.

    Raises:
        DamagedFileError: latest.json is not JSON, or does not match the JSON Schema.
    """
    data = store.read(f"{consumer}/{LATEST}")
    return None if data is None else _parse(store, consumer, data)


def check_same_warehouse(store: Store, consumer: str, warehouse_id: str) -> None:
    """Raise TerminalError if the consumer's latest snapshot comes from another warehouse."""
    latest = read_latest(store, consumer)
    if latest is not None:
        _check_same(store, consumer, latest, warehouse_id)


def _check_same(store: Store, consumer: str, latest: Latest, warehouse_id: str) -> None:
    if latest.warehouse_id != warehouse_id:
        raise TerminalError(
            f"{store.address(consumer)} contains snapshots of the warehouse {latest.warehouse_id}, not of "
            f"{warehouse_id}; set MART_SNAPSHOTS to another place."
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
    """Point latest.json at a committed snapshot by compare-and-swap, and return the outcome.

    Args:
        fencing: the number of the lease; 0 means no lease and is never refused. The number in the file never decreases.
        is_new: True if this export committed the snapshot. If latest.json already names the id of such a snapshot, an
            earlier snapshot of the id was removed by hand, and the SHA-256 in latest.json is set to that of the new
            manifest.

    Raises:
        TerminalError: latest.json belongs to another warehouse.
        TransientError: other processes kept changing latest.json, or the snapshot was removed in the meantime.
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
    """Point latest.json at another committed snapshot, and hold latest.json: exports do not move it until `release`.

    An unreadable latest.json is replaced as if it were missing. `reason` is recorded in the file.

    Returns:
        The previous content of latest.json; None if latest.json was missing or unreadable.

    Raises:
        UsageError: the snapshot does not exist, is damaged, or is in CSV.
        TransientError: other processes kept changing latest.json, or the snapshot was removed in the meantime.
    """
    committed = require_snapshot(store, consumer, to).committed()
    manifest, schema = committed.manifest, committed.schema
    if schema.get("format", "parquet") != "parquet":
        raise UsageError(
            f"{to} is in CSV, and latest.json names Parquet snapshots only: choose another snapshot."
        )
    seen: list[bytes | None] = []
    for before, now in _attempts(store, consumer, seen, replaces_unreadable=True):
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
    """Release a held latest.json. Exports may then move latest.json again.

    Return the new content of latest.json; None if latest.json was missing or not held.
    """
    seen: list[bytes | None] = []
    for before, now in _attempts(store, consumer, seen):
        if now is None or not now.held:
            return None
        freed = replace(now, held=False, reason=None)
        if _swap(store, consumer, freed, before):
            return freed
    raise _not_replaced(store, consumer, seen)


def _attempts(
    store: Store, consumer: str, seen: list[bytes | None], *, replaces_unreadable: bool = False
) -> Iterator[tuple[bytes | None, Latest | None]]:
    """Yield the raw and the parsed content of latest.json, once for each attempt to replace the file.

    Args:
        seen: the list to which each raw content is appended.
        replaces_unreadable: treat an unreadable file as missing instead of raising DamagedFileError.
    """
    for _ in range(_ATTEMPTS):
        before = store.read(f"{consumer}/{LATEST}")
        seen.append(before)
        try:
            now = None if before is None else _parse(store, consumer, before)
        except DamagedFileError:
            if not replaces_unreadable:
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
    # Avoid a race with `mart snapshot clean`, which invalidates the commit before it reads latest.json. This function
    # writes latest.json before it reads the commit, so at least one of the two sees the other's change and reverts its
    # own.
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
    """Return the manifest's SHA-256 from a snapshot's `_SUCCESS`.

    Raises:
        TransientError: the snapshot was removed.
    """
    success = store.read(f"{consumer}/snapshots/{snapshot_id}/{SUCCESS}")
    if success is None or success == REMOVED:
        raise TransientError(
            f"{snapshot_id} of {consumer} was removed by `mart snapshot clean` at the same time: choose another "
            "snapshot, or export again."
        )
    return success.decode(errors="replace").strip()


def _not_replaced(
    store: Store, consumer: str, seen: list[bytes | None]
) -> TransientError | TerminalError:
    where = store.address(f"{consumer}/{LATEST}")
    if len(set(seen)) == 1:
        return TerminalError(
            f"{where} is unchanged, but the store refused {len(seen)} times to replace it because of its ETag. The "
            "snapshot is committed. Look for a proxy that rewrites ETags, or correct MART_S3_ENDPOINT."
        )
    return TransientError(
        f"Other processes changed {where} each time this process tried to replace it, so it does not name the new "
        "snapshot. The snapshot is committed; try again."
    )


def _parse(store: Store, consumer: str, data: bytes) -> Latest:
    try:
        document = decode_document(data, "latest", store.address(f"{consumer}/{LATEST}"))
        as_of_at = parse_instant(document["as_of_at"])
    except (TerminalError, ValueError) as error:
        raise DamagedFileError(
            f"{error} Correct the file with `mart snapshot rollback {consumer} --to SNAPSHOT --reason TEXT`."
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
