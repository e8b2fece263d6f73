"""Which of a candidate's columns tells labels apart best, and how the label goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_mart.training import Snapshot

#: Bins of a number of many values; few values, or the most frequent texts, have a bin each, up to two more.
MOST_BINS = 8
UNKNOWN = "unknown"
OTHERS = "others"


def telling_column(
    snapshot: Snapshot, columns: Sequence[str], texts: Mapping[str, Sequence[str]]
) -> dict[str, Any] | None:
    """The column whose bins' means hold most of the label's variance on train, with its bins.

    A column of few values has a bin a value; another number has bins of about as many rows, each named after the
    middle one of its values; of many texts the most frequent have a bin each. None where no column has two bins.

    Returns:
        ``column``, ``is_text`` and ``bins``, each with ``name``, ``rows`` and the label's ``mean``.
    """
    train = snapshot.splits["train"]
    label = train.label.astype(np.float64)
    best: tuple[float, dict[str, Any]] | None = None
    for column in columns:
        values = train.features[:, snapshot.columns.index(column)]
        names, members = _bins(values, texts.get(column))
        if len(names) < 2:
            continue
        counts = [int(rows.sum()) for rows in members]
        means = [float(label[rows].mean()) for rows in members]
        spread = sum(
            count * (mean - float(label.mean())) ** 2
            for count, mean in zip(counts, means, strict=True)
        )
        if best is None or spread > best[0]:
            bins = [
                {"name": name, "rows": count, "mean": round(mean, 6)}
                for name, count, mean in zip(names, counts, means, strict=True)
            ]
            best = spread, {"column": column, "is_text": column in texts, "bins": bins}
    return best[1] if best else None


def _bins(
    values: NDArray[np.float32], texts: Sequence[str] | None
) -> tuple[list[str], list[NDArray[np.bool_]]]:
    """Names of bins, none of them empty, and which rows each has; unknown last."""
    is_known = ~np.isnan(values)
    distinct, counts = np.unique(values[is_known], return_counts=True)
    names: list[str] = []
    members: list[NDArray[np.bool_]] = []
    if texts is not None:
        by_count = distinct[np.argsort(-counts, kind="stable")]
        most = by_count if len(by_count) <= MOST_BINS else by_count[: MOST_BINS - 1]
        names = [texts[int(value)] or "(empty)" for value in most]
        members = [values == value for value in most]
        if len(most) < len(distinct):
            names.append(OTHERS)
            members.append(is_known & ~np.isin(values, most))
    elif len(distinct) <= MOST_BINS + 2:
        names = [_number(value) for value in distinct]
        members = [values == value for value in distinct]
    else:
        inner = np.unique(
            np.quantile(values[is_known], np.linspace(0, 1, MOST_BINS + 1)[1:-1], method="lower")
        )
        places = np.searchsorted(inner, values, side="right")
        for place in range(len(inner) + 1):
            rows = is_known & (places == place)
            if rows.any():
                names.append(_number(np.quantile(values[rows], 0.5, method="lower")))
                members.append(rows)
    if not is_known.all():
        names.append(UNKNOWN)
        members.append(~is_known)
    return names, members


def _number(value: float) -> str:
    """Four digits at most, and no exponent for a whole number below a million."""
    shown = float(value)
    return f"{shown:.0f}" if shown.is_integer() and abs(shown) < 1e6 else f"{shown:.4g}"
