"""Read the rows of a training table: the interface of a source, and its implementation for DuckDB.

A source is one training table at one moment. It counts rows and returns them in any order. Rounding, hashing, sorting
and writing are the same for every source. Another engine implements the interface in its own SQL and returns Arrow
batches, or reads its rows once into a local DuckDB file for `DuckDBSource`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from feature_mart.core.duckdb_files import attach, connect, quoted
from feature_mart.core.errors import TerminalError
from feature_mart.exporter.layout import EXCLUSION, Layout
from feature_mart.exporter.splits import Window
from feature_mart.exporter.staging import Key

_BATCH_ROWS = 61_440
#: Microseconds in a day and in a quarter of an hour.
_DAY = 86_400_000_000
_QUARTER = 900_000_000
#: 31 December 1972, in microseconds since 1970. From this day on, the UTC offset of every zone is a multiple of 15
#: minutes. The last zone with another offset, 44.5 minutes, was Liberia's until January 1972.
_QUARTERS_SINCE = 3 * 365 * _DAY


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """Name and version of the engine that reads the rows."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Survey:
    """Row counts of the whole table: all rows, rows by exclusion reason, and (business day, labelled rows) by day."""

    rows: int
    excluded: dict[str, int]
    days: tuple[tuple[date, int], ...]


@dataclass(frozen=True, slots=True)
class Count:
    """The row counts of one split: number of rows kept, and number of rows purged."""

    rows: int
    purged: int


class RowSource(Protocol):
    """The interface to one consumer's training table. Every method sees the same rows."""

    @property
    def engine(self) -> EngineVersion:
        """Return name and version of the engine, for the manifest."""
        ...

    def check_contract(self, layout: Layout) -> None:
        """Raise TerminalError unless the table has the columns and types of the contract."""
        ...

    def survey(self, layout: Layout, zone: ZoneInfo) -> Survey:
        """Count all rows, excluded rows by reason, and labelled rows by business day."""
        ...

    def count(self, layout: Layout, windows: Sequence[Window]) -> tuple[Count, ...]:
        """Count the rows of each split. Raises: TerminalError if a labelled row has no label or a NULL key."""
        ...

    def slice_starts(
        self, layout: Layout, windows: Sequence[Window], offsets: Sequence[Sequence[int]]
    ) -> tuple[tuple[Key, ...], ...]:
        """Sort the kept rows of each split by key, and return the keys at the split's ascending `offsets`."""
        ...

    def batches(self, layout: Layout, windows: Sequence[Window]) -> Iterator[pa.RecordBatch]:
        """Yield each kept row once, in any order, with the keys and the columns under their names.

        The columns are float64, not rounded, and NULL only where the table has NULL. Timestamps are UTC, in
        microseconds.
        """
        ...


