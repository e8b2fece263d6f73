"""Publishing a snapshot: parts, then `_meta`, then `_SUCCESS`, whose appearance is the commit."""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from feature_mart.errors import TerminalError, TransientError
from feature_mart.exporter.removal import success_of
from feature_mart.exporter.uploads import begun_otherwise
from feature_mart.snapshot_files import MANIFEST, REMOVED, SUCCESS, decode_document, encode_document
from feature_mart.storage import Entry, Store

#: Parts that are asked for their checksums at a time.
_AT_ONCE = 4

Step = Callable[[str], None]
"""Called with what is about to be done."""


def committed_manifest(store: Store, prefix: str) -> dict[str, Any] | None:
    """The manifest of a committed snapshot, None when there is no commit.

    Raises:
        TransientError: it is being removed.
        TerminalError: the commit is there, but the manifest is not the one it names, or a part is
            gone.
    """
    success = store.read(f"{prefix}/{SUCCESS}")
    if success is None:
        return None
    if success == REMOVED:
        raise TransientError(
            f"{store.address(prefix)} is being removed by `mart snapshot clean`. Export again when that is done; if "
            "it was killed, run it again first."
        )
    where = store.address(f"{prefix}/{MANIFEST}")
    data = store.read(f"{prefix}/{MANIFEST}")
    if data is None or hashlib.sha256(data).hexdigest() != success.decode(errors="replace").strip():
        raise _damaged(store, prefix, "its manifest.json is not the one that was committed")
    document = decode_document(data, "snapshot_manifest", where)
    there = {entry.key for entry in _part_entries(store, prefix)}
    for part in document["parts"]:
        if f"{prefix}/{part['path']}" not in there:
            raise _damaged(store, prefix, f"{part['path']} is gone")
    return document


def begun_parts(store: Store, prefix: str) -> dict[str, str] | None:
    """SHA-256 by path, by the manifest.json of an attempt without a commit; None where there is none."""
    data = store.read(f"{prefix}/{MANIFEST}")
    if data is None:
        return None
    where = store.address(f"{prefix}/{MANIFEST}")
    document = decode_document(data, "snapshot_manifest", where)
    return {part["path"]: part["sha256"] for part in document["parts"]}


def publish(
    store: Store,
    prefix: str,
    document: Mapping[str, Any],
    others: Mapping[str, bytes],
    step: Step,
) -> tuple[Literal["written", "adopted", "unchanged"], Mapping[str, Any]]:
    """Commit parts that are in their places, by the documents of `_meta`.

    Nothing committed is touched. Where a manifest.json is there already that names these very parts, it is kept and
    committed; where it names others, nothing is.

    Args:
        document: manifest.json.
        others: the other files of `_meta`, by path.

    Returns:
        What happened (adopted: an earlier attempt's manifest.json was finished; unchanged: another
        exporter committed first), and the manifest that holds.

    Raises:
        TerminalError: another attempt's manifest names other bytes, or a part is not what was just
            written.
        TransientError: it was cleaned away meanwhile.
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
    # Made of the manifest and the layout alone: who adopts a manifest finds the same, or puts it.
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
        # It was cleaned away between the check and the commit: nobody could read it, since its manifest went first.
        store.delete(f"{prefix}/{SUCCESS}")
        raise _gone(store, prefix) from None


def _committed_or_gone(store: Store, prefix: str) -> dict[str, Any]:
    document = committed_manifest(store, prefix)
    if document is None:
        raise _gone(store, prefix)
    return document


def _gone(store: Store, prefix: str) -> TransientError:
    return TransientError(
        f"{store.address(prefix)} was removed by `mart snapshot clean` meanwhile. Export again."
    )


def _adopt(store: Store, prefix: str, ours: Mapping[str, Any], data: bytes) -> Mapping[str, Any]:
    theirs = decode_document(data, "snapshot_manifest", store.address(f"{prefix}/{MANIFEST}"))
    if theirs["parts"] != ours["parts"]:
        raise begun_otherwise(store, prefix)
    return theirs


def _check_parts(store: Store, prefix: str, document: Mapping[str, Any]) -> None:
    """Every part is what the manifest says; only then may others go, which an attempt with more parts left."""
    wanted = {f"{prefix}/{part['path']}": part["sha256"] for part in document["parts"]}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(store.sha256, wanted)
        for (key, sha256), have in zip(wanted.items(), found, strict=True):
            if have != sha256:
                raise TerminalError(
                    f"{store.address(key)} is not what was written a moment ago; it was not committed. Look for what "
                    "else writes there, and export again; where that says that other part files are there, after "
                    "`mart snapshot clean --attempts 0`."
                )
    for entry in _part_entries(store, prefix):
        if entry.key not in wanted:
            store.delete(entry.key)


def _part_entries(store: Store, prefix: str) -> tuple[Entry, ...]:
    return (*store.entries(f"{prefix}/data"), *store.entries(f"{prefix}/keys"))


def _damaged(store: Store, prefix: str, what: str) -> TerminalError:
    return TerminalError(
        f"{store.address(prefix)} holds this content already, but {what}. A committed snapshot is "
        "never repaired in place: look at it with `mart snapshot verify`, move it away, and export again."
    )
