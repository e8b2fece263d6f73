"""Measure the distribution of feature columns on the engine: by split, by month, and against the label.

There are three kinds of queries, in SQL that runs on DuckDB and BigQuery: first one for the ranges of all columns, then
one for the mean and standard deviation of the label, then several that count rows by split, month and bin. Bins have
equal width. The bins span the mean ± three standard deviations, limited to the minimum and maximum. Values outside are
counted in the first or last bin.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feature_mart.exporter import Window

Ask = Callable[[str], Sequence[tuple[Any, ...]]]
"""Runs a query on a training mart and returns the rows. In the text of the query, {table} stands for the mart."""

_BINS = 40
#: The maximum number of bins of a column of whole numbers. A column with a smaller range has one bin per number.
_WHOLE_BINS = 120
#: The range of the bins, in standard deviations from the mean. A normal distribution has 0.3% of the values outside.
_REACH = 3
#: The maximum absolute value. Greater values count as unknown, because the sum of their squares would overflow.
_MOST = 1e100
#: The number of columns in one query. Both engines plan a query of this size in well under a second.
_AT_ONCE = 16
#: The number of groups of rows for which the mean label is shown.
_GROUPS = 10


@dataclass(frozen=True, slots=True)
class Month:
    """One month (UTC) of a column: the numbers of rows and of unknown values, and the median of the known values.

    `number` is 12 × year + month − 1. `median` is computed from the bins, so it is exact to a bin's width; None if no
    value is known.
    """

    number: int
    rows: int
    unknown: int
    median: float | None


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of known values in each bin (`rows`), and the sum of these values (`sums`)."""

    rows: tuple[int, ...]
    sums: tuple[float, ...]

    @property
    def known(self) -> int:
        """Return the number of known values in all bins."""
        return sum(self.rows)


@dataclass(frozen=True, slots=True)
class Extent:
    """The bins of a column.

    `low` is the lower bound of the first bin, `width` the width of each bin, and `bins` their number, 0 for a column
    without known values. `is_exact` is True if each bin stands for one value (the first and last bin also count
    outliers), `is_whole` if all values are whole numbers. `least` and `greatest` are the minimum and maximum of the
    values.
    """

    low: float
    width: float
    bins: int
    least: float = 0.0
    greatest: float = 0.0
    is_exact: bool = False
    is_whole: bool = False

    @property
    def edges(self) -> tuple[float, ...]:
        """Return the bounds of the bins, one more than there are bins; empty if there are no bins."""
        count = self.bins + 1 if self.bins else 0
        return tuple(self.low + self.width * each for each in range(count))


@dataclass(frozen=True, slots=True)
class Profile:
    """The distribution of one column. `bins` and `unknown` (the number of rows without a known value) are by split.

    `label_groups` has tuples of mean value, mean label and number of rows in the first split: at most ten groups in
    order of the values, each with at least a tenth of the known rows except perhaps the last, or one group per
    non-empty bin of a categorical column. `label_mean` and `label_deviation` are the mean and standard deviation of the
    label over all rows that are not excluded.
    """

    column: str
    extent: Extent
    bins: Mapping[str, Counts]
    unknown: Mapping[str, int]
    months: tuple[Month, ...]
    label_groups: tuple[tuple[float, float, int], ...]
    label_mean: float
    label_deviation: float
    is_categorical: bool

    @property
    def edges(self) -> tuple[float, ...]:
        """Return the bounds of the bins, one more than there are bins; empty for a column without known values."""
        return self.extent.edges

    def rows(self, split: str) -> int:
        """Return the number of rows of a split, including rows without a known value."""
        return self.bins[split].known + self.unknown[split]

    def quantile(self, split: str, share: float) -> float | None:
        """Return a quantile (`share` from 0 to 1) of a split's known values; None if no value is known."""
        return _quantile(self.bins[split], self.extent, share)


