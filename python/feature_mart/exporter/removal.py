"""Remove snapshots and abandoned attempts while exports and readers are running.

`_SUCCESS` decides between a commit and a removal. An export commits by writing the SHA-256 of the manifest to
`_SUCCESS`, only if the file is absent. A removal writes `REMOVED` to `_SUCCESS`, only if the file is absent or, for a
committed snapshot, unchanged. Readers accept a snapshot only if `_SUCCESS` has the hash.

A removal deletes the manifest first and `_SUCCESS` last, so a commit never exists with only some of the files. Before
each deletion, the removal checks that `_SUCCESS` still holds `REMOVED`. If not, another removal has finished, and this
removal stops.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from feature_mart.snapshot_files import MANIFEST, REMOVED, SUCCESS
from feature_mart.storage import Store

#: An attempt is abandoned if no file of the attempt was written within this time.
DEAD_AFTER = timedelta(hours=24)


def success_of(manifest: bytes) -> bytes:
    """Return the content of `_SUCCESS` that commits a manifest, given the bytes of manifest.json."""
    return f"{hashlib.sha256(manifest).hexdigest()}\n".encode()


def remove_attempt(store: Store, prefix: str) -> bool:
    """Remove an uncommitted attempt, or continue an interrupted removal.

    Return True if this call deleted the attempt, False if the attempt was committed or another process deleted it.
    """
    success = f"{prefix}/{SUCCESS}"
    if not store.put_if_absent(success, REMOVED) and store.read(success) != REMOVED:
        return False
    return _remove_files(store, prefix)


def remove_snapshot(store: Store, prefix: str, is_wanted: Callable[[], bool]) -> bool:
    """Remove a committed snapshot unless `is_wanted` returns True.

    Return True if this call deleted the snapshot, False if the snapshot is wanted, is not committed, or is being
    removed by another process.
    """
    success = f"{prefix}/{SUCCESS}"
    data = store.read(success)
    if data in {None, REMOVED} or is_wanted() or not store.swap(success, REMOVED, data):
        return False
    assert data is not None
    # Avoid a race with moving latest.json and with pinning: these operations write first and then check the commit,
    # while this function invalidates the commit and then checks latest.json and the pins. At least one of the two sees
    # the other's change.
    try:
        is_kept = is_wanted()
    except BaseException:
        store.swap(success, data, REMOVED)
        raise
    if is_kept:
        store.swap(success, data, REMOVED)
        return False
    return _remove_files(store, prefix)


def restore_snapshot(store: Store, prefix: str, *, dry_run: bool = False) -> bool:
    """Undo a removal that was interrupted before it deleted anything.

    Return False if the manifest was deleted or another process changed `_SUCCESS`. With ``dry_run``, write nothing, and
    return True if the removal can be undone.
    """
    manifest = store.read(f"{prefix}/{MANIFEST}")
    if manifest is None or dry_run:
        return manifest is not None
    return store.swap(f"{prefix}/{SUCCESS}", success_of(manifest), REMOVED)


def clear_dead_attempt(store: Store, prefix: str, now: datetime) -> frozenset[str]:
    """Remove an abandoned attempt to let a new export start; return the keys that remain below `prefix`."""
    entries = store.entries(prefix)
    is_committed = any(entry.key == f"{prefix}/{SUCCESS}" for entry in entries)
    if entries and not is_committed and all(now - e.modified_at > DEAD_AFTER for e in entries):
        remove_attempt(store, prefix)
        entries = store.entries(prefix)
    return frozenset(entry.key for entry in entries)


def _remove_files(store: Store, prefix: str) -> bool:
    """Delete all files, the manifest first and `_SUCCESS` last.

    Return True if this call deleted the snapshot. Return False if `_SUCCESS` changed, because then another process has
    finished the removal, and a new export may have begun.
    """
    manifest, success = f"{prefix}/{MANIFEST}", f"{prefix}/{SUCCESS}"
    keys = [entry.key for entry in store.entries(prefix)]
    for key in (manifest, *(key for key in keys if key not in {manifest, success}), success):
        if store.read(success) != REMOVED:
            return False
        store.delete(key)
    return True
