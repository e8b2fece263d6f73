"""``python -m bench.lift SNAPSHOT MANIFEST [SEEDS]``: a Markdown table of what each group of features adds.

SNAPSHOT is a snapshot's folder, MANIFEST the dbt manifest of the build that it came from. Two processes; the order of
the lines is always the same.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from feature_mart.manifest import load_manifest
from feature_mart.training import load_snapshot
from feature_mart.training.dataset import Snapshot
from feature_mart.training.lift import ALL, LiftLine, score_features, variants


@lru_cache(maxsize=1)
def _loaded(address: str) -> Snapshot:
    return load_snapshot(address)


def _score(address: str, name: str, columns: tuple[str, ...], metric: str, seeds: int) -> LiftLine:
    return score_features(_loaded(address), name, columns, metric, range(seeds))


def _cell(line: LiftLine, split: str) -> str:
    mean, spread = line.mean[split], line.spread[split]
    return "–" if mean is None or spread is None else f"{mean:.4f} ± {spread:.4f}"


def main(address: str, manifest_path: str, seeds: int = 5) -> None:
    """Score every set of features and print the table."""
    snapshot = _loaded(address)
    manifest = load_manifest(Path(manifest_path))
    sets = variants(manifest.feature_groups(manifest.consumer(snapshot.consumer)))
    metric = "r2" if snapshot.label_kind == "regression" else "auc"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_score, address, *each, metric, seeds) for each in sets.items()]
        lines = [future.result() for future in futures]
    (full,) = (line for line in lines if line.name == ALL)
    print(
        f"{snapshot.consumer}, {snapshot.manifest['warehouse_id']}, {snapshot.id}, {seeds} seeds\n"
    )
    print(f"| features | columns | {metric}, validation | {metric}, test | lost on test |")
    print("|---|---|---|---|---|")
    for line in lines:
        lost = ""
        if line.is_empty:
            lost = "every column empty"
        elif line.name.startswith("without") and full.mean["test"] and line.mean["test"]:
            lost = f"{full.mean['test'] - line.mean['test']:+.4f}"
        print(
            f"| {line.name} | {line.columns} | {_cell(line, 'validation')} | {_cell(line, 'test')} | {lost} |"
        )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *(int(seeds) for seeds in sys.argv[3:4]))
