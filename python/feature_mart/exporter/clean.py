"""Removing snapshots that nobody needs any more, and what dead exports left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from feature_mart.exporter.latest import read_latest
from feature_mart.exporter.listing import SnapshotLine, list_snapshots
from feature_mart.exporter.pins import read_pins
from feature_mart.snapshot_files import SUCCESS
from feature_mart.storage import Entry, Store


@dataclass(frozen=True, slots=True)
class Rule:
    """What may go: a snapshot that is neither among the newest `keep` nor younger than `keep_days`.

    Where one is None, the other decides alone; where both are, no snapshot goes. An attempt that was never committed
    goes when nothing was written to it for `attempt_hours`, and so do uploads begun before that.
    """

    keep: int | None = None
    keep_days: int | None = None
    attempt_hours: float = 24


@dataclass(frozen=True, slots=True)
class Removed:
    """A snapshot or a dead attempt that went, or on a dry run would go; `bytes` of all its files."""

    consumer: str
    id: str
    kind: Literal["snapshot", "attempt"]
    address: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CleanReport:
    """What went, how many snapshots stay, and how many unfinished uploads were dropped."""

    removed: tuple[Removed, ...]
    kept: int
    uploads: int
    is_dry_run: bool


def clean_snapshots(
    store: Store,
    rule: Rule,
    *,
    now: datetime,
    consumer: str | None = None,
    dry_run: bool = False,
) -> CleanReport:
    """Remove by the rule; never the latest snapshot, one that is held or pinned, or one that is damaged.

    The commit goes first: no reader takes for whole what is going.
    """
    removed, kept, uploads = [], 0, 0
    dead_before = now - timedelta(hours=rule.attempt_hours)
    for name in store.folders("") if consumer is None else (consumer,):
        lines = list_snapshots(store, name)
        going = {line.id for line in _outlived(lines, rule, now)}
        for line in lines:
            entries = store.entries(f"{name}/snapshots/{line.id}")
            if not entries:
                continue
            is_attempt = not any(entry.key.endswith(SUCCESS) for entry in entries)
            is_dead = is_attempt and all(entry.modified_at < dead_before for entry in entries)
            if is_dead:
                gone = dry_run or _remove_attempt(store, name, line.id, entries)
            else:
                gone = line.id in going and (dry_run or _remove(store, name, line.id, entries))
            if gone:
                size = sum(entry.bytes for entry in entries)
                kind: Literal["snapshot", "attempt"] = "attempt" if is_dead else "snapshot"
                removed.append(Removed(name, line.id, kind, line.address, len(entries), size))
            elif not is_attempt:
                kept += 1
        if not dry_run:
            uploads += store.drop_uploads(f"{name}/snapshots", dead_before)
    return CleanReport(tuple(removed), kept, uploads, dry_run)


def _outlived(lines: Sequence[SnapshotLine], rule: Rule, now: datetime) -> Iterator[SnapshotLine]:
    """Whole snapshots that the rule lets go; each format has its own newest ones."""
    if rule.keep is None and rule.keep_days is None:
        return
    rank: dict[str | None, int] = {}
    for line in reversed(lines):
        if line.problem is not None or line.created_at is None:
            continue
        place = rank[line.file_format] = rank.get(line.file_format, 0) + 1
        is_old = rule.keep_days is None or now - line.created_at > timedelta(days=rule.keep_days)
        # The newest stays even where latest.json is gone.
        is_far = place > max(rule.keep or 1, 1)
        if is_old and is_far and not line.is_latest and line.pinned is None:
            yield line


def _remove(store: Store, consumer: str, name: str, entries: Sequence[Entry]) -> bool:
    """Remove a snapshot, unless it has become the latest or a pinned one meanwhile."""
    success = f"{consumer}/snapshots/{name}/{SUCCESS}"
    data = store.read(success)
    if data is None or _is_wanted(store, consumer, name):
        return False
    store.delete(success)
    # Who moves latest or pins looks for the commit afterwards: one of the two sees the other.
    if _is_wanted(store, consumer, name):
        store.put(success, data)
        return False
    for entry in entries:
        store.delete(entry.key)
    return True


def _remove_attempt(store: Store, consumer: str, name: str, entries: Sequence[Entry]) -> bool:
    if store.read(f"{consumer}/snapshots/{name}/{SUCCESS}") is not None:
        return False
    # The manifest last: while it is there, an export knows what the parts should be.
    for entry in sorted(entries, key=lambda entry: "/_meta/" in entry.key):
        store.delete(entry.key)
    return True


def _is_wanted(store: Store, consumer: str, name: str) -> bool:
    latest = read_latest(store, consumer)
    return (latest is not None and latest.id == name) or name in read_pins(store, consumer)
