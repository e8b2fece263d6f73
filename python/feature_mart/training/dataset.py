"""A committed snapshot, loaded: from its own folder, or from the folders a training job gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from feature_mart.duckdb_files import connect, csv, parquet
from feature_mart.errors import TerminalError, UsageError
from feature_mart.snapshot_files import committed_documents, read_committed, sha256_file
from feature_mart.snapshot_files.usability import (
    Shortcoming,
    SplitCounts,
    judge_fit,
    judge_score,
)

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """One split, row for row and sorted by (requested_at, job_id).

    `features` is float32 of shape (rows, columns), NaN where a value is NULL; `label` is float32 of
    shape (rows,). `keys` holds `job_id` (text) and `requested_at`, `label_known_at`
    (datetime64[us], UTC); it is empty where the split was loaded without them.
    """

    columns: tuple[str, ...]
    features: NDArray[np.float32]
    label: NDArray[np.float32]
    keys: Mapping[str, NDArray[Any]]

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.label)

    def frame(self) -> "pd.DataFrame":
        """The features as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.features, columns=list(self.columns))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A consumer's training data.

    `label_kind` is regression or binary; `manifest` is manifest.json.
    """

    id: str
    consumer: str
    columns: tuple[str, ...]
    categorical: frozenset[str]
    label: str
    label_kind: str
    splits: Mapping[str, Split]
    manifest: Mapping[str, Any]

    @property
    def is_log_label(self) -> bool:
        """By the house rule for names, a label that ends in ``_log`` is the natural log of a price."""
        return self.label_kind == "regression" and self.label.endswith("_log")

    def counts(self, names: Sequence[str]) -> SplitCounts:
        """Return what decides whether these splits, taken together, can be fitted on or scored."""
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
        """Why a model that is fitted on these splits is of little use, and its scores on the others are."""
        found = list(self.judge_fit(on))
        for name in self.splits:
            if name not in on:
                found += self.judge_score(name)
        return tuple(found)

    def judge_fit(self, on: Sequence[str]) -> tuple[Shortcoming, ...]:
        """Why no model can be fitted on these splits, or why it learns them by heart."""
        varying = count_varying(self.joined(on).features)
        return judge_fit(self.label, self.label_kind, len(self.columns), varying, self.counts(on))

    def judge_score(self, split: str) -> tuple[Shortcoming, ...]:
        """Why a model has no score on a split, or one that says nothing."""
        return judge_score(self.label, self.label_kind, self.counts((split,)))

    def joined(self, names: Sequence[str]) -> Split:
        """These splits, one after the other. Raises: UsageError for an unknown name or none."""
        unknown = [name for name in names if name not in self.splits]
        if unknown or not names:
            raise UsageError(
                f"A snapshot has the splits {', '.join(SPLITS)}; asked for {list(names)}."
            )
        chosen = [self.splits[name] for name in names]
        return Split(
            self.columns,
            np.concatenate([split.features for split in chosen]),
            np.concatenate([split.label for split in chosen]),
            {key: np.concatenate([split.keys[key] for split in chosen]) for key in chosen[0].keys},
        )

    def select(self, columns: Sequence[str]) -> "Snapshot":
        """The same snapshot with these features only, in this order. Raises: UsageError."""
        unknown = [name for name in columns if name not in self.columns]
        if unknown or not columns:
            raise UsageError(
                f"{self.consumer} has no feature {unknown or 'at all, none was named'}."
            )
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
        )


def count_varying(features: NDArray[np.float32]) -> int:
    """Return how many columns have two values; NULL is one. Without rows, none has."""
    known = np.where(np.isnan(features), -np.inf, features)
    return int(np.count_nonzero((known != known[:1]).any(axis=0)))


def load_snapshot(address: str | Path) -> Snapshot:
    """Load a committed snapshot from a folder; a part that was changed is never trained on.

    Raises:
        UsageError: there is no such folder.
        TerminalError: it was never committed, or a document or a part was changed or is missing.
    """
    committed = read_committed(address)
    manifest, schema, folder = committed.manifest, committed.schema, committed.folder
    for part in manifest["parts"]:
        _check_part(folder / part["path"], part["sha256"])
    splits = {}
    for name in SPLITS:
        data, keys = (
            [folder / part["path"] for part in _parts(manifest, kind, name)]
            for kind in ("data", "keys")
        )
        splits[name] = _read_split(data, schema, _read_keys(keys))
    return _snapshot(manifest, schema, splits)


def load_channels(meta: Path, channels: Mapping[str, Path]) -> Snapshot:
    """Load a committed snapshot from folders that hold one split's data parts each, without keys.

    So a training job gets it: `meta` is the snapshot's ``_meta``, `channels` maps a split to its
    ``data/<split>``. A split may be left out where it has no rows.

    Raises:
        UsageError: `meta` or the folder of a split that has rows is missing.
        TerminalError: never committed; a document or a part was changed or is missing; or a folder
            holds another file.
    """

    def read(name: str) -> bytes | None:
        path = meta / Path(name).name
        return path.read_bytes() if path.is_file() else None

    if not meta.is_dir():
        raise UsageError(
            f"There is no channel meta at {meta}; it is the snapshot's folder _meta/, by which the "
            "rest is checked."
        )
    manifest, schema = committed_documents(read, str(meta))
    rows = {split["name"]: split["rows"] for split in manifest["splits"]}
    splits = {}
    for name in SPLITS:
        folder = channels.get(name)
        if folder is None and not rows[name]:
            paths = []
        elif folder is None or not folder.is_dir():
            raise UsageError(
                f"There is no channel {name}{f' at {folder}' if folder else ''}, but {rows[name]} "
                f"rows of {manifest['id']} are in it; `mart snapshot train-request` asks for all."
            )
        else:
            paths = _channel_parts(folder, manifest, name)
        splits[name] = _read_split(paths, schema, {})
    return _snapshot(manifest, schema, splits)


def _channel_parts(folder: Path, manifest: Mapping[str, Any], split: str) -> list[Path]:
    wanted = {Path(part["path"]).name: part for part in _parts(manifest, "data", split)}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and str(path.relative_to(folder)) not in wanted:
            raise TerminalError(
                f"{path} is no part of {manifest['id']}, {split}: the channel is not its folder "
                f"data/{split}/, or somebody else wrote there."
            )
    for name, part in wanted.items():
        _check_part(folder / name, part["sha256"])
    return [folder / name for name in wanted]


def _parts(manifest: Mapping[str, Any], kind: str, split: str) -> list[Mapping[str, Any]]:
    return [part for part in manifest["parts"] if part["path"].startswith(f"{kind}/{split}/")]


def _check_part(path: Path, sha256: str) -> None:
    if not path.is_file() or sha256_file(path) != sha256:
        raise TerminalError(
            f"{path} is missing or was changed since the snapshot was committed; see `mart snapshot verify`."
        )


def _snapshot(
    manifest: Mapping[str, Any], schema: Mapping[str, Any], splits: Mapping[str, Split]
) -> Snapshot:
    return Snapshot(
        id=manifest["id"],
        consumer=manifest["consumer"],
        columns=_features(schema),
        categorical=frozenset(each["name"] for each in schema["columns"] if each["categorical"]),
        label=schema["label"],
        label_kind=schema["label_kind"],
        splits=splits,
        manifest=manifest,
    )


def _features(schema: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(column["name"] for column in schema["columns"] if column["role"] == "feature")


def _read_split(
    paths: Sequence[Path], schema: Mapping[str, Any], keys: Mapping[str, NDArray[Any]]
) -> Split:
    columns = _features(schema)
    if not paths:
        return Split(
            columns, np.empty((0, len(columns)), np.float32), np.empty(0, np.float32), keys
        )
    read = _read_csv if schema.get("format") == "csv" else _read_parquet
    found = read(paths, [column["name"] for column in schema["columns"]])
    label = np.asarray(found[schema["label"]], dtype=np.float32)
    features = np.empty((len(label), len(columns)), dtype=np.float32)
    for index, column in enumerate(columns):
        features[:, index] = np.ma.filled(found[column], np.nan)
    return Split(columns, features, label, keys)


def _read_parquet(paths: Sequence[Path], _names: Sequence[str]) -> Mapping[str, NDArray[Any]]:
    with connect() as con:
        return con.execute(f"from {parquet(paths)}").fetchnumpy()


def _read_csv(paths: Sequence[Path], names: Sequence[str]) -> Mapping[str, NDArray[Any]]:
    """Columns by their places: the label first, no header, an empty field is NULL."""
    types = ", ".join(f"'{index}': 'float'" for index in range(len(names)))
    options = (
        "auto_detect = false, header = false, delim = ',', quote = '', escape = '', nullstr = ''"
    )
    with connect() as con:
        found = con.execute(f"from {csv(paths, f'{options}, columns = {{{types}}}')}").fetchnumpy()
    return dict(zip(names, found.values(), strict=True))


def _read_keys(paths: Sequence[Path]) -> dict[str, NDArray[Any]]:
    with connect() as con:
        keys = con.execute(
            "select job_id, epoch_us(requested_at) as requested_at, epoch_us(label_known_at) as "
            f"label_known_at from {parquet(paths)}"
        ).fetchnumpy()
    moments = {
        name: np.asarray(keys[name], dtype=np.int64).astype("datetime64[us]")
        for name in ("requested_at", "label_known_at")
    }
    return {"job_id": np.asarray(keys["job_id"], dtype=object), **moments}
