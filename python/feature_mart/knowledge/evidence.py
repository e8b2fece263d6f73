"""`mart knowledge evidence`: what each group of features is worth, trained and measured, not written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from feature_mart.errors import TerminalError, UsageError
from feature_mart.knowledge.written import encoded, write_whole
from feature_mart.manifest import Manifest
from feature_mart.training import DEFAULT_PARAMS, Snapshot, load_snapshot
from feature_mart.training.lift import ALL, LiftLine, score_features, variants

#: One process each: xgboost takes one thread, so that its bits do not depend on how many there are.
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
    """Train a snapshot's model with each group of features left out, and with each alone.

    A group is the features of one model ``feat_job__<group>``. Every set is fitted on train, once a seed, and measured
    on validation, by which features are chosen, and on test, which is reported and chooses nothing. What a group adds
    is the score of all features less the score without it; two figures nearer than their spreads are the same.

    Args:
        address: the snapshot's folder.
        manifest: dbt's, of the build that the snapshot came from.
        name: the consumer, and `warehouse_id` the warehouse, that the snapshot has to be of.

    Returns:
        The document of evidence.json.

    Raises:
        TerminalError: the snapshot has other features than the manifest, or nothing can be fitted on it.
        UsageError: there is no such folder, or no such consumer.
    """
    snapshot = _loaded(str(address))
    check_origin(snapshot, name, warehouse_id)
    consumer = manifest.consumer(name)
    groups = manifest.feature_groups(consumer)
    known = {name for names in groups.values() for name in names}
    if known != set(snapshot.columns):
        wrong = ", ".join(sorted(known ^ set(snapshot.columns))[:3])
        raise TerminalError(
            f"{snapshot.id} has other features than the mart as it was last built ({wrong}): export again, or "
            "build the commit that it came from."
        )
    metric = consumer.metrics[0] if consumer.metrics else _metric(snapshot)
    sets = variants(groups)
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
    """Raise UsageError unless a snapshot is of that consumer and of that warehouse."""
    found = snapshot.consumer, str(snapshot.manifest["warehouse_id"])
    if found != (consumer, warehouse_id):
        raise UsageError(
            f"{snapshot.id} is a snapshot of {found[0]} of {found[1]}, not of {consumer} of {warehouse_id}: name "
            "another with --snapshot, or set MART_DWH."
        )


def write_evidence(folder: Path, warehouse: str, document: Mapping[str, Any]) -> Path:
    """Write ``<consumer>.<warehouse>.json``, whole or not at all."""
    path = folder / f"{document['consumer']}.{warehouse}.json"
    write_whole(path, encoded(document, "evidence"))
    return path


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
    """Six places: the spread over seeds is in the third or fourth."""
    return None if value is None else round(value, 6)
