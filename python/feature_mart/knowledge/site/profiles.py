"""What a feature column holds, counted by the engine: by split, by month, and against the label.

Everything comes from two kinds of query that DuckDB and BigQuery understand alike: the extent of every column, and then
rows by split, month and bin. Bins are of equal width between the mean less and plus three standard deviations, or the
least and greatest value where those are nearer; what lies outside is in the first or the last bin.
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
"""Asks the engine for the rows of a query of one training mart, whose name stands there as {table}."""

_BINS = 40
#: Of whole numbers, each of a bin of its own where there are so few.
_WHOLE_BINS = 120
#: Deviations from the mean; of a normal distribution 0.3% lie outside.
_REACH = 3
#: Beyond it sums of squares end.
_MOST = 1e100
#: Columns in one query, which both engines plan in well under a second.
_AT_ONCE = 16
#: Groups of rows that the label's mean is shown of.
_GROUPS = 10


@dataclass(frozen=True, slots=True)
class Month:
    """Rows of one month (UTC), how many of them unknown, and the median of the known, None without any.

    `number` counts months: 12 × year + month − 1. The median is read off the bins: exact to a bin's width.
    """

    number: int
    rows: int
    unknown: int
    median: float | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Known values in bins: rows, and their sum, of each."""

    rows: tuple[int, ...]
    sums: tuple[float, ...]

    @property
    def known(self) -> int:
        """All rows of the bins."""
        return sum(self.rows)


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the bins begin, how wide one is, and how many there are: none for a column that is never known.

    `is_exact`: each bin is of one value. `is_whole`: all values are whole numbers, between `least` and `greatest`.
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
        """One more than the bins; empty without any."""
        count = self.bins + 1 if self.bins else 0
        return tuple(self.low + self.width * each for each in range(count))


@dataclass(frozen=True, slots=True)
class Profile:
    """One column. `bins` by split, `unknown` rows by split.

    `label_groups` are, over the first split in the column's order, about ten groups of equal size, of a categorical
    column the codes: (mean value, mean label, rows). `label_mean` and `label_deviation` are those of all labelled rows.
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
        """One more than the bins; empty for a column that is never known."""
        return self.extent.edges

    def rows(self, split: str) -> int:
        """Rows of a split, unknown ones too."""
        return self.bins[split].known + self.unknown[split]

    def quantile(self, split: str, share: float) -> float | None:
        """Of the known values of a split, read off the bins; None without any."""
        return _quantile(self.bins[split], self.extent, share)


def measure_profiles(
    ask: Ask,
    columns: Mapping[str, str],
    label: str,
    splits: Sequence[Window],
    categorical: Set[str] = frozenset(),
) -> Iterator[Profile]:
    """Profiles of these columns of a training mart, over rows without an exclusion, in order.

    `columns` are names and SQL expressions of numbers; those in `categorical` are codes without an order.
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
    """SQL of a number that is NULL where it is none, or none that can be drawn: NaN is less than nothing."""
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
    # Written with an exponent, a number is a double on both engines.
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
    """Rows of one split or month, while they are added up."""

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
    """Neighbouring bins together until each group has a tenth of the rows; `is_each`: every bin by itself."""
    wanted = 0.0 if is_each else train.known / _GROUPS
    rows, values, total, left = 0, 0.0, 0.0, train.known
    for count, value_sum, label_sum in zip(train.rows, train.sums, labels, strict=True):
        rows, left = rows + count, left - count
        values, total = values + value_sum, total + label_sum
        if rows and (rows >= wanted or not left):
            yield values / rows, total / rows, rows
            rows, values, total = 0, 0.0, 0.0


def _quantile(counts: Counts, extent: Extent, share: float) -> float | None:
    """Within a bin, values are taken to lie evenly about their mean, as far as its nearer edge on either side.

    So a bin that holds one value for the most part gives that value.
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
