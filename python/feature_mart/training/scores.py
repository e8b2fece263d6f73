"""Scores over several seeds: a mean without its spread says little."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from feature_mart.training.dataset import Snapshot
from feature_mart.training.model import TRAIN, check_score, evaluate, fit


@dataclass(frozen=True, slots=True)
class SeedScores:
    """Metrics on one split, fitted once a seed.

    `by_seed` maps a seed to its metrics, `rounds` to its number of trees. `mean` and `spread` (the
    standard deviation over the seeds, 0.0 for one seed) are None where a metric has no value.
    `warnings` say why the figures mislead, as where the split has few rows.
    """

    on: tuple[str, ...]
    split: str
    by_seed: Mapping[int, Mapping[str, float | None]]
    rounds: Mapping[int, int]
    mean: Mapping[str, float | None]
    spread: Mapping[str, float | None]
    warnings: tuple[str, ...] = ()


def score_seeds(
    snapshot: Snapshot,
    seeds: Iterable[int] = range(5),
    *,
    on: Sequence[str] = TRAIN,
    split: str = "test",
    params: Mapping[str, Any] | None = None,
) -> SeedScores:
    """Fit once a seed and measure on one split.

    Raises:
        TerminalError: the split has no rows or a label of one value, so that there is no score; or as `fit`.
        UsageError: as `fit`, or there is no such split.
    """
    check_score(snapshot, split)
    by_seed: dict[int, dict[str, float | None]] = {}
    rounds: dict[int, int] = {}
    for seed in seeds:
        model = fit(snapshot, seed=seed, params=params, on=on)
        by_seed[seed] = evaluate(snapshot, model, split=split)
        rounds[seed] = model.rounds
    names = list(next(iter(by_seed.values()), {}))
    mean: dict[str, float | None] = {}
    spread: dict[str, float | None] = {}
    for name in names:
        values = [value for metrics in by_seed.values() if (value := metrics[name]) is not None]
        mean[name] = fmean(values) if values else None
        spread[name] = (stdev(values) if len(values) > 1 else 0.0) if values else None
    doubts = (*snapshot.judge_fit(on), *snapshot.judge_score(split))
    warnings = tuple(each.text for each in doubts)
    return SeedScores(tuple(on), split, by_seed, rounds, mean, spread, warnings)
