"""One reading of all rows: checked, hashed, counted by split, and put down by part."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from feature_mart.errors import TerminalError
from feature_mart.exporter.content import add_sums, content_hash, word_sums
from feature_mart.exporter.layout import Layout
from feature_mart.exporter.row_hash import (
    EPOCH,
    Rows,
    micros,
    read_rows,
    row_hashes,
    unfit,
    unfit_values,
)
from feature_mart.exporter.source import Count, RowSource
from feature_mart.exporter.splits import Window
from feature_mart.exporter.staging import Slices, Staging

#: Batches that were fetched and are not done with.
_WAITING = 2


@dataclass(frozen=True, slots=True)
class _Sums:
    """Of some rows: how many, and the two sums of their hashes."""

    rows: int
    words: tuple[int, int]


_NONE = _Sums(0, (0, 0))


@dataclass(frozen=True, slots=True)
class Measure:
    """One split: rows that stay, rows purged, and the content hash of those that stay."""

    rows: int
    purged: int
    content_hash: str


def measure_splits(
    source: RowSource,
    layout: Layout,
    windows: Sequence[Window],
    counts: Sequence[Count],
    slices: Slices,
    staging: Staging | None,
) -> tuple[Measure, ...]:
    """Read every row that stays; None of `staging` puts nothing down.

    Raises:
        TerminalError: a value that no float32 holds, or other rows than were counted.
    """
    edges = np.array([micros(window.start) for window in windows[1:]], np.int64)
    found = [_NONE for _ in windows]
    waiting: deque[Future[dict[int, _Sums]]] = deque()

    def read(batch: pa.RecordBatch) -> dict[int, _Sums]:
        rows = read_rows(batch, layout.columns)
        if unfit(rows, layout.columns, batch).any():
            raise _unfit(layout, batch, rows)
        if staging is not None:
            staging.put(rows, slices.numbers(rows))
        hashes, splits = row_hashes(rows), np.searchsorted(edges, rows.requested_at, side="right")
        parts = {split: hashes[splits == split] for split in np.unique(splits).tolist()}
        return {split: _Sums(len(part), word_sums(part)) for split, part in parts.items()}

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
                f"{layout.model}: {sums.rows} rows were read for {window.name}, {count.rows} were counted."
            )
    return tuple(
        Measure(count.rows, count.purged, content_hash(sums.words))
        for count, sums in zip(counts, found, strict=True)
    )


def _unfit(layout: Layout, batch: pa.RecordBatch, rows: Rows) -> TerminalError:
    columns = zip(layout.columns, rows.bits, strict=True)
    wrong = {name: unfit_values(bits, batch.column(name)) for name, bits in columns}
    name = next(name for name, marks in wrong.items() if marks.any())
    places = np.flatnonzero(wrong[name]).tolist()
    place = min(places, key=lambda at: (rows.requested_at[at], rows.job_id[at].as_py()))
    instant = EPOCH + timedelta(microseconds=int(rows.requested_at[place]))
    return TerminalError(
        f"{layout.model}.{name} is {batch.column(name)[place]} for job_id {rows.job_id[place]} at {instant}: no finite "
        "float32. Correct the model; an unknown is NULL."
    )
