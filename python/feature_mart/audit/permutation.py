"""A permutation test: do numbers that belong to keys follow a label more closely than by chance?

The numbers are shuffled among the keys. If they have nothing to do with the label, every arrangement is as likely as
the one found, whatever the distribution of the numbers, of the label, and of the rows per key.
(P. Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, ch. 3.)

Keys are weighted by how well their mean is known, as in a random-effects model (DerSimonian and Laird, 1986): by rows
alone, one key with half of the rows would decide, and one with a single row would count as much as any without.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, lgamma, log

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

#: A test ends once this many arrangements follow the label as closely: it cannot become significant any more.
_ENOUGH = 10
_FIRST_BATCH = 200
#: The most numbers that are shuffled at once, which bounds the memory: 32 MB.
_AT_ONCE = 4_000_000
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class KeyedLabel:
    """A label's rows by key: how many rows each key has, the sum of the label in them, and of its squares over all."""

    counts: Numbers
    sums: Numbers
    squares: float


def correlation(label: KeyedLabel, values: Numbers) -> float:
    """Return the correlation of a label with the values of its keys, over the rows; 0 where either does not vary."""
    rows = label.counts.sum()
    spread = label.squares - label.sums.sum() ** 2 / rows
    if spread <= 0:
        return 0.0
    found = _covariance(label.counts, label.sums, values[None, :])[0] / np.sqrt(spread)
    return float(np.clip(found, -1, 1))


def has_enough_keys(values: Numbers, level: float) -> bool:
    """Return whether so many arrangements of the values differ that chance can be told from intent at ``level``."""
    _, repeated = np.unique(values, return_counts=True)
    arrangements = lgamma(len(values) + 1) - sum(lgamma(count + 1) for count in repeated)
    return arrangements >= log(2 / level)


def follows(label: KeyedLabel, values: Numbers, level: float, seed: int = 0) -> bool:
    """Return whether the values follow the label more closely than by chance, at a false-alarm rate of ``level``.

    The statistic is the absolute correlation with the label's mean by key. ``seed`` draws the arrangements.
    """
    rng = np.random.default_rng(seed)
    weights = _weights(label)
    sums = weights * label.sums / label.counts
    observed = abs(_covariance(weights, sums, values[None, :])[0])
    if observed <= _ROUNDING:
        return False
    needed = ceil(2 / level)
    done = as_close = 0
    batch = _FIRST_BATCH
    while done < needed and as_close < _ENOUGH:
        batch = max(1, min(batch, needed - done, _AT_ONCE // len(values)))
        shuffled = rng.permuted(np.broadcast_to(values, (batch, len(values))), axis=1)
        found = np.abs(_covariance(weights, sums, shuffled))
        as_close += int((found >= observed * (1 - _ROUNDING)).sum())
        done += batch
        batch *= 4
    return (as_close + 1) / (done + 1) <= level


def ranks(values: Numbers) -> Numbers:
    """Return the ranks of values, equal ones sharing theirs, so that no transform or outlier changes the test."""
    _, inverse, repeated = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(repeated)
    return np.asarray((last - (repeated - 1) / 2)[inverse], dtype=np.float64)


def _weights(label: KeyedLabel) -> Numbers:
    """Return one over the variance of each key's mean: that between keys, and that of rows over their number."""
    rows, keys = label.counts.sum(), len(label.counts)
    within = label.squares - (label.sums**2 / label.counts).sum()
    between = (label.sums**2 / label.counts).sum() - label.sums.sum() ** 2 / rows
    of_rows = max(within, 0) / (rows - keys) if rows > keys else 0.0
    effective = rows - (label.counts**2).sum() / rows
    of_keys = max((between - (keys - 1) * of_rows) / effective, 0) if effective > 0 else 0.0
    variance = of_keys + of_rows / label.counts
    return np.asarray(1 / variance if variance.all() else np.ones(keys), dtype=np.float64)


def _covariance(weights: Numbers, sums: Numbers, values: Numbers) -> Numbers:
    """Return for each row of ``values``, one value a key, the covariance of the sums with it over its own spread."""
    total = weights.sum()
    apart = sums - weights * (sums.sum() / total)
    centred = values - values.mean(axis=1, keepdims=True)
    spread = centred**2 @ weights - (centred @ weights) ** 2 / total
    found = np.zeros(len(values))
    np.divide(
        centred @ apart, np.sqrt(np.maximum(spread, 0)), out=found, where=spread > _ROUNDING * total
    )
    return found
