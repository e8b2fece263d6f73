"""Name, encode and validate the files of a snapshot, and read the documents of a committed snapshot.

This package is the interface between writers (`exporter`) and readers (`training`), which do not import each other.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import jsonschema

from feature_mart.core.errors import TerminalError, UsageError

KEY_COLUMNS = {
    "job_id": "string",
    "requested_at": "timestamp[us, UTC]",
    "label_known_at": "timestamp[us, UTC]",
}
SPLITS = ("train", "validation", "test")
SCHEMA = "_meta/schema.json"
MANIFEST = "_meta/manifest.json"
SUCCESS = "_meta/_SUCCESS"
#: Content of `_SUCCESS` while a snapshot is being removed, which prevents a commit. Readers refuse the snapshot.
REMOVED = b"removed\n"
LATEST = "latest.json"
#: Name of a small file in a consumer's folder. An export to a bucket writes this file to test that the store honours
#: conditional writes.
CONDITIONS = ".conditional-writes"
SNAPSHOT_ID = re.compile(r"[0-9]{8}T[0-9]{4}Z-[0-9a-f]{12}", re.ASCII)


class DamagedFileError(TerminalError):
    """A consumer's latest.json, or one of the pins, is not JSON or does not match the JSON Schema."""


class DamagedSnapshotError(TerminalError):
    """A snapshot was never committed, is being removed, or has a document that was changed or is missing."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The parsed and validated documents of a committed snapshot in a local folder."""

    folder: Path
    manifest: Mapping[str, Any]
    schema: Mapping[str, Any]
    manifest_sha256: str


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents of a committed snapshot, parsed and validated, with the SHA-256 of manifest.json."""

    manifest: dict[str, Any]
    schema: dict[str, Any]
    manifest_sha256: str


def split_manifest(split: str) -> str:
    """Return the path of the SageMaker manifest file that lists a split's data parts."""
    return f"_meta/{split}.manifest"


def part_path(kind: str, split: str, index: int, suffix: str = "parquet") -> str:
    """Return the path of a part, relative to the snapshot. `kind` is ``data`` or ``keys``."""
    return f"{kind}/{split}/part-{index:05d}.{suffix}"


def instant_text(instant: datetime) -> str:
    """Format a timestamp for the documents, in UTC: ``2026-11-03T18:00:00Z``. Microseconds are omitted if 0."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def parse_instant(text: str) -> datetime:
    """Parse a timestamp in the format of `instant_text`."""
    return datetime.fromisoformat(text)


def encode_document(document: Mapping[str, Any]) -> bytes:
    """Encode a document as indented JSON with a final line feed, and keep the order of the fields."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def decode_document(data: bytes, kind: str, where: str) -> dict[str, Any]:
    """Parse a JSON document, and validate it against the JSON Schema `kind`.

    `where` is the address of the document, for messages.

    Raises:
        TerminalError: the data is not JSON, or a field does not match the schema; the message names the field.
    """
    try:
        document = json.loads(data)
    except ValueError as error:
        raise TerminalError(f"{where} is not JSON: {error}.") from None
    check_document(document, kind, where)
    assert isinstance(document, dict)
    return document


def check_document(document: object, kind: str, where: str) -> None:
    """Validate a document against the JSON Schema `kind`. Raises: TerminalError that names the invalid field."""
    error = jsonschema.exceptions.best_match(_validator(kind).iter_errors(document))
    if error is not None:
        field = "/".join(str(step) for step in error.absolute_path) or "the whole file"
        raise TerminalError(
            f"{where} does not follow its schema ({kind}.json) at {field}: {error.message[:200]}"
        )


def manifest_warnings(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the warnings in a manifest, which say why the snapshot is of little use, as ``<split>: <warning>``.

    Manifests of older exports contain no warnings.
    """
    return tuple(f"{each['split']}: {each['what']}" for each in manifest.get("warnings", ()))


def snapshot_folder(address: str | Path) -> Path:
    """Return the folder of a path or a ``file://`` URI. Raises: UsageError if the folder does not exist."""
    text = str(address)
    folder = Path(unquote(urlparse(text).path)) if text.startswith("file://") else Path(text)
    if not folder.is_dir():
        raise UsageError(
            f"There is no snapshot folder at {text}: `mart snapshot list` shows the snapshots."
        )
    return folder


def read_committed(address: str | Path) -> Committed:
    """Read manifest.json and schema.json of a committed snapshot in a folder.

    Raises:
        UsageError: the folder does not exist.
        DamagedSnapshotError: the snapshot was never committed, is being removed, or has a document that was changed or
            is missing.
    """
    folder = snapshot_folder(address)

    def read(name: str) -> bytes | None:
        try:
            return (folder / name).read_bytes()
        except FileNotFoundError:
            return None

    found = committed_documents(read, str(folder))
    return Committed(folder, found.manifest, found.schema, found.manifest_sha256)


def committed_documents(read: Callable[[str], bytes | None], where: str) -> Documents:
    """Read and validate manifest.json and schema.json of a committed snapshot.

    Args:
        read: function that returns the content of a file, given the path within the snapshot; None if the file is
            missing.
        where: the address of the snapshot, for messages.

    Raises:
        DamagedSnapshotError: the snapshot was never committed, is being removed, or has a document that was changed or
            is missing.
    """
    data = {}
    for name in (SUCCESS, MANIFEST, SCHEMA):
        found = read(name)
        if found is None:
            why = (
                "the snapshot does not exist or was not committed; export again"
                if name == SUCCESS
                else "the snapshot is damaged"
            )
            raise DamagedSnapshotError(f"{where} has no {name}: {why}.")
        if found == REMOVED:
            raise DamagedSnapshotError(f"{where} is being removed by `mart snapshot clean`.")
        data[name] = found
    sha256 = hashlib.sha256(data[MANIFEST]).hexdigest()
    if sha256 != data[SUCCESS].decode(errors="replace").strip():
        raise DamagedSnapshotError(
            f"{where}/{MANIFEST} was changed after the commit: _SUCCESS has another SHA-256. Use another snapshot, or "
            "export again."
        )
    try:
        manifest = decode_document(data[MANIFEST], "snapshot_manifest", f"{where}/{MANIFEST}")
        schema = decode_document(data[SCHEMA], "schema", f"{where}/{SCHEMA}")
    except TerminalError as error:
        raise DamagedSnapshotError(str(error)) from None
    if schema["columns"] != manifest["columns"]:
        raise DamagedSnapshotError(
            f"{where}/{SCHEMA} and manifest.json name different columns. Use another snapshot, or export again."
        )
    return Documents(manifest, schema, sha256)


@cache
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    text = (
        resources.files("feature_mart")
        .joinpath("core", "schemas", f"{kind}.json")
        .read_text(encoding="utf-8")
    )
    return jsonschema.Draft202012Validator(json.loads(text))