class DuckDBSource:
    """A source that reads a DuckDB file, attached read-only to an in-memory database that sorts and spills to disk."""

    def __init__(
        self,
        mart_path: Path,
        scratch: Path | None = None,
        *,
        memory_limit: str = "256MB",
        threads: int | None = None,
    ) -> None:
        """Open the mart. Raises: TerminalError if the file does not exist or cannot be read."""
        if not mart_path.is_file():
            raise TerminalError(f"There is no mart at {mart_path}; run `mart build` first.")
        self._con = connect(memory_limit=memory_limit)
        try:
            if scratch is not None:
                self._con.execute(f"set temp_directory = {quoted(scratch)}")
            if threads is not None:
                self._con.execute(f"set threads = {threads}")
            attach(self._con, mart_path, "mart")
        except duckdb.Error as error:
            self._con.close()
            raise TerminalError(
                f"{mart_path} cannot be read: {error}. Run `mart build` again."
            ) from error

    def close(self) -> None:
        """Close the connection and the file."""
        self._con.close()

    @property
    def engine(self) -> EngineVersion:
        """Return the name and the version of DuckDB."""
        return EngineVersion("duckdb", duckdb.__version__)

    def check_contract(self, layout: Layout) -> None:
        """Check that the table exists and matches its dbt contract, with valid key types and numeric columns.

        Raises:
            TerminalError: a check failed; the message describes the first fault.
        """
        found = self._rows(
            "select column_name, data_type from duckdb_columns() where database_name = 'mart' "
            f"and schema_name = 'main' and table_name = {quoted(layout.model)} order by column_index"
        )
        if not found:
            raise TerminalError(f"The mart has no table {layout.model}; run `mart build` first.")
        declared = [(name, self._type(layout, name, kind)) for name, kind in layout.declared]
        if found != declared:
            have, want = dict(found), dict(declared)
            wrong = [name for name in {**want, **have} if have.get(name) != want.get(name)]
            what = (
                f"{wrong[0]} is {have.get(wrong[0], 'missing')} in the table and {want.get(wrong[0], 'missing')} in "
                "the contract"
                if wrong
                else "the columns have another order"
            )
            raise TerminalError(
                f"{layout.model} differs from its contract: {what}. Run `mart build` again."
            )
        for name, kind in _KEY_TYPES.items():
            if dict(found)[name] != kind:
                raise TerminalError(
                    f"{layout.model}.{name} is {dict(found)[name]}, but must be {kind}: correct the model, then run "
                    "`mart build`."
                )
        for name in layout.columns:
            kind = dict(found)[name]
            if kind.split("(")[0] not in _NUMERIC:
                raise TerminalError(
                    f"{layout.model}.{name} is {kind}; the columns of a snapshot must be numbers. Convert the column "
                    "to a number, or set a role."
                )

    def survey(self, layout: Layout, zone: ZoneInfo) -> Survey:
        """Count in two scans of at most two columns. Raises: TerminalError if a labelled row lacks `requested_at`."""
        ((first,),) = self._rows(f"select min(epoch_us(requested_at)) from {_table(layout)}")
        # Computing the business day costs more than the scan, so compute the business day once per quarter of an hour.
        # From `_QUARTERS_SINCE` on, every zone's offset from UTC is a multiple of 15 minutes.
        unit = 1 if first is None or first < _QUARTERS_SINCE else _QUARTER
        rows = self._rows(
            f"select {EXCLUSION}, (make_timestamptz(unit * {unit}) at time zone {quoted(zone.key)})::date as day, "
            f"sum(unit_rows)::bigint from (select {EXCLUSION}, case when {EXCLUSION} is null then "
            f"epoch_us(requested_at) // {unit} end as unit, count(*) as unit_rows from {_table(layout)} group by all) "
            "group by all order by all"
        )
        excluded = {reason: count for reason, _, count in rows if reason is not None}
        days = tuple((day, count) for reason, day, count in rows if reason is None)
        if any(day is None for day, _ in days):
            raise TerminalError(
                f"{layout.model}: a labelled row has no requested_at. Correct the model, or exclude the row."
            )
        return Survey(sum(count for _, _, count in rows), excluded, days)

    def count(self, layout: Layout, windows: Sequence[Window]) -> tuple[Count, ...]:
        """Count in two scans, the first for missing labels and keys, the second for the rows of each split."""
        needed = ("job_id", "label_known_at", layout.label)
        missing = ", ".join(f'count(*) - count("{name}")' for name in needed)
        ((*counts,),) = self._rows(
            f"select {missing} from {_table(layout)} where {EXCLUSION} is null"
        )
        for name, count in zip(needed, counts, strict=True):
            if count:
                raise self._missing(layout, name, count)
        rows = self._rows(
            f"select {split_number(windows)} as split, count(*), count(*) filter (where {stays_in_split(windows)}) "
            f"from {_table(layout)} where {EXCLUSION} is null group by split"
        )
        found = {split: Count(kept, every - kept) for split, every, kept in rows}
        return tuple(found.get(split, Count(0, 0)) for split in range(len(windows)))

    def slice_starts(
        self, layout: Layout, windows: Sequence[Window], offsets: Sequence[Sequence[int]]
    ) -> tuple[tuple[Key, ...], ...]:
        """Find the day of each offset from row counts per day, then sort only the rows of these days."""
        if not any(offsets):
            return tuple(() for _ in offsets)
        day = f"epoch_us(requested_at) // {_DAY}"
        days = self._rows(
            f"select {split_number(windows)} as split, {day} as day, count(*) from {_table(layout)} "
            f"where {_in(windows)} group by split, day order by split, day"
        )
        wanted = []
        for split, every in enumerate(offsets):
            counts = [(each, rows) for number, each, rows in days if number == split]
            before, position = 0, 0
            for offset in every:
                while before + counts[position][1] <= offset:
                    before += counts[position][1]
                    position += 1
                wanted.append((split, counts[position][0], offset - before + 1))
        chosen = ", ".join(str(each) for each in sorted({day for _, day, _ in wanted}))
        found = self._rows(
            f"select split, epoch_us(requested_at), job_id from (select requested_at, job_id, "
            f"{split_number(windows)} as split, {day} as day, row_number() over "
            "(partition by split, day order by requested_at, job_id) as place "
            f"from {_table(layout)} where {_in(windows)} and {day} in ({chosen})) "
            f"where (split, day, place) in ({', '.join(map(str, wanted))}) "
            "order by split, requested_at, job_id"
        )
        return tuple(
            tuple((int(instant), str(job_id)) for each, instant, job_id in found if each == split)
            for split in range(len(windows))
        )

    def batches(self, layout: Layout, windows: Sequence[Window]) -> Iterator[pa.RecordBatch]:
        """Yield the kept rows from one scan of the table."""
        # Each thread holds one or two blocks of every column. More memory would only cache the file.
        ((threads,),) = self._rows("select current_setting('threads')")
        self._con.execute(f"set memory_limit = '{192 + len(layout.columns) * threads}MB'")
        values = ", ".join(f'cast("{name}" as double) as "{name}"' for name in layout.columns)
        try:
            yield from self._con.sql(
                f"select job_id, requested_at, label_known_at, {values} from {_table(layout)} "
                f"where {_in(windows)}"
            ).to_arrow_reader(_BATCH_ROWS)
        except (pa.ArrowException, OSError) as error:
            raise TerminalError(f"Reading {layout.model} failed: {error}") from error

    def _type(self, layout: Layout, name: str, declared: str) -> str:
        try:
            ((kind,),) = self._rows(f"select typeof(cast(null as {declared}))")
        except duckdb.Error:
            raise TerminalError(
                f"{layout.model}.{name}: DuckDB has no type {declared!r}. Correct data_type in the YAML."
            ) from None
        return str(kind)

    def _missing(self, layout: Layout, name: str, count: int) -> TerminalError:
        ((key,),) = self._rows(
            f"select coalesce(job_id, 'NULL') from {_table(layout)} where {EXCLUSION} is null and "
            f'"{name}" is null '
            "order by requested_at, job_id limit 1"
        )
        return TerminalError(
            f"{layout.model}.{name} is NULL in {count} rows without {EXCLUSION}, for example job_id {key}: set a "
            "value or an exclusion reason."
        )

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._con.execute(query).fetchall()


