"""Compare two snapshots: columns, rows, labels and distributions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from feature_mart.core.duckdb_files import connect
from feature_mart.exporter.verify_parts import MEMORY_LIMIT, part_sql
from feature_mart.snapshot_files import SPLITS, read_committed

_DECILES = [step / 10 for step in range(1, 10)]


@dataclass(frozen=True, slots=True)
class SplitDiff:
    """Row counts of one split, with the rows of both snapshots matched by `job_id` and `requested_at`.

    Attributes:
        both: number of rows in both snapshots.
        only_a, only_b: number of rows in only one of the snapshots.
        relabelled: number of rows in both snapshots whose label differs.
    """

    name: str
    both: int
    only_a: int
    only_b: int
    relabelled: int


@dataclass(frozen=True, slots=True)
class ColumnDiff:
    """The distribution of one column over all splits, in snapshot A and in snapshot B.

    Each pair is (A, B). `null_share` is the fraction of NULL values. Means and medians are None if every value is
    NULL. Medians and the edges of the bins are approximate (t-digest).

    `psi` is the population stability index: the sum of ``(b - a) * ln(b / a)`` over NULL and up to ten bins, where a
    and b are the fractions of the rows of A and B in a bin. The edges of the bins are the deciles of A, or of B if
    every value of A is NULL. Half a row is added to each bin to avoid empty bins. An index below 0.1 counts as stable,
    and an index above 0.25 as a shift (Siddiqi, Credit Risk Scorecards, 2006). A leak may have a far smaller index.
    """

    name: str
    null_share: tuple[float, float]
    mean: tuple[float | None, float | None]
    median: tuple[float | None, float | None]
    psi: float


@dataclass(frozen=True, slots=True)
class SnapshotDiff:
    """The differences between two snapshots.

    Attributes:
        facts: for the name of each fact that differs between the manifests, such as the commit, the pair (value in A,
            value in B).
        added, removed: columns that only B has, and columns that only A has.
        changed: for the name of each column whose kind differs, the pair (kind in A, kind in B). The kind is the role,
            followed by ``, categorical`` for a categorical column.
        is_same: True if the columns and the content hash of every split are equal.
    """

    a: str
    b: str
    facts: Mapping[str, tuple[Any, Any]]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, tuple[str, str]]
    splits: tuple[SplitDiff, ...]
    columns: tuple[ColumnDiff, ...]
    is_same: bool


def diff_snapshots(a: Path, b: Path) -> SnapshotDiff:
    """Compare two committed snapshots in local folders (see `snapshot_on_disk`).

    Raises:
        UsageError: a folder does not exist.
        TerminalError: a snapshot was never committed, or its documents were changed.
    """
    old, new = read_committed(a), read_committed(b)
    before = {each["name"]: each for each in old.schema["columns"]}
    after = {each["name"]: each for each in new.schema["columns"]}
    common = [name for name in before if name in after]
    changed = {
        name: (_kind(before[name]), _kind(after[name]))
        for name in common
        if _kind(before[name]) != _kind(after[name])
    }
    with _open(old, "a") as con:
        _views(con, new, "b")
        splits = tuple(
            _split(con, name, old.schema["label"], new.schema["label"]) for name in SPLITS
        )
        columns = tuple(_column(con, name) for name in common)
    hashes = [
        [(split["name"], split["content_hash"]) for split in each.manifest["splits"]]
        for each in (old, new)
    ]
    return SnapshotDiff(
        a=old.manifest["id"],
        b=new.manifest["id"],
        facts=_facts(old.manifest, new.manifest),
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=changed,
        splits=splits,
        columns=columns,
        is_same=list(before.items()) == list(after.items()) and hashes[0] == hashes[1],
    )


def _facts(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    def of(manifest: Mapping[str, Any]) -> dict[str, Any]:
        facts = {
            "warehouse": manifest["warehouse_id"],
            "as of": manifest["as_of_at"],
            "commit": manifest["git"]["commit"],
            "engine": " ".join(manifest["engine"].values()),
            "rationale": manifest["rationale_sha256"][:12],
            "failed tests": manifest["tests"]["failed"],
        }
        for split in manifest["splits"]:
            facts[f"{split['name']} from"] = split["from"]
            facts[f"{split['name']} to"] = split["to"]
            facts[f"{split['name']} purged"] = manifest["purged"][split["name"]]
        return facts | {f"excluded: {why}": n for why, n in manifest["excluded"].items()}

    one, other = of(old), of(new)
    return {
        name: (one.get(name), other.get(name))
        for name in {**one, **other}
        if one.get(name) != other.get(name)
    }


def _kind(column: Mapping[str, Any]) -> str:
    return f"{column['role']}{', categorical' if column['categorical'] else ''}"


@contextmanager
def _open(committed: Any, name: str) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(memory_limit=MEMORY_LIMIT) as con:
        _views(con, committed, name)
        yield con


def _views(con: duckdb.DuckDBPyConnection, committed: Any, name: str) -> None:
    """Create a view for each split, with the rows joined to their keys, and one view for all splits."""
    columns = [each["name"] for each in committed.schema["columns"]]
    for split in SPLITS:
        paths = [part["path"] for part in committed.manifest["parts"]]
        pairs = [
            (path, f"keys/{split}/{Path(path).stem}.parquet")
            for path in paths
            if path.startswith(f"data/{split}/")
        ]
        selects = [
            f"select * from {part_sql(committed.folder / data, columns, committed.schema.get('format'))} "
            f"positional join {part_sql(committed.folder / keys, (), None)}"
            for data, keys in pairs
        ]
        con.execute(f"create view {name}_{split} as {' union all by name '.join(selects)}")
    alls = " union all by name ".join(f"from {name}_{split}" for split in SPLITS)
    con.execute(f"create view {name} as {alls}")


def _split(con: duckdb.DuckDBPyConnection, split: str, label: str, other: str) -> SplitDiff:
    ((both, only_a, only_b, relabelled),) = con.execute(
        "select count(*) filter (where a.job_id is not null and b.job_id is not null), "
        "count(*) filter (where b.job_id is null), count(*) filter (where a.job_id is null), "
        f'count(*) filter (where a.job_id is not null and b.job_id is not null and a."{label}" '
        f'is distinct from b."{other}") from a_{split} as a full join b_{split} as b '
        "on a.job_id = b.job_id and a.requested_at = b.requested_at"
    ).fetchall()
    return SplitDiff(split, both, only_a, only_b, relabelled)


def _column(con: duckdb.DuckDBPyConnection, name: str) -> ColumnDiff:
    def summary(side: str) -> tuple[Any, ...]:
        ((*found,),) = con.execute(
            f'select count(*), count("{name}"), avg("{name}"::double), '
            f'approx_quantile("{name}", {_DECILES}) from {side}'
        ).fetchall()
        return tuple(found)

    rows_a, known_a, mean_a, deciles = summary("a")
    rows_b, known_b, mean_b, other = summary("b")
    edges = sorted(set(deciles or other or ()))
    share_a = _shares(con, "a", name, edges, rows_a)
    share_b = _shares(con, "b", name, edges, rows_b)
    psi = sum((b - a) * math.log(b / a) for a, b in zip(share_a, share_b, strict=True))
    return ColumnDiff(
        name,
        (1 - known_a / rows_a if rows_a else 0.0, 1 - known_b / rows_b if rows_b else 0.0),
        (mean_a, mean_b),
        (deciles[4] if deciles else None, other[4] if other else None),
        psi,
    )


def _shares(
    con: duckdb.DuckDBPyConnection, side: str, name: str, edges: Sequence[float], rows: int
) -> list[float]:
    """Return the smoothed fractions of the rows with NULL and of the rows in each bin between the edges, in this order.

    Half a row is added to each count before division.
    """
    above = "".join(f', count(*) filter (where "{name}" >= {edge!r}::float)' for edge in edges)
    ((*counts,),) = con.execute(f'select count("{name}"){above} from {side}').fetchall()
    bins = [
        rows - counts[0],
        *(one - next_ for one, next_ in zip(counts, [*counts[1:], 0], strict=True)),
    ]
    return [(count + 0.5) / (rows + 0.5 * len(bins)) for count in bins]
