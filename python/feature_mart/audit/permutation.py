"""Test by permutation whether numbers that belong to keys are significantly correlated with a label.

The numbers are shuffled among the keys. If the numbers are independent of the label, every arrangement is as likely as
the observed one, whatever the distribution of the numbers, of the label, and of the rows per key. (P. Good,
Permutation, Parametric and Bootstrap Tests of Hypotheses, ch. 3.)

Each key is weighted by the precision of its label mean, as in a random-effects model (DerSimonian and Laird, 1986).
With weights by rows, one key with half of the rows would decide the result. With equal weights, a key with a single row
would count as much as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, lgamma, log

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

#: Stop a test after this many permutations with a statistic at least as extreme as the observed one, because the
#: result can no longer become significant.
_ENOUGH = 10
_BATCH = 500
#: From this number of keys on, rotations replace random arrangements.
_MANY_KEYS = 200
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class KeyedLabel:
    """A label aggregated by key: the number of rows and the sum of the label for each key.

    `squares` is the sum of the squared labels over all rows.
    """

    counts: Numbers
    sums: Numbers
    squares: float


def correlation(label: KeyedLabel, values: Numbers) -> float:
    """Return the correlation of a label with the values of its keys, over the rows; 0 if either does not vary."""
    rows = label.counts.sum()
    spread = label.squares - label.sums.sum() ** 2 / rows
    if spread <= 0:
        return 0.0
    found = _covariance(label.counts, label.sums, values[None, :])[0] / np.sqrt(spread)
    return float(np.clip(found, -1, 1))


def has_enough_keys(values: Numbers, level: float) -> bool:
    """Return True if the values have enough distinct arrangements for a test at significance level ``level``."""
    _, repeated = np.unique(values, return_counts=True)
    arrangements = lgamma(len(values) + 1) - sum(lgamma(count + 1) for count in repeated)
    return arrangements >= log(2 / level)


def follows(label: KeyedLabel, values: Numbers, level: float, seed: int = 0) -> bool:
    """Return True if the values are correlated with the label at significance level ``level``.

    The statistic is the absolute correlation with the label's mean by key. ``seed`` determines the arrangements.
    """
    rng = np.random.default_rng(seed)
    weights = _weights(label)
    sums = weights * label.sums / label.counts
    observed = abs(_covariance(weights, sums, values[None, :])[0])
    if observed <= _ROUNDING:
        return False
    shuffle = _rotated if len(values) >= _MANY_KEYS else _shuffled
    needed = ceil(2 / level)
    done = as_close = 0
    while done < needed and as_close < _ENOUGH:
        found = np.abs(shuffle(weights, sums, values, rng))
        as_close += int((found >= observed * (1 - _ROUNDING)).sum())
        done += len(found)
    return (as_close + 1) / (done + 1) <= level


def _shuffled(
    weights: Numbers, sums: Numbers, values: Numbers, rng: np.random.Generator
) -> Numbers:
    """Return the scaled covariances of a batch of random arrangements of the values."""
    batch = rng.permuted(np.broadcast_to(values, (_BATCH, len(values))), axis=1)
    return _covariance(weights, sums, batch)


def _rotated(weights: Numbers, sums: Numbers, values: Numbers, rng: np.random.Generator) -> Numbers:
    """Return the scaled covariances of the values rotated by each number of places, after one shuffle of the keys.

    Rotations form a group, so a test over them is as valid as one over all arrangements. Fourier transforms compute all
    rotations at once: 20,000 keys take 10 ms instead of a minute.
    """
    order = rng.permutation(len(values))
    weights, sums, values = weights[order], sums[order], values[order]
    total = weights.sum()
    apart = sums - weights * (sums.sum() / total)
    centred = values - values.mean()
    one, squared = np.fft.rfft(centred), np.fft.rfft(centred**2)
    by_weight, by_sum = np.conj(np.fft.rfft(weights)), np.conj(np.fft.rfft(apart))
    products = (one * by_sum, squared * by_weight, one * by_weight)
    covariance, squares, means = (np.fft.irfft(each, len(values)) for each in products)
    # Leave out the first arrangement, which is not rotated.
    return _scaled(covariance[1:], squares[1:] - means[1:] ** 2 / total, total)


def ranks(values: Numbers) -> Numbers:
    """Return the ranks of values, with ties sharing their mean rank.

    Ranks are not affected by outliers or monotonic transforms.
    """
    _, inverse, repeated = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(repeated)
    return np.asarray((last - (repeated - 1) / 2)[inverse], dtype=np.float64)


def _weights(label: KeyedLabel) -> Numbers:
    """Return the inverse variance of each key's mean, or equal weights if a variance is zero.

    The variance of a mean is the variance between keys, plus the variance within keys divided by the key's row count.
    """
    rows, keys = label.counts.sum(), len(label.counts)
    within = label.squares - (label.sums**2 / label.counts).sum()
    between = (label.sums**2 / label.counts).sum() - label.sums.sum() ** 2 / rows
    of_rows = max(within, 0) / (rows - keys) if rows > keys else 0.0
    effective = rows - (label.counts**2).sum() / rows
    of_keys = max((between - (keys - 1) * of_rows) / effective, 0) if effective > 0 else 0.0
    variance = of_keys + of_rows / label.counts
    return np.asarray(1 / variance if variance.all() else np.ones(keys), dtype=np.float64)


def _covariance(weights: Numbers, sums: Numbers, values: Numbers) -> Numbers:
    """Return the covariance of ``sums`` with each row of ``values`` (one value per key), scaled as in `_scaled`."""
    total = weights.sum()
    apart = sums - weights * (sums.sum() / total)
    centred = values - values.mean(axis=1, keepdims=True)
    spread = centred**2 @ weights - (centred @ weights) ** 2 / total
    return _scaled(centred @ apart, spread, total)


def _scaled(covariance: Numbers, spread: Numbers, total: float) -> Numbers:
    """Return each covariance divided by the square root of the spread of the values; 0 if the values do not vary."""
    found = np.zeros(len(covariance))
    root = np.sqrt(np.maximum(spread, 0))
    np.divide(covariance, root, out=found, where=spread > _ROUNDING * total)
    return found
