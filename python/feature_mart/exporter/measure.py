"""Read all rows once: check and hash the values, count the rows by split, and write the rows to the staging file."""

import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from feature_mart.core.errors import TerminalError
from feature_mart.exporter.hashable_rows import (
    HashableRows,
    read_rows,
    row_hashes,
    unfit,
    unfit_values,
)
from feature_mart.exporter.layout import Layout
from feature_mart.exporter.source import Count, RowSource
from feature_mart.exporter.splits import Window
from feature_mart.exporter.staging import Slices, Staging
from feature_mart.snapshot_files.content import add_sums, content_hash, word_sums
from feature_mart.snapshot_files.row_hash import EPOCH, micros
from feature_mart.snapshot_files.usability import Shortcoming, SplitCounts, judge_snapshot

#: Maximum number of batches that wait to be processed.
_WAITING = 2


@dataclass(frozen=True, slots=True)
class _Sums:
    """The number of rows in a set, and the two sums of the row hashes (see `snapshot_files.content`)."""

    rows: int
    words: tuple[int, int]


_NONE = _Sums(0, (0, 0))


@dataclass(frozen=True, slots=True)
class Measure:
    """The measures of one split: number of rows kept, number of rows purged, and content hash of the rows kept."""

    rows: int
    purged: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class SnapshotMeasures:
    """The measures of all splits, and the shortcomings of the snapshot."""

    splits: tuple[Measure, ...]
    shortcomings: tuple[Shortcoming, ...]


class _Values:
    """The label range of each split, and the features that vary in train, collected batch by batch.

    Once a feature is found to vary, it is not checked again. Nearly all features vary within the first batches, so the
    check of later batches costs almost nothing.
    """

    def __init__(self, splits: int, features: int) -> None:
        self._low, self._high = [math.inf] * splits, [-math.inf] * splits
        self._others = [0] * splits
        self._first: npt.NDArray[np.uint32] | None = None
        self._constant = np.ones(features, np.bool_)

    def see(self, split: int, bits: npt.NDArray[np.uint32], mine: npt.NDArray[np.bool_]) -> None:
        """Add the rows of a batch that belong to a split. The mask `mine` selects these rows, at least one."""
        label = bits[0].view(np.float32)[mine]
        self._low[split] = min(self._low[split], float(label.min()))
        self._high[split] = max(self._high[split], float(label.max()))
        self._others[split] += int(np.count_nonzero((label != 0) & (label != 1)))
        if split == 0:
            if self._first is None:
                self._first = bits[1:, np.argmax(mine)].copy()
            for column in np.flatnonzero(self._constant).tolist():
                is_same = bits[column + 1][mine] == self._first[column]
                self._constant[column] = bool(is_same.all())

    def judge(
        self, layout: Layout, windows: Sequence[Window], counts: Sequence[Count]
    ) -> tuple[Shortcoming, ...]:
        """Return the shortcomings of a snapshot that consists of all rows added by `see`."""
        splits = [
            SplitCounts(
                window.name,
                count.rows,
                count.purged,
                low if count.rows else None,
                high if count.rows else None,
                others,
            )
            for window, count, low, high, others in zip(
                windows, counts, self._low, self._high, self._others, strict=True
            )
        ]
        features = len(self._constant)
        varying = features - int(np.count_nonzero(self._constant))
        return judge_snapshot(layout.label, layout.label_kind, features, varying, splits)


def measure_splits(
    source: RowSource,
    layout: Layout,
    windows: Sequence[Window],
    counts: Sequence[Count],
    slices: Slices,
    staging: Staging | None,
) -> SnapshotMeasures:
    """Read every kept row, write the rows to `staging` if given, and return the measures of all splits.

    Raises:
        TerminalError: a value is not a finite float32, or the number of rows differs from `counts`.
    """
    edges = np.array([micros(window.start) for window in windows[1:]], np.int64)
    found = [_NONE for _ in windows]
    values = _Values(len(windows), len(layout.features))
    waiting: deque[Future[dict[int, _Sums]]] = deque()

    def read(batch: pa.RecordBatch) -> dict[int, _Sums]:
        rows = read_rows(batch, layout.columns)
        if unfit(rows, layout.columns, batch).any():
            raise _unfit(layout, batch, rows)
        if staging is not None:
            staging.put(rows, slices.numbers(rows))
        hashes, splits = row_hashes(rows), np.searchsorted(edges, rows.requested_at, side="right")
        sums = {}
        for split in np.unique(splits).tolist():
            mine = splits == split
            values.see(split, rows.bits, mine)
            part = hashes[mine]
            sums[split] = _Sums(len(part), word_sums(part))
        return sums

    def collect() -> None:
        for split, sums in waiting.popleft().result().items():
            found[split] = _Sums(
                found[split].rows + sums.rows, add_sums(found[split].words, sums.words)
            )

    with ThreadPoolExecutor(1) as pool:
        try:
            for batch in source.batches(layout, windows):
                waiting.append(pool.submit(read, batch))
                if len(waiting) > _WAITING:
                    collect()
            while waiting:
                collect()
        finally:
            pool.shutdown(cancel_futures=True)
    for window, count, sums in zip(windows, counts, found, strict=True):
        if sums.rows != count.rows:
            raise TerminalError(
                f"{layout.model}: {sums.rows} rows were read for {window.name}, but {count.rows} were counted. Export "
                "again."
            )
    measures = tuple(
        Measure(count.rows, count.purged, content_hash(sums.words))
        for count, sums in zip(counts, found, strict=True)
    )
    return SnapshotMeasures(measures, values.judge(layout, windows, counts))


def _unfit(layout: Layout, batch: pa.RecordBatch, rows: HashableRows) -> TerminalError:
    columns = zip(layout.columns, rows.bits, strict=True)
    wrong = {name: unfit_values(bits, batch.column(name)) for name, bits in columns}
    name = next(name for name, marks in wrong.items() if marks.any())
    places = np.flatnonzero(wrong[name]).tolist()
    place = min(places, key=lambda at: (rows.requested_at[at], rows.job_id[at].as_py()))
    instant = EPOCH + timedelta(microseconds=int(rows.requested_at[place]))
    return TerminalError(
        f"{layout.model}.{name} is {batch.column(name)[place]} for job_id {rows.job_id[place]} at {instant}, which is "
        "not a finite float32. Correct the model; write NULL for an unknown value."
    )
