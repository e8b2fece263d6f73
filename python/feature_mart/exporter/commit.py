"""Commit a snapshot whose parts are in place: write the documents in `_meta`, and `_SUCCESS` last."""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from feature_mart.core.errors import TerminalError, TransientError
from feature_mart.exporter.removal import success_of
from feature_mart.exporter.uploads import begun_otherwise
from feature_mart.snapshot_files import MANIFEST, REMOVED, SUCCESS, decode_document, encode_document
from feature_mart.storage import Entry, Store

#: Maximum number of concurrent checksum requests.
_AT_ONCE = 4

Step = Callable[[str], None]
"""A function that is called with a short description before each step."""


def committed_manifest(store: Store, prefix: str) -> dict[str, Any] | None:
    """Return the manifest of a committed snapshot, or None if there is no commit.

    Raises:
        TransientError: the snapshot is being removed.
        TerminalError: the snapshot is committed, but a part is missing, or manifest.json does not match the hash in
            `_SUCCESS` or the JSON Schema.
    """
    success = store.read(f"{prefix}/{SUCCESS}")
    if success is None:
        return None
    if success == REMOVED:
        raise TransientError(
            f"{store.address(prefix)} is being removed by `mart snapshot clean`. Export again after the removal; if "
            "`mart snapshot clean` was killed, run it again first."
        )
    where = store.address(f"{prefix}/{MANIFEST}")
    data = store.read(f"{prefix}/{MANIFEST}")
    if data is None or hashlib.sha256(data).hexdigest() != success.decode(errors="replace").strip():
        raise _damaged(
            store, prefix, "the manifest.json of the snapshot was changed after the commit"
        )
    document = decode_document(data, "snapshot_manifest", where)
    there = {entry.key for entry in _part_entries(store, prefix)}
    for part in document["parts"]:
        if f"{prefix}/{part['path']}" not in there:
            raise _damaged(store, prefix, f"{part['path']} is missing")
    return document


def begun_parts(store: Store, prefix: str) -> dict[str, str] | None:
    """Return, for the path of each part in an uncommitted attempt's manifest, the SHA-256; None without a manifest."""
    data = store.read(f"{prefix}/{MANIFEST}")
    if data is None:
        return None
    where = store.address(f"{prefix}/{MANIFEST}")
    document = decode_document(data, "snapshot_manifest", where)
    return {part["path"]: part["sha256"] for part in document["parts"]}


def commit_snapshot(
    store: Store,
    prefix: str,
    document: Mapping[str, Any],
    others: Mapping[str, bytes],
    step: Step,
) -> tuple[Literal["written", "adopted", "unchanged"], Mapping[str, Any]]:
    """Commit a snapshot whose parts are in place by writing the documents in `_meta`.

    A committed snapshot is never changed. The manifest.json of an earlier attempt is kept, and committed if the parts
    in the two manifests are equal. Otherwise, nothing is committed.

    Args:
        document: the content of manifest.json.
        others: the content of the other files of `_meta` except `_SUCCESS`, by path.

    Returns:
        The status and the committed manifest. The status is "adopted" if the manifest.json of an earlier attempt was
        committed, and "unchanged" if another export committed first.

    Raises:
        TerminalError: the manifest of another attempt lists other parts, or a stored part does not match its SHA-256.
        TransientError: the snapshot was removed in the meantime.
    """
    done = committed_manifest(store, prefix)
    if done is not None:
        return "unchanged", done
    step(f"put {MANIFEST}")
    status: Literal["written", "adopted"] = "written"
    data = encode_document(document)
    if not store.put_if_absent(f"{prefix}/{MANIFEST}", data):
        data = store.read(f"{prefix}/{MANIFEST}") or b""
        document, status = _adopt(store, prefix, document, data), "adopted"
    # These files depend only on the manifest and the layout, so they are byte-identical if the manifest of an earlier
    # attempt is adopted.
    for path, content in others.items():
        step(f"put {path}")
        store.put_if_absent(f"{prefix}/{path}", content)
    step("check parts")
    _check_parts(store, prefix, document)
    step(f"put {SUCCESS}")
    if not store.put_if_absent(f"{prefix}/{SUCCESS}", success_of(data)):
        return "unchanged", _committed_or_gone(store, prefix)
    try:
        return status, _committed_or_gone(store, prefix)
    except TerminalError:
        # The snapshot was removed between the check and the commit. A removal deletes the manifest first, so no reader
        # accepted this commit.
        store.delete(f"{prefix}/{SUCCESS}")
        raise _gone(store, prefix) from None


def _committed_or_gone(store: Store, prefix: str) -> dict[str, Any]:
    document = committed_manifest(store, prefix)
    if document is None:
        raise _gone(store, prefix)
    return document


def _gone(store: Store, prefix: str) -> TransientError:
    return TransientError(
        f"{store.address(prefix)} was removed by `mart snapshot clean` during the export. Export again."
    )


def _adopt(store: Store, prefix: str, ours: Mapping[str, Any], data: bytes) -> Mapping[str, Any]:
    theirs = decode_document(data, "snapshot_manifest", store.address(f"{prefix}/{MANIFEST}"))
    if theirs["parts"] != ours["parts"]:
        raise begun_otherwise(store, prefix)
    return theirs


def _check_parts(store: Store, prefix: str, document: Mapping[str, Any]) -> None:
    """Compare the SHA-256 of each part with the manifest, then delete the parts that the manifest does not list.

    Unlisted parts come from an earlier attempt that divided the rows into more parts.

    Raises:
        TerminalError: a part is missing or has another SHA-256; nothing was deleted.
    """
    wanted = {f"{prefix}/{part['path']}": part["sha256"] for part in document["parts"]}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(store.sha256, wanted)
        for (key, sha256), have in zip(wanted.items(), found, strict=True):
            if have != sha256:
                raise TerminalError(
                    f"{store.address(key)} was changed during the export; the snapshot was not committed. Find the "
                    "other writer, then export again. If that export reports other part files, run `mart snapshot "
                    "clean --attempts 0` first."
                )
    for entry in _part_entries(store, prefix):
        if entry.key not in wanted:
            store.delete(entry.key)


def _part_entries(store: Store, prefix: str) -> tuple[Entry, ...]:
    return (*store.entries(f"{prefix}/data"), *store.entries(f"{prefix}/keys"))


def _damaged(store: Store, prefix: str, what: str) -> TerminalError:
    return TerminalError(
        f"{store.address(prefix)} has this content already, but {what}. A committed snapshot is never repaired in "
        "place: check the snapshot with `mart snapshot verify`, move the snapshot away, and export again."
    )
