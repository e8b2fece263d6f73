"""Score a model over several seeds, because a mean without its spread says little."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from feature_mart.training.dataset import Snapshot
from feature_mart.training.model import TRAIN, check_score, evaluate, fit


@dataclass(frozen=True, slots=True)
class SeedScores:
    """Metrics on one split, fitted once for each seed.

    Attributes:
        on: the splits that were fitted on.
        by_seed: the metrics by seed.
        rounds: the number of trees by seed.
        mean: by metric; None if it has no value.
        spread: the standard deviation over the seeds; 0.0 for one seed, None if the metric has no value.
        warnings: why the figures mislead, for example because the split has few rows.
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
    """Fit once for each seed, and score on one split.

    Args:
        on: the splits to fit on, as in `fit`.
        split: the split to score on.
        params: xgboost parameters that override the defaults.

    Raises:
        TerminalError: as in `fit`; or the split has no score, because it has no rows or all labels are the same.
        UsageError: as in `fit`, or there is no such split.
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
