"""Write the data file and the key file of a part, with the rows sorted by key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_mart.core.duckdb_files import connect, copy_to, quoted
from feature_mart.core.errors import TerminalError
from feature_mart.exporter.hashable_rows import HashableRows
from feature_mart.exporter.layout import Layout
from feature_mart.exporter.staging import Numbers, Room
from feature_mart.snapshot_files import KEY_COLUMNS
from feature_mart.snapshot_files.row_hash import NULL_BITS

COPY_OPTIONS = {
    "parquet": "format parquet, compression zstd, row_group_size 122880",
    # No header and an empty field for NULL: XGBoost reads the columns of a CSV file by position, and reads an empty
    # field as a missing value.
    "csv": "format csv, header false, nullstr ''",
}
_INSTANT = pa.timestamp("us", "UTC")


class PartWriter:
    """A writer of parts with its own DuckDB instance; several threads may write at the same time.

    DuckDB uses one thread for each part. More threads would copy the rows of a part once more, and two parts at a time
    already keep two cores busy.
    """

    def __init__(self, scratch: Path, *, memory_limit: str = "2GB") -> None:
        self._con = connect(memory_limit=memory_limit, threads=1)
        self._con.execute(f"set temp_directory = {quoted(scratch)}")

    def close(self) -> None:
        """Close the DuckDB connection."""
        self._con.close()

    def write(self, layout: Layout, rows: HashableRows, data: Path, keys: Path, room: Room) -> int:
        """Write the data and the key file of a part, sorted by key, and return the number of rows that DuckDB wrote.

        The caller may reuse `room` afterwards.

        Raises:
            TerminalError: two rows have the same key, so the order of the rows would be undefined, or the two files
                have different numbers of rows.
        """
        order = order_by_key(rows, layout.model)
        chosen = pa.array(order)
        instants = (
            pa.array(each[order], _INSTANT) for each in (rows.requested_at, rows.label_known_at)
        )
        bits = room.take("sorted bits", rows.bits.shape, np.uint32)
        for given, sorted_ in zip(rows.bits, bits, strict=True):
            np.take(given, order, out=sorted_, mode="clip")
        names, key_names = list(layout.columns), list(KEY_COLUMNS)
        count = self._copy(
            pa.table([_floats(each) for each in bits], names), data, layout.file_format
        )
        key_count = self._copy(
            pa.table([rows.job_id.take(chosen), *instants], key_names), keys, "parquet"
        )
        if count != key_count:
            raise TerminalError(
                f"{layout.model}: {count} rows were written to {data.name}, but {key_count} to {keys.name}; export "
                "again."
            )
        return count

    def _copy(self, table: pa.Table, path: Path, kind: str) -> int:
        # The table has one chunk, because chunk boundaries would change the row groups.
        with self._con.cursor() as con:
            con.register("part", table)
            return copy_to(con, "from part", path, COPY_OPTIONS[kind])


@contextmanager
def open_writer(scratch: Path) -> Iterator[PartWriter]:
    """Yield a PartWriter, and close the writer at the end."""
    writer = PartWriter(scratch)
    try:
        yield writer
    finally:
        writer.close()


def order_by_key(rows: HashableRows, model: str) -> Numbers:
    """Return the indices that sort the rows by `requested_at`, then by the bytes of `job_id`.

    Raises:
        TerminalError: two rows have the same key.
    """
    order = np.argsort(rows.requested_at)
    instants = rows.requested_at[order]
    same = instants[1:] == instants[:-1]
    if not same.any():
        return order
    tied = np.zeros(len(rows), np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    places = np.flatnonzero(tied)
    chosen = order[places]
    keys = pa.table(
        [pa.array(rows.requested_at[chosen]), rows.job_id.take(pa.array(chosen))], ["at", "id"]
    )
    sorting = pc.sort_indices(keys, [("at", "ascending"), ("id", "ascending")])
    order[places] = chosen[sorting.to_numpy()]
    keys = keys.take(sorting).combine_chunks()
    ids = keys.column("id").combine_chunks()
    twice = pc.and_(
        pa.array(np.diff(keys.column("at").to_numpy()) == 0), pc.equal(ids[1:], ids[:-1])
    ).to_numpy(zero_copy_only=False)
    if twice.any():
        place = int(np.argmax(twice))
        at = keys.column("at")[place].cast(_INSTANT)
        raise TerminalError(
            f"{model} has job_id {ids[place]} at {at} more than once. Correct the model: the key of a snapshot is "
            "unique."
        )
    return order


def _floats(bits: npt.NDArray[np.uint32]) -> pa.FloatArray:
    known = bits != NULL_BITS
    marks = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(pa.float32(), len(bits), [marks, pa.py_buffer(bits)])