def measure_profiles(
    ask: Ask,
    columns: Mapping[str, str],
    label: str,
    splits: Sequence[Window],
    categorical: Set[str] = frozenset(),
) -> Iterator[Profile]:
    """Yield the profile of each column of a training mart, in order, over the rows that are not excluded.

    Args:
        ask: runs a query on the training mart.
        columns: for each column, by name, a SQL expression of the column's value as a number.
        label: the column of the label.
        splits: the splits by time. Rows outside of the splits are not counted.
        categorical: the names of columns whose values are codes without an order.
    """
    extents, names = _extents(ask, columns), tuple(columns)
    ((mean, deviation),) = ask(
        f"select avg({finite(label)}), stddev_pop({finite(label)}) from {{table}} "
        "where exclusion_reason is null"
    )
    of_label = float(mean or 0), float(deviation or 0)
    for first in range(0, len(names), _AT_ONCE):
        some = names[first : first + _AT_ONCE]
        counted: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        parts = (
            _count_sql(number, columns[name], extents[name], label, splits)
            for number, name in enumerate(some)
        )
        for number, *row in ask("\nunion all\n".join(parts)):
            counted[int(number)].append(tuple(row))
        for number, name in enumerate(some):
            yield _profile(
                name, extents[name], counted[number], splits, of_label, name in categorical
            )


def finite(value: str) -> str:
    """Return SQL for a number that is NULL if it is infinite, NaN or too great to be summed.

    NaN becomes NULL, because a comparison with NaN is false.
    """
    return f"case when abs({value}) < {_MOST:e} then {value} end"


def _extents(ask: Ask, columns: Mapping[str, str]) -> dict[str, Extent]:
    measures = ", ".join(
        f"min({value}), max({value}), avg({value}), stddev_pop({value})"
        for value in columns.values()
    )
    (row,) = ask(f"select {measures} from {{table}} where exclusion_reason is null")
    found: dict[str, Extent] = {}
    for at, name in enumerate(columns):
        least, greatest, mean, deviation = row[4 * at : 4 * at + 4]
        if least is None:
            found[name] = Extent(0.0, 1.0, 0)
            continue
        is_whole, ends = isinstance(least, int), (float(least), float(greatest))
        if least == greatest:
            found[name] = Extent(
                float(least) - 0.5, 1.0, 1, *ends, is_exact=True, is_whole=is_whole
            )
            continue
        low = max(float(least), float(mean) - _REACH * float(deviation))
        high = min(float(greatest), float(mean) + _REACH * float(deviation))
        if is_whole:
            first, span = math.floor(low), math.ceil(high) - math.floor(low) + 1
            width = math.ceil(span / _WHOLE_BINS)
            bins = math.ceil(span / width)
            found[name] = Extent(first - 0.5, float(width), bins, *ends, width == 1, is_whole)
        else:
            found[name] = Extent(low, (high - low) / _BINS, _BINS, *ends)
    return found


def _count_sql(
    number: int, value: str, extent: Extent, label: str, splits: Sequence[Window]
) -> str:
    bucket = _bucket(value, extent) if extent.bins else "case when 1 = 0 then 0e0 end"
    kept = " ".join(_kept(at, split) for at, split in enumerate(splits))
    return (
        f"select {number} as feature, split, month, bucket, count(*) as row_count, "
        f"sum(value) as value_sum, sum(label) as label_sum from (select case {kept} end as split, "
        "extract(year from requested_at) * 12 + extract(month from requested_at) - 1 as month, "
        f"{bucket} as bucket, {value} as value, {finite(label)} as label from {{table}} "
        "where exclusion_reason is null) as counted where split is not null group by split, month, bucket"
    )


def _bucket(value: str, extent: Extent) -> str:
    # Write literals with an exponent, which are floats on both engines; 0.5 would be an exact decimal on DuckDB.
    low, high = extent.low + extent.width, extent.low + extent.width * (extent.bins - 1)
    return (
        f"case when {value} is null then null when {value} < {low:.17e} then 0e0 "
        f"when {value} >= {high:.17e} then {extent.bins - 1}e0 "
        f"else floor(({value} - {extent.low:.17e}) / {extent.width:.17e}) end"
    )


