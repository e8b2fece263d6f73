"""latest.json: which snapshot of a consumer is current. An export moves it forward only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from feature_mart.errors import TerminalError, TransientError
from feature_mart.exporter.store import Store
from feature_mart.snapshot_files import (
    LATEST,
    check_document,
    decode_document,
    encode_document,
    instant_text,
    parse_instant,
)

LatestOutcome = Literal["moved", "already", "held", "newer", "fenced"]
"""moved; named it already; held by a rollback; names a newer as_of; written under a newer lease."""

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Latest:
    """latest.json, parsed. `held` is true after a rollback until it is released."""

    id: str
    as_of_at: datetime
    warehouse_id: str
    fencing: int
    held: bool


def read_latest(store: Store, consumer: str) -> Latest | None:
    """None before the first export. Raises: TerminalError when the file breaks its schema."""
    data = store.read(f"{consumer}/{LATEST}")
    return None if data is None else _parse(store, consumer, data)


def check_warehouse(store: Store, consumer: str, warehouse_id: str) -> None:
    """Raise TerminalError when the consumer's snapshots here come from another warehouse."""
    latest = read_latest(store, consumer)
    if latest is not None and latest.warehouse_id != warehouse_id:
        raise TerminalError(
            f"{store.address(consumer)} holds snapshots of the warehouse {latest.warehouse_id}, "
            "not "
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
) -> LatestOutcome:
    """Point latest.json at a committed snapshot by compare-and-swap.

    `fencing` 0 means without a lease and is never refused; the number in the file never goes down.

    Raises:
        TerminalError: the file belongs to another warehouse.
        TransientError: others kept changing it.
    """
    key = f"{consumer}/{LATEST}"
    for _ in range(_ATTEMPTS):
        check_warehouse(store, consumer, warehouse_id)
        before = store.read(key)
        now = None if before is None else _parse(store, consumer, before)
        if now is not None:
            if now.id == snapshot_id:
                return "already"
            if now.held:
                return "held"
            if now.as_of_at > as_of_at:
                return "newer"
            if 0 < fencing < now.fencing:
                return "fenced"
        document: Mapping[str, Any] = {
            "schema": 1,
            "id": snapshot_id,
            "as_of_at": instant_text(as_of_at),
            "warehouse_id": warehouse_id,
            "fencing": max(fencing, now.fencing if now else 0),
            "held": False,
        }
        check_document(document, "latest", key)
        if store.swap(key, encode_document(document), before):
            return "moved"
    raise TransientError(
        f"{store.address(key)} kept changing; the snapshot is committed, export again to move it."
    )


def _parse(store: Store, consumer: str, data: bytes) -> Latest:
    document = decode_document(data, "latest", store.address(f"{consumer}/{LATEST}"))
    return Latest(
        id=document["id"],
        as_of_at=parse_instant(document["as_of_at"]),
        warehouse_id=document["warehouse_id"],
        fencing=document["fencing"],
        held=document["held"],
    )