@contextmanager
def open_duckdb(mart_path: Path, scratch: Path | None = None) -> Iterator[DuckDBSource]:
    """Yield a DuckDBSource, and close the source at the end. Errors of DuckDB are raised as TerminalError."""
    source = DuckDBSource(mart_path, scratch)
    try:
        yield source
    except duckdb.IOException as error:
        said = str(error).replace("\\", "")[:400]
        raise TerminalError(
            f"Reading {mart_path} or writing parts below {scratch} failed: {said}. Nothing was committed. Make room "
            "or correct the cause, then export again."
        ) from error
    except duckdb.Error as error:
        raise TerminalError(
            f"Exporting from {mart_path} failed: {error}. Nothing was committed."
        ) from error
    finally:
        source.close()


_KEY_TYPES = {
    "job_id": "VARCHAR",
    "requested_at": "TIMESTAMP WITH TIME ZONE",
    "label_known_at": "TIMESTAMP WITH TIME ZONE",
    EXCLUSION: "VARCHAR",
}
_NUMERIC = frozenset(
    {
        *("BOOLEAN", "FLOAT", "DOUBLE", "DECIMAL"),
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    }
)


def _table(layout: Layout) -> str:
    return f'mart.main."{layout.model}"'


def _instant(instant: datetime) -> str:
    return f"timestamptz '{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"


def split_number(windows: Sequence[Window]) -> str:
    """Return a SQL expression for the number of a labelled row's split, from 0.

    No row gets the number of a split with an empty window: the next split starts at the same time or, if the empty
    window is the last one, every labelled row is earlier than the window.
    """
    earlier = " ".join(
        f"when requested_at < {_instant(window.start)} then {number}"
        for number, window in enumerate(windows[1:])
    )
    return f"case {earlier} else {len(windows) - 1} end"


def stays_in_split(windows: Sequence[Window]) -> str:
    """Return a SQL condition that is true if a labelled row is kept, and false if the row is purged."""
    untils = (window.label_known_until for window in windows)
    each = " ".join(
        f"when {number} then {'true' if until is None else f'label_known_at <= {_instant(until)}'}"
        for number, until in enumerate(untils)
    )
    return f"case {split_number(windows)} {each} end"


def _in(windows: Sequence[Window]) -> str:
    return (
        f"{EXCLUSION} is null and requested_at >= {_instant(windows[0].start)} "
        f"and requested_at < {_instant(windows[-1].end)} and {stays_in_split(windows)}"
    )
