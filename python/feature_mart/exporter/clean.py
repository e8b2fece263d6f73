"""Remove old snapshots and the files of abandoned exports."""

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
    """The retention rule: a snapshot may be removed if it is older than `keep_days` and not among the newest `keep`.

    If one of these limits is None, only the other limit applies; if both are None, no snapshot is removed. `keep`
    counts the snapshots of each file format separately, and the newest of each format is always kept. An uncommitted
    attempt is removed if nothing was written to the attempt for `attempt_hours`. An unfinished upload is aborted if the
    upload began more than `attempt_hours` ago.
    """

    keep: int | None = None
    keep_days: int | None = None
    attempt_hours: int = 24


@dataclass(frozen=True, slots=True)
class Removed:
    """A snapshot or abandoned attempt that was removed, or that a dry run would remove. `bytes` is the total size."""

    consumer: str
    id: str
    kind: Literal["snapshot", "attempt"]
    address: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CleanReport:
    """The result of `clean_snapshots`: removed snapshots and attempts, and counts of kept snapshots and uploads.

    `uploads` is the number of aborted uploads. On a dry run, `removed` lists what would be removed, and `uploads` is 0.
    """

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
    """Remove snapshots and abandoned attempts by the rule, and finish interrupted removals.

    The latest snapshot, held or not, and pinned or damaged snapshots are never removed. Folders whose name is not a
    snapshot id are ignored.

    Args:
        now: the current time, against which ages are measured.
        consumer: the consumer to clean; None cleans all consumers.
        dry_run: only report what would be removed.

    Raises:
        DamagedFileError: latest.json or a pin of a consumer cannot be read.
    """
    removed, kept, uploads = [], 0, 0
    dead_before = now - timedelta(hours=rule.attempt_hours)
    for name in store.folders("") if consumer is None else (consumer,):
        lines = list_snapshots(store, name)
        # Fail if latest.json or a pin is unreadable, because then the protected snapshots are unknown.
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
            # Undo a removal that was interrupted before it deleted anything, if the snapshot is now latest or pinned.
            if is_dead and wanted() and restore_snapshot(store, prefix, dry_run=dry_run):
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
        # Without a consumer, search the whole store: an export that was killed during its first upload left no key, and
        # therefore no consumer folder.
        where = "" if consumer is None else f"{consumer}/snapshots"
        uploads = store.drop_uploads(where, dead_before, _is_of_snapshot)
    return CleanReport(tuple(removed), kept, uploads, dry_run)


def _is_of_snapshot(key: str) -> bool:
    _, folder, name, below, *_ = [*key.split("/"), "", "", "", ""]
    is_ours = folder == "snapshots" and SNAPSHOT_ID.fullmatch(name) is not None
    return is_ours and below in {"data", "keys", "_meta"}


def _outlived(lines: Sequence[SnapshotLine], rule: Rule, now: datetime) -> Iterator[SnapshotLine]:
    """Yield the intact snapshots that may be removed by the rule and are neither latest nor pinned."""
    if rule.keep is None and rule.keep_days is None:
        return
    rank: dict[str | None, int] = {}
    sound = [line for line in lines if line.problem is None and line.created_at is not None]
    for line in sorted(sound, key=lambda line: (line.as_of_at, line.created_at), reverse=True):
        assert line.created_at is not None
        place = rank[line.file_format] = rank.get(line.file_format, 0) + 1
        is_old = rule.keep_days is None or now - line.created_at > timedelta(days=rule.keep_days)
        # Keep the newest snapshot even if latest.json is missing.
        is_far = place > max(rule.keep or 1, 1)
        if is_old and is_far and not line.is_latest and line.pinned is None:
            yield line


def _is_wanted(store: Store, consumer: str, name: str) -> bool:
    latest = read_latest(store, consumer)
    return (latest is not None and latest.id == name) or name in read_pins(store, consumer)
