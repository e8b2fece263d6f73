"""Verify a snapshot: read all files again, and compare them with the manifest."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_mart.core.errors import TerminalError
from feature_mart.core.services import S3Options
from feature_mart.exporter.addresses import StoredSnapshot, locate_snapshot
from feature_mart.exporter.verify_parts import Problem, check_split
from feature_mart.snapshot_files import (
    LATEST,
    SPLITS,
    DamagedSnapshotError,
    Documents,
    decode_document,
    manifest_warnings,
    split_manifest,
)
from feature_mart.snapshot_files.checks import identity_faults


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a verification.

    Attributes:
        id: the id of the snapshot; None if the manifest could not be read.
        warnings: the reasons why an intact snapshot is of little use.
        manifest_sha256: SHA-256 of manifest.json, which a model's about/training.json records.
    """

    address: str
    id: str | None
    parts: int
    rows: int
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...] = ()
    manifest_sha256: str | None = None

    @property
    def ok(self) -> bool:
        """Return True if there is no problem."""
        return not self.problems


def verify_snapshot(address: str | Path, options: S3Options | None = None) -> Verdict:
    """Read all files of a snapshot in a folder or a bucket again, and compare them with the manifest.

    The checks are:

    - the commit, manifest.json, schema.json, and latest.json if it names the snapshot
    - the id, recomputed from schema, bounds and content hashes
    - each part's size, SHA-256, columns, types and rows, with the label in column 0
    - the content hash, recomputed from data and keys row by row
    - every `requested_at` is inside its split, and no row should have been purged
    - every value is finite or NULL
    - the data and key folders have no other files
    - the SageMaker manifest files list the data parts

    If the snapshot is in a bucket, one data part and its key part at a time are copied to local disk.

    Raises:
        UsageError: the folder does not exist.
        TransientError, TerminalError: the bucket cannot be read.
    """
    place = locate_snapshot(str(address), options or S3Options())
    try:
        committed = place.committed()
    except DamagedSnapshotError as error:
        return Verdict(place.address, None, 0, 0, (Problem("_meta", str(error)),))
    manifest, schema = committed.manifest, committed.schema
    problems = [Problem(*fault) for fault in identity_faults(manifest, schema, place.name)]
    problems += _check_files(place, manifest)
    if (contradiction := contradicted_by_latest(place, committed)) is not None:
        problems.append(Problem(LATEST, contradiction))
    with tempfile.TemporaryDirectory() as scratch:
        for index in range(len(manifest["splits"])):
            problems += check_split(place, manifest, index, schema.get("format"), Path(scratch))
    rows = sum(split["rows"] for split in manifest["splits"])
    return Verdict(
        place.address,
        manifest["id"],
        len(manifest["parts"]),
        rows,
        tuple(problems),
        manifest_warnings(manifest),
        committed.manifest_sha256,
    )


def contradicted_by_latest(place: StoredSnapshot, committed: Documents) -> str | None:
    """Return a message if latest.json records another SHA-256 of this snapshot's manifest, else None."""
    data = place.latest()
    try:
        latest = decode_document(data or b"", "latest", LATEST)
    except TerminalError:
        # A missing or damaged latest.json does not contradict this snapshot.
        return None
    recorded = latest.get("manifest_sha256", committed.manifest_sha256)
    if latest["id"] != committed.manifest["id"] or recorded == committed.manifest_sha256:
        return None
    return (
        f"the SHA-256 of manifest.json is {committed.manifest_sha256}, but latest.json records {recorded}: one of "
        "the two files was rewritten"
    )


def _check_files(place: StoredSnapshot, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    wanted = {part["path"] for part in manifest["parts"]}
    for kind in ("data", "keys"):
        for name in place.names(kind):
            if name not in wanted:
                yield Problem(
                    name,
                    "the file does not belong to this snapshot, but a training job would read it: remove the file",
                )
    for split in SPLITS:
        name = split_manifest(split)
        parts = [
            path.split("/")[-1] for path in sorted(wanted) if path.startswith(f"data/{split}/")
        ]
        try:
            prefix, *listed = json.loads(place.read(name) or b"")
            if listed != parts or not prefix["prefix"].endswith(f"/data/{split}/"):
                yield Problem(
                    name, f"the file does not list the {len(parts)} parts of data/{split}/"
                )
        except (ValueError, KeyError, TypeError):
            yield Problem(name, "the file is missing, or is not a JSON list of a prefix and parts")
