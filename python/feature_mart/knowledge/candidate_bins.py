"""Find the candidate column that best separates the labels, and compute the mean label in each bin of the column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_mart.training import Snapshot

#: The maximum number of bins of a text column, and of quantile bins of a numeric column, without the bin of unknown
#: values. A numeric column with at most ``MOST_BINS + 2`` distinct values has one bin per value.
MOST_BINS = 8
UNKNOWN = "unknown"
OTHERS = "others"


def telling_column(
    snapshot: Snapshot, columns: Sequence[str], texts: Mapping[str, Sequence[str]]
) -> dict[str, Any] | None:
    """Return the column whose bins explain the largest share of the label's variance on train, with its bins.

    A numeric column of few distinct values has one bin per value. Other numeric columns have quantile bins, each
    named after its median. A text column has one bin for each of its most frequent values, and one for all others.
    Unknown values have a separate bin.

    Args:
        columns: the candidate's columns.
        texts: for each text column, the list of its values. ``snapshot`` has a value's index in the list instead of the
            text.

    Returns:
        A dict with ``column``, ``is_text`` and ``bins``, each bin with ``name``, ``rows`` and the label's ``mean``;
        None if no column has two bins.
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
    """Return the names and the row masks of the non-empty bins of a column. The bin of unknown values is last.

    ``texts`` are the values of a text column; None for a numeric column.
    """
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
    """Format a number with up to four significant digits; whole numbers below a million are written in full."""
    shown = float(value)
    return f"{shown:.0f}" if shown.is_integer() and abs(shown) < 1e6 else f"{shown:.4g}"
