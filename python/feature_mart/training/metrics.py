"""Compute the metrics of predictions on one split, with NumPy only, and write the lines that SageMaker parses.

===================================  ==========================================================
``validation:r2=0.7123;``            a metric of a split, at the end, unless it has no value
``fit:rounds=412;``                  the number of trees of the model
``[50]\\tvalidation-rmse:0.61234``    xgboost's own line, every 50 rounds
===================================  ==========================================================
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

REGRESSION = ("r2", "mae", "rmse")
LOG_REGRESSION = ("ape_mean", "ape_median")
BINARY = ("auc", "logloss", "average_precision", "positive_ratio")

SPLITS = ("validation", "test")
#: Number of boosting rounds between two lines of xgboost's output.
EVERY = 50

_NUMBER = r"([-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)"
_WATCHED = {"regression": "rmse", "binary": "logloss"}


def regression_metrics(
    label: Floats, predicted: Floats, *, is_log: bool
) -> dict[str, float | None]:
    """Return R², mean absolute error and root mean squared error, in the unit of the label.

    If the label is the log of a price, also return `ape_mean` and `ape_median`: mean and median of the absolute error
    of the price as a ratio of the true price (0.3 = 30%). `r2` is None if the label is constant. All metrics are
    None without rows.
    """
    if not len(label):
        return dict.fromkeys((*REGRESSION, *(LOG_REGRESSION if is_log else ())))
    truth, guess = label.astype(np.float64), predicted.astype(np.float64)
    error = guess - truth
    spread = float(np.sum((truth - truth.mean()) ** 2))
    metrics: dict[str, float | None] = {
        "r2": 1 - float(np.sum(error**2)) / spread if spread > 0 else None,
        "mae": float(np.mean(np.abs(error))),
        "rmse": float(np.sqrt(np.mean(error**2))),
    }
    if is_log:
        share = np.abs(np.expm1(error))
        metrics["ape_mean"] = float(share.mean())
        metrics["ape_median"] = float(np.median(share))
    return metrics


def binary_metrics(label: Floats, predicted: Floats) -> dict[str, float | None]:
    """Return area under the ROC curve, log loss, average precision and the ratio of positives.

    `auc` and `average_precision` are None if the label has only one class. All metrics are None without rows.
    """
    if not len(label):
        return dict.fromkeys(BINARY)
    truth = label > 0.5
    guess = predicted.astype(np.float64)
    clipped = np.clip(guess, 1e-15, 1 - 1e-15)
    both = 0 < int(truth.sum()) < len(truth)
    return {
        "auc": _auc(truth, guess) if both else None,
        "logloss": float(-np.mean(np.where(truth, np.log(clipped), np.log1p(-clipped)))),
        "average_precision": _average_precision(truth, guess) if both else None,
        "positive_ratio": float(truth.mean()),
    }


def _auc(truth: NDArray[np.bool_], guess: Floats) -> float:
    """Return the probability that a random positive ranks above a random negative. A tie counts half."""
    _, group, size = np.unique(guess, return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2)[group]
    positives = int(truth.sum())
    negatives = len(truth) - positives
    return float((rank[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _average_precision(truth: NDArray[np.bool_], guess: Floats) -> float:
    """Return the mean precision over the distinct scores as thresholds, weighted by the increase in recall."""
    order = np.argsort(-guess, kind="stable")
    ranked = guess[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    hits = np.cumsum(truth[order])[last]
    seen = np.flatnonzero(last) + 1
    gained = np.diff(hits, prepend=0)
    return float(np.sum(gained * hits / seen) / truth.sum())


def metric_line(group: str, name: str, value: float) -> str:
    """Return the printed line of one metric, with all digits of the value."""
    return f"{group}:{name}={value!r};"


def metric_definitions(label_kind: str) -> list[dict[str, str]]:
    """Return SageMaker's MetricDefinitions for all printed metrics. `label_kind` is regression or binary."""
    names = BINARY if label_kind == "binary" else (*REGRESSION, *LOG_REGRESSION)
    lines = [f"{split}:{name}" for split in SPLITS for name in names]
    watched = _WATCHED[label_kind]
    return [
        *({"Name": line, "Regex": f"{line}={_NUMBER};"} for line in [*lines, "fit:rounds"]),
        {"Name": f"progress:{watched}", "Regex": rf"\[[0-9]+\].*validation-{watched}:{_NUMBER}"},
    ]
