"""Snapshots by their addresses: a folder, a ``file://`` or an ``s3://`` one."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_mart.errors import TerminalError, UsageError
from feature_mart.services import S3Options
from feature_mart.snapshot_files import (
    LATEST,
    Documents,
    committed_documents,
    sha256_file,
    snapshot_folder,
)
from feature_mart.storage import FolderStore, Store, open_store


@dataclass(frozen=True, slots=True)
class SnapshotPlace:
    """One snapshot in a store: its files by their names in it."""

    store: Store
    prefix: str

    @property
    def address(self) -> str:
        """What a user pastes."""
        return self.store.address(self.prefix)

    @property
    def name(self) -> str:
        """The last part of its address, which is its id."""
        return self.prefix.rpartition("/")[2]

    def read(self, name: str) -> bytes | None:
        """A small file, None when it is not there."""
        return self.store.read(f"{self.prefix}/{name}")

    def names(self, folder: str) -> tuple[str, ...]:
        """Every file below a folder of it."""
        start = len(self.prefix) + 1
        return tuple(e.key[start:] for e in self.store.entries(f"{self.prefix}/{folder}"))

    def latest(self) -> bytes | None:
        """Return the consumer's latest.json, None where there is none or the place is not laid out so."""
        consumer, found, _ = self.prefix.rpartition("/snapshots/")
        return self.store.read(f"{consumer}/{LATEST}") if found else None

    def local(self, name: str, scratch: Path) -> AbstractContextManager[Path | None]:
        """A whole file on local disk, None when it is not there."""
        return self.store.local(f"{self.prefix}/{name}", scratch)

    def committed(self) -> Documents:
        """Return its documents. Raises: DamagedSnapshotError unless committed and unchanged."""
        return committed_documents(self.read, self.address)

    def documents(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return manifest.json and schema.json. Raises: DamagedSnapshotError as `committed`."""
        found = self.committed()
        return found.manifest, found.schema


def locate_snapshot(address: str, options: S3Options) -> SnapshotPlace:
    """The snapshot at an address; of one in a bucket, nothing is asked yet.

    Raises:
        UsageError: there is no such folder, or the address is none of a snapshot.
    """
    if "://" not in address or address.startswith("file://"):
        folder = snapshot_folder(address).resolve()
        root, prefix = _root(folder.as_posix())
        return SnapshotPlace(FolderStore(Path(root)), prefix)
    root, prefix = _root(address.rstrip("/"))
    if root.count("/") < 2:
        raise UsageError(
            f"{address} is no snapshot: its address ends in <consumer>/snapshots/<id>; `mart snapshot list` shows them."
        )
    return SnapshotPlace(open_store(root, options, Path(tempfile.gettempdir())), prefix)


def _root(address: str) -> tuple[str, str]:
    """Return the place that a snapshot is in, and its key there; its own folder's where it is laid out otherwise."""
    laid_out = re.fullmatch(r"(.*[^/])/([^/]+/snapshots/[^/]+)", address)
    root, _, name = address.rpartition("/")
    return (laid_out[1], laid_out[2]) if laid_out else (root, name)


@contextmanager
def snapshot_on_disk(address: str, options: S3Options) -> Iterator[Path]:
    """A committed snapshot as a folder: itself, or a copy of one in a bucket for as long as it is needed.

    Raises:
        UsageError: there is no such folder.
        TerminalError: it was never committed, or a part is not what its manifest says.
    """
    place = locate_snapshot(address, options)
    if not address.startswith("s3://"):
        yield Path(place.address)
        return
    manifest, _ = place.documents()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / place.name
        sums = {part["path"]: part["sha256"] for part in manifest["parts"]}
        for path in (*place.names("_meta"), *sums):
            with place.local(path, Path(name)) as file:
                if file is None or (path in sums and sha256_file(file) != sums[path]):
                    raise TerminalError(
                        f"{place.address}/{path} is missing or was changed since the snapshot was committed; see "
                        "`mart snapshot verify`."
                    )
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)
        yield folder