def _kept(number: int, split: Window) -> str:
    until = split.label_known_until
    known = "" if until is None else f" and label_known_at <= {_instant(until)}"
    return (
        f"when requested_at >= {_instant(split.start)} and requested_at < {_instant(split.end)}"
        f"{known} then {number}"
    )


def _instant(at: datetime) -> str:
    return f"timestamp '{at.isoformat()}'"


def _profile(
    name: str,
    extent: Extent,
    counted: Sequence[tuple[Any, ...]],
    splits: Sequence[Window],
    of_label: tuple[float, float],
    is_categorical: bool,
) -> Profile:
    by_split = {split.name: _Tally(extent.bins) for split in splits}
    by_month: dict[int, _Tally] = defaultdict(lambda: _Tally(extent.bins))
    labels = [0.0] * extent.bins
    for at, month, bucket, rows, value_sum, label_sum in counted:
        for tally in (by_split[splits[int(at)].name], by_month[int(month)]):
            tally.add(bucket, rows, value_sum)
        if int(at) == 0 and bucket is not None:
            labels[int(bucket)] += float(label_sum or 0)
    return Profile(
        name,
        extent,
        {split: tally.counts() for split, tally in by_split.items()},
        {split: tally.unknown for split, tally in by_split.items()},
        tuple(
            Month(
                number,
                sum(tally.rows) + tally.unknown,
                tally.unknown,
                _quantile(tally.counts(), extent, 0.5),
            )
            for number, tally in sorted(by_month.items())
        ),
        tuple(_label_groups(by_split[splits[0].name].counts(), labels, is_each=is_categorical)),
        *of_label,
        is_categorical,
    )


class _Tally:
    """The running counts of one split or month."""

    def __init__(self, bins: int) -> None:
        self.rows, self.sums, self.unknown = [0] * bins, [0.0] * bins, 0

    def add(self, bucket: float | None, rows: int, value_sum: float | None) -> None:
        if bucket is None or value_sum is None:
            self.unknown += rows
            return
        self.rows[int(bucket)] += rows
        self.sums[int(bucket)] += float(value_sum)

    def counts(self) -> Counts:
        return Counts(tuple(self.rows), tuple(self.sums))


def _label_groups(
    train: Counts, labels: Sequence[float], *, is_each: bool
) -> Iterator[tuple[float, float, int]]:
    """Yield the mean value, the mean label and the number of rows of groups of neighbouring bins.

    A group is complete when it has a tenth of the rows with a known value, or when no rows are left. If `is_each`, each
    non-empty bin is a group.
    """
    wanted = 0.0 if is_each else train.known / _GROUPS
    rows, values, total, left = 0, 0.0, 0.0, train.known
    for count, value_sum, label_sum in zip(train.rows, train.sums, labels, strict=True):
        rows, left = rows + count, left - count
        values, total = values + value_sum, total + label_sum
        if rows and (rows >= wanted or not left):
            yield values / rows, total / rows, rows
            rows, values, total = 0, 0.0, 0.0


def _quantile(counts: Counts, extent: Extent, share: float) -> float | None:
    """Return the quantile at `share`, computed from the bins; None if all bins are empty.

    The values of a bin are assumed to be uniform on the interval centred on their mean that ends at the nearer edge of
    the bin. If each bin stands for one value, the result is the mean of a bin. Whole numbers are rounded.
    """
    before = 0
    for place, (rows, value_sum) in enumerate(zip(counts.rows, counts.sums, strict=True)):
        if rows and before + rows >= share * counts.known:
            mean, low = value_sum / rows, extent.low + extent.width * place
            reach = 0.0 if extent.is_exact else max(0.0, min(mean - low, low + extent.width - mean))
            found = mean + reach * (2 * (share * counts.known - before) / rows - 1)
            found = min(max(found, extent.least), extent.greatest)
            return float(round(found)) if extent.is_whole else found
        before += rows
    return None
