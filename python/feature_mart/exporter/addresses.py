"""Open snapshots by their addresses: a folder, a ``file://`` or an ``s3://`` address."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.files import sha256_file
from feature_mart.core.services import S3Options
from feature_mart.snapshot_files import (
    LATEST,
    Documents,
    committed_documents,
    snapshot_folder,
)
from feature_mart.storage import FolderStore, Store, open_store


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """One snapshot in a store. The methods take paths relative to the snapshot."""

    store: Store
    prefix: str

    @property
    def address(self) -> str:
        """Return the address of the snapshot as a user would enter it."""
        return self.store.address(self.prefix)

    @property
    def name(self) -> str:
        """Return the last part of the address, which is the snapshot's id unless a copy was renamed."""
        return self.prefix.rpartition("/")[2]

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file, or None if it is missing."""
        return self.store.read(f"{self.prefix}/{name}")

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names of all files below a folder of the snapshot."""
        start = len(self.prefix) + 1
        return tuple(e.key[start:] for e in self.store.entries(f"{self.prefix}/{folder}"))

    def latest(self) -> bytes | None:
        """Return the consumer's latest.json; None if there is none, or the snapshot is not in a consumer's folder."""
        consumer, found, _ = self.prefix.rpartition("/snapshots/")
        return self.store.read(f"{consumer}/{LATEST}") if found else None

    def local(self, name: str, scratch: Path) -> AbstractContextManager[Path | None]:
        """Return a context manager that yields the local path of a file, or None if the file is missing."""
        return self.store.local(f"{self.prefix}/{name}", scratch)

    def committed(self) -> Documents:
        """Return the parsed documents.

        Raises:
            DamagedSnapshotError: the snapshot is not committed, is being removed, or has a document that was changed or
                is missing.
        """
        return committed_documents(self.read, self.address)

    def documents(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return manifest.json and schema.json. Raises: DamagedSnapshotError as in `committed`."""
        found = self.committed()
        return found.manifest, found.schema


def locate_snapshot(address: str, options: S3Options) -> StoredSnapshot:
    """Return the snapshot at an address; for a bucket, no request is sent yet.

    Raises:
        UsageError: the folder does not exist, or the address is not the address of a snapshot.
    """
    if "://" not in address or address.startswith("file://"):
        folder = snapshot_folder(address).resolve()
        root, prefix = _root(folder.as_posix())
        return StoredSnapshot(FolderStore(Path(root)), prefix)
    root, prefix = _root(address.rstrip("/"))
    if root.count("/") < 2:
        raise UsageError(
            f"{address} is not the address of a snapshot, which ends in <consumer>/snapshots/<id>: `mart snapshot "
            "list` shows the snapshots."
        )
    return StoredSnapshot(open_store(root, options, Path(tempfile.gettempdir())), prefix)


def _root(address: str) -> tuple[str, str]:
    """Split an address into the root of a store and a key.

    The key is <consumer>/snapshots/<id> if the address ends in this form, else the last folder alone.
    """
    laid_out = re.fullmatch(r"(.*[^/])/([^/]+/snapshots/[^/]+)", address)
    root, _, name = address.rpartition("/")
    return (laid_out[1], laid_out[2]) if laid_out else (root, name)


@contextmanager
def snapshot_on_disk(address: str, options: S3Options) -> Iterator[Path]:
    """Yield the folder of a snapshot, or the folder of a temporary copy if the snapshot is in a bucket.

    A copy is verified: the snapshot must be committed, and each part must have the SHA-256 in the manifest. A local
    folder is not verified.

    Raises:
        UsageError: the folder does not exist.
        TerminalError: a snapshot in a bucket was never committed, or a file is missing or was changed.
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
                        f"{place.address}/{path} is missing or was changed after the snapshot was committed: run "
                        "`mart snapshot verify`."
                    )
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)
        yield folder
