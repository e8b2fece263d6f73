"""A committed snapshot, loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from feature_mart.errors import TerminalError, UsageError
from feature_mart.snapshot_files import read_committed, sha256_file

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """One split, row for row and sorted by (requested_at, job_id).

    `features` is float32 of shape (rows, columns), NaN where a value is NULL; `label` is float32 of
    shape (rows,). `keys` holds `job_id` (text) and `requested_at`, `label_known_at`
    (datetime64[us], UTC).
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


def load_snapshot(address: str | Path) -> Snapshot:
    """Load a committed snapshot from a folder; a part that was changed is never trained on.

    Raises:
        UsageError: there is no such folder.
        TerminalError: it was never committed, or a document or a part was changed or is missing.
    """
    committed = read_committed(address)
    manifest, schema = committed.manifest, committed.schema
    for part in manifest["parts"]:
        path = committed.folder / part["path"]
        if not path.is_file() or sha256_file(path) != part["sha256"]:
            raise TerminalError(
                f"{path} is missing or was changed since the snapshot was committed; see `mart "
                "snapshot verify`."
            )
    columns = tuple(column["name"] for column in schema["columns"] if column["role"] == "feature")
    return Snapshot(
        id=manifest["id"],
        consumer=manifest["consumer"],
        columns=columns,
        categorical=frozenset(each["name"] for each in schema["columns"] if each["categorical"]),
        label=schema["label"],
        label_kind=schema["label_kind"],
        splits={
            name: _read_split(committed.folder, manifest, name, columns, schema["label"])
            for name in SPLITS
        },
        manifest=manifest,
    )


def _read_split(
    folder: Path, manifest: Mapping[str, Any], name: str, columns: tuple[str, ...], label: str
) -> Split:
    paths = {
        kind: [
            str(folder / part["path"])
            for part in manifest["parts"]
            if part["path"].startswith(f"{kind}/{name}/")
        ]
        for kind in ("data", "keys")
    }
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        found = con.execute("select * from read_parquet($1)", [paths["data"]]).fetchnumpy()
        keys = con.execute(
            "select job_id, epoch_us(requested_at) as requested_at, epoch_us(label_known_at) as "
            "label_known_at "
            "from read_parquet($1)",
            [paths["keys"]],
        ).fetchnumpy()
    features = np.empty((len(found[label]), len(columns)), dtype=np.float32)
    for index, column in enumerate(columns):
        features[:, index] = np.ma.filled(found[column], np.nan)
    return Split(
        columns,
        features,
        np.asarray(found[label], dtype=np.float32),
        {
            "job_id": np.asarray(keys["job_id"], dtype=object),
            "requested_at": np.asarray(keys["requested_at"], dtype=np.int64).astype(
                "datetime64[us]"
            ),
            "label_known_at": np.asarray(keys["label_known_at"], dtype=np.int64).astype(
                "datetime64[us]"
            ),
        },
    )
