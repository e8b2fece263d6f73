"""Removing snapshots that nobody needs any more, and what dead exports left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from feature_mart.exporter.latest import read_latest
from feature_mart.exporter.listing import SnapshotLine, list_snapshots
from feature_mart.exporter.pins import PINS, read_pins
from feature_mart.exporter.removal import remove_attempt, remove_snapshot, restore_snapshot
from feature_mart.snapshot_files import LATEST, REMOVED, SNAPSHOT_ID, SUCCESS
from feature_mart.storage import Store


@dataclass(frozen=True, slots=True)
class Rule:
    """What may go: a snapshot that is neither among the newest `keep` nor younger than `keep_days`.

    Where one is None, the other decides alone; where both are, no snapshot goes. An attempt that was never committed
    goes when nothing was written to it for `attempt_hours`, and so do uploads begun before that.
    """

    keep: int | None = None
    keep_days: int | None = None
    attempt_hours: int = 24


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
    """What went, how many snapshots stay, and how many unfinished uploads were dropped: none on a dry run."""

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

    Only folders that are called as snapshots are; whatever else lies in the bucket is not looked at.
    """
    removed, kept, uploads = [], 0, 0
    dead_before = now - timedelta(hours=rule.attempt_hours)
    for name in store.folders("") if consumer is None else (consumer,):
        lines = list_snapshots(store, name)
        # A latest.json that cannot be read protects nothing: nobody cleans before it is mended.
        if lines:
            _is_wanted(store, name, "")
        going = {line.id for line in _outlived(lines, rule, now)}
        for line in lines:
            if line.id in {LATEST, PINS}:
                continue
            prefix = f"{name}/snapshots/{line.id}"
            entries = store.entries(prefix)
            if not entries:
                continue
            is_attempt = store.read(f"{prefix}/{SUCCESS}") in {None, REMOVED}
            is_dead = is_attempt and (
                any(entry.key.endswith(SUCCESS) for entry in entries)
                or all(entry.modified_at < dead_before for entry in entries)
            )
            wanted = partial(_is_wanted, store, name, line.id)
            # A removal that died as it began: nothing is gone, and somebody wants it.
            if is_dead and wanted() and restore_snapshot(store, prefix):
                is_attempt = is_dead = False
            if is_dead:
                gone = dry_run or remove_attempt(store, prefix)
            else:
                gone = line.id in going and (dry_run or remove_snapshot(store, prefix, wanted))
            if gone:
                size = sum(entry.bytes for entry in entries)
                kind: Literal["snapshot", "attempt"] = "attempt" if is_dead else "snapshot"
                removed.append(Removed(name, line.id, kind, line.address, len(entries), size))
            elif not is_attempt:
                kept += 1
    if not dry_run:
        # Of the whole place: an export that died in its first upload left no key, and so no consumer.
        where = "" if consumer is None else f"{consumer}/snapshots"
        uploads = store.drop_uploads(where, dead_before, _is_of_snapshot)
    return CleanReport(tuple(removed), kept, uploads, dry_run)


def _is_of_snapshot(key: str) -> bool:
    _, folder, name, below, *_ = [*key.split("/"), "", "", "", ""]
    is_ours = folder == "snapshots" and SNAPSHOT_ID.fullmatch(name) is not None
    return is_ours and below in {"data", "keys", "_meta"}


def _outlived(lines: Sequence[SnapshotLine], rule: Rule, now: datetime) -> Iterator[SnapshotLine]:
    """Whole snapshots that the rule lets go; each format has its own newest ones."""
    if rule.keep is None and rule.keep_days is None:
        return
    rank: dict[str | None, int] = {}
    sound = [line for line in lines if line.problem is None and line.created_at is not None]
    for line in sorted(sound, key=lambda line: (line.as_of_at, line.created_at), reverse=True):
        assert line.created_at is not None
        place = rank[line.file_format] = rank.get(line.file_format, 0) + 1
        is_old = rule.keep_days is None or now - line.created_at > timedelta(days=rule.keep_days)
        # The newest stays even where latest.json is gone.
        is_far = place > max(rule.keep or 1, 1)
        if is_old and is_far and not line.is_latest and line.pinned is None:
            yield line


def _is_wanted(store: Store, consumer: str, name: str) -> bool:
    latest = read_latest(store, consumer)
    return (latest is not None and latest.id == name) or name in read_pins(store, consumer)
