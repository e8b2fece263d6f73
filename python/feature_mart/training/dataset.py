"""Load a committed snapshot, from its own folder or from the folders that a training job gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feature_mart.core.duckdb_files import connect
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.snapshot_files import (
    KEY_COLUMNS,
    SPLITS,
    Committed,
    Documents,
    committed_documents,
    read_committed,
)
from feature_mart.snapshot_files.checks import identity_faults, named_like_a_snapshot
from feature_mart.snapshot_files.usability import (
    Shortcoming,
    SplitCounts,
    judge_fit,
    judge_score,
)
from feature_mart.training.parts import Arrays, check_part, check_rows, read_arrays

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Split:
    """The rows of one split, sorted by (requested_at, job_id).

    Attributes:
        columns: the names of the features.
        features: float32, NaN for NULL. Shape: (rows, columns).
        label: float32. Shape: (rows,).
        keys: arrays `job_id` (text), `requested_at` and `label_known_at` (datetime64[us], UTC). Shape: (rows,).
    """

    columns: tuple[str, ...]
    features: NDArray[np.float32]
    label: NDArray[np.float32]
    keys: Mapping[str, NDArray[Any]]

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(self.label)

    def frame(self) -> "pd.DataFrame":
        """Return the features as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.features, columns=list(self.columns))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The data of a snapshot, loaded into memory.

    Attributes:
        columns: the names of the features.
        categorical: the names of the categorical features.
        label_kind: regression or binary.
        manifest: the content of manifest.json.
        manifest_sha256: the SHA-256 of manifest.json.
    """

    id: str
    consumer: str
    columns: tuple[str, ...]
    categorical: frozenset[str]
    label: str
    label_kind: str
    splits: Mapping[str, Split]
    manifest: Mapping[str, Any]
    manifest_sha256: str

    @property
    def is_log_label(self) -> bool:
        """Return True if the label is the natural log of a price, which by convention has a name ending in ``_log``."""
        return self.label_kind == "regression" and self.label.endswith("_log")

    def counts(self, names: Sequence[str]) -> SplitCounts:
        """Return the counts over the concatenated splits `names`, for the rules in `usability`."""
        split = self.joined(names)
        purged = self.manifest.get("purged", {})
        return SplitCounts(
            name=" and ".join(names),
            rows=split.rows,
            purged=sum(purged.get(name, 0) for name in names),
            label_low=float(split.label.min()) if split.rows else None,
            label_high=float(split.label.max()) if split.rows else None,
            other_labels=int(np.count_nonzero((split.label != 0) & (split.label != 1))),
        )

    def shortcomings(self, on: Sequence[str]) -> tuple[Shortcoming, ...]:
        """Return the reasons why a fit on the splits `on`, or a score on another split, is impossible or unreliable."""
        found = list(self.judge_fit(on))
        for name in self.splits:
            if name not in on:
                found += self.judge_score(name)
        return tuple(found)

    def judge_fit(self, on: Sequence[str]) -> tuple[Shortcoming, ...]:
        """Return the reasons why a fit on the splits `on` is impossible or would overfit."""
        varying = count_varying(self.joined(on).features)
        return judge_fit(self.label, self.label_kind, len(self.columns), varying, self.counts(on))

    def judge_score(self, split: str) -> tuple[Shortcoming, ...]:
        """Return the reasons why a score on a split is impossible or unreliable."""
        return judge_score(self.label, self.label_kind, self.counts((split,)))

    def joined(self, names: Sequence[str]) -> Split:
        """Concatenate the splits `names`. Raises: UsageError if a name is unknown, or `names` is empty."""
        unknown = [name for name in names if name not in self.splits]
        if unknown or not names:
            what = f"{', '.join(unknown)}: no such split" if unknown else "No split was given"
            raise UsageError(f"{what}. Use {', '.join(SPLITS)}.")
        chosen = [self.splits[name] for name in names]
        return Split(
            self.columns,
            np.concatenate([split.features for split in chosen]),
            np.concatenate([split.label for split in chosen]),
            {key: np.concatenate([split.keys[key] for split in chosen]) for key in chosen[0].keys},
        )

    def select(self, columns: Sequence[str]) -> "Snapshot":
        """Return the snapshot with only the features `columns`, in this order.

        Raises:
            UsageError: a name is unknown, or `columns` is empty.
        """
        unknown = [name for name in columns if name not in self.columns]
        if unknown or not columns:
            raise UsageError(f"{self.consumer} has no feature {unknown or '(no name was given)'}.")
        at = [self.columns.index(name) for name in columns]
        names = tuple(columns)
        splits = {
            name: Split(names, np.ascontiguousarray(split.features[:, at]), split.label, split.keys)
            for name, split in self.splits.items()
        }
        return Snapshot(
            self.id,
            self.consumer,
            names,
            self.categorical.intersection(names),
            self.label,
            self.label_kind,
            splits,
            self.manifest,
            self.manifest_sha256,
        )


def count_varying(features: NDArray[np.float32]) -> int:
    """Return the number of columns with at least two distinct values, where NaN is a value; 0 without rows."""
    known = np.where(np.isnan(features), -np.inf, features)
    return int(np.count_nonzero((known != known[:1]).any(axis=0)))


def load_snapshot(address: str | Path, *, manifest_sha256: str | None = None) -> Snapshot:
    """Load a committed snapshot from a folder, and verify that the rows are unchanged since the export.

    The content hashes are recomputed from keys and values, and the id from schema, bounds and content hashes. A part
    that was changed is never trained on, even if manifest.json and _SUCCESS were rewritten to match.

    Args:
        manifest_sha256: the SHA-256 that manifest.json must have; None skips this check.

    Raises:
        UsageError: the folder does not exist.
        TerminalError: the snapshot was never committed, its manifest has another SHA-256, or a document, a part or a
            row was changed since the export.
    """
    committed = read_committed(address)
    manifest, folder = committed.manifest, committed.folder
    name = named_like_a_snapshot(folder.resolve().name)
    _check_documents(committed, str(folder), name, manifest_sha256)
    for part in manifest["parts"]:
        check_part(folder / part["path"], part["sha256"])
    paths = {
        split: (_paths(folder, manifest, "data", split), _paths(folder, manifest, "keys", split))
        for split in SPLITS
    }
    return _load(committed, paths, str(folder))


def load_channels(
    meta: Path,
    channels: Mapping[str, Path],
    keys: Path,
    *,
    manifest_sha256: str | None = None,
) -> Snapshot:
    """Load a committed snapshot from the folders of a training job, with the checks of `load_snapshot`.

    `channels` need not have splits without rows.

    Args:
        meta: the folder ``_meta`` of the snapshot.
        channels: the folder ``data/<split>`` of each split.
        keys: the folder ``keys`` of the snapshot, which is needed to recompute the content hashes.
        manifest_sha256: as in `load_snapshot`.

    Raises:
        UsageError: `meta`, `keys` or the folder of a split that has rows does not exist.
        TerminalError: as in `load_snapshot`, or a folder has a file that is not a part of the snapshot.
    """

    def read(name: str) -> bytes | None:
        path = meta / Path(name).name
        return path.read_bytes() if path.is_file() else None

    if not meta.is_dir():
        raise UsageError(
            f"There is no channel meta at {meta}. Add the channel with the snapshot's folder _meta/, against which "
            "the other channels are checked."
        )
    if not keys.is_dir():
        raise UsageError(
            f"There is no channel keys at {keys}. Add the channel with the snapshot's folder keys/, against which "
            "the rows are checked; `mart snapshot train-request` adds the channel."
        )
    committed = committed_documents(read, str(meta))
    manifest = committed.manifest
    _check_documents(committed, str(meta), None, manifest_sha256)
    rows = {split["name"]: split["rows"] for split in manifest["splits"]}
    paths: dict[str, tuple[Sequence[Path], Sequence[Path]]] = {}
    for name in SPLITS:
        folder = channels.get(name)
        if folder is None and not rows[name]:
            paths[name] = ([], [])
            continue
        if folder is None or not folder.is_dir():
            raise UsageError(
                f"There is no channel {name}{f' at {folder}' if folder else ''}, but {manifest['id']} has "
                f"{rows[name]} rows in this split. Add the channel; `mart snapshot train-request` adds all channels."
            )
        paths[name] = (
            _channel_parts(folder, manifest, "data", name),
            _channel_parts(keys / name, manifest, "keys", name),
        )
    return _load(committed, paths, str(meta))


def _check_documents(
    committed: Committed | Documents, where: str, folder: str | None, manifest_sha256: str | None
) -> None:
    manifest = committed.manifest
    if manifest_sha256 is not None and committed.manifest_sha256 != manifest_sha256:
        raise TerminalError(
            f"{where}: manifest.json has the SHA-256 {committed.manifest_sha256}, but {manifest_sha256} was "
            "requested: this is another snapshot, or manifest.json was rewritten."
        )
    for document, what in identity_faults(manifest, committed.schema, folder):
        raise TerminalError(
            f"{where}: {document}: {what}. The snapshot was changed after the export: run `mart snapshot verify`."
        )


def _channel_parts(folder: Path, manifest: Mapping[str, Any], kind: str, split: str) -> list[Path]:
    wanted = {Path(part["path"]).name: part for part in _parts(manifest, kind, split)}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and str(path.relative_to(folder)) not in wanted:
            raise TerminalError(
                f"{path} is not a part of {manifest['id']}, {split}: the channel must be the snapshot's folder "
                f"{kind}/{split}/, without other files."
            )
    for name, part in wanted.items():
        check_part(folder / name, part["sha256"])
    return [folder / name for name in wanted]


def _paths(folder: Path, manifest: Mapping[str, Any], kind: str, split: str) -> list[Path]:
    return [folder / part["path"] for part in _parts(manifest, kind, split)]


def _parts(manifest: Mapping[str, Any], kind: str, split: str) -> list[Mapping[str, Any]]:
    return [part for part in manifest["parts"] if part["path"].startswith(f"{kind}/{split}/")]


def _load(
    committed: Committed | Documents,
    paths: Mapping[str, tuple[Sequence[Path], Sequence[Path]]],
    where: str,
) -> Snapshot:
    """Read and check every split. `paths` has the data parts and the key parts of each split."""
    manifest, schema = committed.manifest, committed.schema
    columns = _features(schema)
    names = [column["name"] for column in schema["columns"]]
    splits = {}
    with connect() as con:
        for index, split in enumerate(SPLITS):
            data, keys = paths[split]
            arrays = read_arrays(con, data, keys, names, schema.get("format"))
            check_rows(arrays, manifest, index, where)
            splits[split] = _split(arrays, columns)
    return Snapshot(
        id=manifest["id"],
        consumer=manifest["consumer"],
        columns=columns,
        categorical=frozenset(each["name"] for each in schema["columns"] if each["categorical"]),
        label=schema["label"],
        label_kind=schema["label_kind"],
        splits=splits,
        manifest=manifest,
        manifest_sha256=committed.manifest_sha256,
    )


def _features(schema: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(column["name"] for column in schema["columns"] if column["role"] == "feature")


def _split(arrays: Arrays, columns: tuple[str, ...]) -> Split:
    label, *values = arrays.columns
    features = np.empty((len(label), len(columns)), np.float32)
    for index, column in enumerate(values):
        features[:, index] = column
    moments = (
        each.astype("datetime64[us]") for each in (arrays.requested_at, arrays.label_known_at)
    )
    keys = dict(zip(KEY_COLUMNS, (arrays.job_id, *moments), strict=True))
    return Split(columns, features, label, keys)
