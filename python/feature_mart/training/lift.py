"""Measure the effect of each feature group on the score: fit without the group, and with only the group (ablation)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from feature_mart.training.dataset import Snapshot, count_varying
from feature_mart.training.model import check_score, evaluate, fit

ALL = "all"
SPLITS = ("validation", "test")


@dataclass(frozen=True, slots=True)
class LiftLine:
    """The score of one set of features, fitted on train once for each seed.

    Attributes:
        columns: the number of features.
        is_empty: True if every feature is constant or NULL in train; then no model is fitted, and `mean` and `spread`
            are None for each split.
        mean: the mean of one metric over the seeds, by split; None if the metric has no value.
        spread: the standard deviation over the seeds, by split; 0.0 for one seed, None if the metric has no value.
    """

    name: str
    columns: int
    is_empty: bool
    mean: Mapping[str, float | None]
    spread: Mapping[str, float | None]


def variants(
    groups: Mapping[str, Sequence[str]], columns: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return the features of each set to score, by name: all, all without one group, and one group alone.

    Each set keeps the order of ``columns``, the features of the snapshot, because the order affects the score. The
    score of the set `ALL` is therefore equal to the score from `score_seeds`.
    """
    sets = {ALL: tuple(columns)}
    for group, names in groups.items():
        sets[f"without {group}"] = tuple(name for name in columns if name not in names)
    for group, names in groups.items():
        sets[f"{group} alone"] = tuple(name for name in columns if name in names)
    return sets


def is_empty(snapshot: Snapshot, columns: Sequence[str]) -> bool:
    """Return True if each of the columns is constant or NULL in train."""
    return not count_varying(snapshot.select(columns).splits["train"].features)


def score_features(
    snapshot: Snapshot,
    name: str,
    columns: Sequence[str],
    metric: str,
    seeds: Iterable[int] = range(5),
    params: Mapping[str, Any] | None = None,
) -> LiftLine:
    """Fit a model with the features `columns` on train for each seed, and score the model on validation and test.

    Args:
        name: the name of the set of features, for the result.
        metric: the name of the metric to return, as in `metrics`.
        params: xgboost parameters that override the defaults.

    Raises:
        UsageError: a column is unknown, or `columns` is empty.
        TerminalError: as in `fit`; or there is no score on validation, the split on which features are chosen.
    """
    check_score(snapshot, "validation")
    if is_empty(snapshot, columns):
        nothing = dict.fromkeys(SPLITS)
        return LiftLine(name, len(columns), True, nothing, nothing)
    chosen = snapshot.select(columns)
    scores: dict[str, list[float | None]] = {split: [] for split in SPLITS}
    for seed in seeds:
        model = fit(chosen, seed=seed, params=params)
        for split in SPLITS:
            scores[split].append(evaluate(chosen, model, split=split)[metric])
    known = {split: [value for value in scores[split] if value is not None] for split in SPLITS}
    return LiftLine(
        name,
        len(columns),
        False,
        {split: fmean(values) if values else None for split, values in known.items()},
        {
            split: (stdev(values) if len(values) > 1 else 0.0) if values else None
            for split, values in known.items()
        },
    )
