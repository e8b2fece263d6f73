"""Taking a snapshot or a dead attempt away, while exports and readers go on.

`_SUCCESS` decides between a commit and a removal: an export writes its manifest's hash there, a removal the word
`REMOVED`, and each only where the other has not been. Readers take a snapshot for whole by the hash alone. The manifest
goes first and `_SUCCESS` last, so that at no moment is there a commit beside half of the parts. A removal that was
overtaken by another stops: it asks before each file whether what is there is still being removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

from feature_mart.snapshot_files import MANIFEST, REMOVED, SUCCESS
from feature_mart.storage import Store

#: An attempt to which nothing was written for so long is dead.
DEAD_AFTER = timedelta(hours=24)


def success_of(manifest: bytes) -> bytes:
    """What `_SUCCESS` holds of a committed snapshot."""
    return f"{hashlib.sha256(manifest).hexdigest()}\n".encode()


def remove_attempt(store: Store, prefix: str) -> bool:
    """Remove what was never committed, or what another removal left; False where there is a commit."""
    success = f"{prefix}/{SUCCESS}"
    if not store.put_if_absent(success, REMOVED) and store.read(success) != REMOVED:
        return False
    return _remove_files(store, prefix)


def remove_snapshot(store: Store, prefix: str, is_wanted: Callable[[], bool]) -> bool:
    """Remove a committed snapshot; False where it is wanted after all, or another removes it."""
    success = f"{prefix}/{SUCCESS}"
    data = store.read(success)
    if data in {None, REMOVED} or is_wanted() or not store.swap(success, REMOVED, data):
        return False
    assert data is not None
    # Who moves latest or pins looks for the commit afterwards: one of the two sees the other.
    try:
        is_kept = is_wanted()
    except BaseException:
        store.swap(success, data, REMOVED)
        raise
    if is_kept:
        store.swap(success, data, REMOVED)
        return False
    return _remove_files(store, prefix)


def restore_snapshot(store: Store, prefix: str) -> bool:
    """Take a removal back that died before anything was gone; False where it had gone on."""
    manifest = store.read(f"{prefix}/{MANIFEST}")
    if manifest is None:
        return False
    return store.swap(f"{prefix}/{SUCCESS}", success_of(manifest), REMOVED)


def clear_dead_attempt(store: Store, prefix: str, now: datetime) -> frozenset[str]:
    """Remove what an export left that died long ago, so that another may begin anew; returns the keys that stay."""
    entries = store.entries(prefix)
    is_committed = any(entry.key == f"{prefix}/{SUCCESS}" for entry in entries)
    if entries and not is_committed and all(now - e.modified_at > DEAD_AFTER for e in entries):
        remove_attempt(store, prefix)
        entries = store.entries(prefix)
    return frozenset(entry.key for entry in entries)


def _remove_files(store: Store, prefix: str) -> bool:
    """Whether it went to the end; False where another removal did, and somebody has begun anew."""
    manifest, success = f"{prefix}/{MANIFEST}", f"{prefix}/{SUCCESS}"
    keys = [entry.key for entry in store.entries(prefix)]
    for key in (manifest, *(key for key in keys if key not in {manifest, success}), success):
        if store.read(success) != REMOVED:
            return False
        store.delete(key)
    return True
