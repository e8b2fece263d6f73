"""Measure each feature group's effect on a model by ablation, for `mart knowledge evidence`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.files import write_whole
from feature_mart.core.manifest import Manifest
from feature_mart.knowledge.evidence_files import encoded, with_earlier
from feature_mart.snapshot_files import decode_document
from feature_mart.training import DEFAULT_PARAMS, Snapshot, load_snapshot
from feature_mart.training.lift import ALL, LiftLine, score_features, variants

#: The number of parallel processes that train models. Each uses one thread, because xgboost's results depend on the
#: number of threads.
_PROCESSES = 2


def measure_evidence(
    address: Path,
    manifest: Manifest,
    name: str,
    warehouse_id: str,
    *,
    seeds: int = 5,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Train a snapshot's model on all features, without each feature group, and on each group alone.

    A feature group has the features of one model ``feat_job__<group>``. For each set of features, a model is fitted on
    train once per seed and scored on validation and test. Features are chosen by the validation score; the test score
    is only reported. The effect of a group is the score of all features minus the score without the group. The document
    has the mean and the spread of each score over the seeds. When you read it, treat scores that differ by less than
    their spreads as equal.

    Args:
        address: the snapshot's folder.
        manifest: dbt's manifest of the build from which the snapshot was exported.
        name: the consumer of the snapshot.
        warehouse_id: the warehouse of the snapshot.
        seeds: the number of random seeds.
        progress: called after each set of features, with the number of sets done, their total and the set's name.

    Returns:
        A document of the schema evidence.json.

    Raises:
        TerminalError: the snapshot's features differ from the manifest's, or no model can be fitted on the snapshot.
        UsageError: there is no such folder or consumer, or the snapshot belongs to another consumer or warehouse.
    """
    snapshot = _loaded(str(address))
    check_origin(snapshot, name, warehouse_id)
    consumer = manifest.consumer(name)
    groups = manifest.feature_groups(consumer)
    known = {name for names in groups.values() for name in names}
    if known != set(snapshot.columns):
        wrong = ", ".join(sorted(known ^ set(snapshot.columns))[:3])
        raise TerminalError(
            f"{snapshot.id} has other features than the mart's last build ({wrong}): export again, or build the "
            "commit of the snapshot."
        )
    metric = consumer.metrics[0] if consumer.metrics else _metric(snapshot)
    sets = variants(groups, snapshot.columns)
    lines: dict[str, LiftLine] = {}
    with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool:
        tasks = {
            pool.submit(_score, str(address), name, columns, metric, seeds): name
            for name, columns in sets.items()
        }
        for done in as_completed(tasks):
            lines[tasks[done]] = done.result()
            if progress is not None:
                progress(len(lines), len(sets), tasks[done])
    return _document(snapshot, groups, [lines[name] for name in sets], metric, seeds)


def check_origin(snapshot: Snapshot, consumer: str, warehouse_id: str) -> None:
    """Check that a snapshot belongs to a consumer and a warehouse.

    Raises:
        UsageError: the snapshot belongs to another consumer or warehouse.
    """
    found = snapshot.consumer, str(snapshot.manifest["warehouse_id"])
    if found != (consumer, warehouse_id):
        raise UsageError(
            f"{snapshot.id} is a snapshot of {found[0]} of {found[1]}, not of {consumer} of {warehouse_id}: name "
            "another snapshot, or the warehouse with --dwh."
        )


def write_evidence(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document to a file atomically.

    If the file already exists, its scores of all features are kept under ``earlier``, as `with_earlier` does.

    Raises:
        TerminalError: the document violates its schema; nothing is written.
    """
    try:
        former = decode_document(path.read_bytes(), "evidence", path.name)
    except (FileNotFoundError, TerminalError):
        # A file that violates its schema has no scores to keep, and is replaced.
        former = None
    write_whole(path, encoded(with_earlier(document, former), "evidence"))


@lru_cache(maxsize=1)
def _loaded(address: str) -> Snapshot:
    return load_snapshot(address)


def _score(address: str, name: str, columns: tuple[str, ...], metric: str, seeds: int) -> LiftLine:
    return score_features(_loaded(address), name, columns, metric, range(seeds))


def _metric(snapshot: Snapshot) -> str:
    return "r2" if snapshot.label_kind == "regression" else "auc"


def _document(
    snapshot: Snapshot,
    groups: Mapping[str, tuple[str, ...]],
    lines: list[LiftLine],
    metric: str,
    seeds: int,
) -> dict[str, Any]:
    by_name = {line.name: line for line in lines}
    full, manifest = by_name[ALL], snapshot.manifest
    splits = manifest["splits"]
    return {
        "schema": 1,
        "consumer": snapshot.consumer,
        "warehouse_id": manifest["warehouse_id"],
        "snapshot": snapshot.id,
        "as_of_at": manifest["as_of_at"],
        "commit": manifest["git"]["commit"],
        "label": snapshot.label,
        "metric": metric,
        "seeds": seeds,
        "params": dict(DEFAULT_PARAMS),
        "from": splits[0]["from"],
        "to": splits[-1]["to"],
        "rows": {split["name"]: split["rows"] for split in splits},
        "all": {"columns": full.columns, **_scores(full)},
        "groups": [
            {
                "name": group,
                "features": list(columns),
                "is_empty": by_name[f"{group} alone"].is_empty,
                "without": _scores(by_name[f"without {group}"]),
                "alone": _scores(by_name[f"{group} alone"]),
                "adds": {
                    split: _difference(full, by_name[f"without {group}"], split)
                    for split in ("validation", "test")
                },
            }
            for group, columns in groups.items()
        ],
    }


def _scores(line: LiftLine) -> dict[str, Any]:
    return {
        split: {"mean": _rounded(line.mean[split]), "spread": _rounded(line.spread[split])}
        for split in ("validation", "test")
    }


def _difference(full: LiftLine, without: LiftLine, split: str) -> float | None:
    one, other = full.mean[split], without.mean[split]
    return None if one is None or other is None else _rounded(one - other)


def _rounded(value: float | None) -> float | None:
    """Round a score to six decimal places, much finer than the spread over seeds; return None for None."""
    return None if value is None else round(value, 6)
