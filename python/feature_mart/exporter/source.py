"""Where rows come from: the seam, and DuckDB behind it.

A source is one training table seen at one moment. Another engine fits either by answering the same
questions in its own SQL, or by reading its rows once into a local DuckDB file and handing that to
`DuckDBSource`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import duckdb

from feature_mart.errors import TerminalError
from feature_mart.exporter.content import content_hash, float32_sql, row_hash_sql, word_sums_sql
from feature_mart.exporter.layout import EXCLUSION, Layout
from feature_mart.exporter.splits import Window
from feature_mart.snapshot_files import KEY_COLUMNS

FLOAT32_MAX = 3.4028234663852886e38
COPY_OPTIONS = {
    "parquet": "format parquet, compression zstd, row_group_size 122880",
    # Read by position, and an empty field as a missing value: what XGBoost makes of CSV.
    "csv": "format csv, header false, nullstr ''",
}


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine the rows were read with."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Survey:
    """The whole table: rows, rows by exclusion reason, and (business day, labelled rows) in order."""

    rows: int
    excluded: dict[str, int]
    days: tuple[tuple[date, int], ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """One split: rows that stay, rows purged, and the content hash of those that stay."""

    rows: int
    purged: int
    content_hash: str


Key = tuple[int, str]
"""(requested_at in microseconds since 1970, job_id): the order of a snapshot's rows."""


class RowSource(Protocol):
    """One consumer's training table. Every method sees the same rows."""

    @property
    def engine(self) -> Engine:
        """Name and version, for the manifest."""
        ...

    def check_contract(self, layout: Layout) -> None:
        """Raise TerminalError unless the table's columns and types are the declared ones."""
        ...

    def survey(self, layout: Layout, zone: ZoneInfo) -> Survey:
        """Count rows, exclusions and labelled rows per business day."""
        ...

    def measure(self, layout: Layout, windows: Sequence[Window]) -> tuple[Measure, ...]:
        """Count and hash each split; raise TerminalError on a value that cannot be exported."""
        ...

    def slice_starts(
        self, layout: Layout, window: Window, offsets: Sequence[int]
    ) -> tuple[Key, ...]:
        """The keys at these row offsets of a split, offsets ascending."""
        ...

    def write_part(
        self,
        layout: Layout,
        window: Window,
        bounds: tuple[Key | None, Key | None],
        data: Path,
        keys: Path,
    ) -> int:
        """Write the rows from the first key up to before the second, sorted; returns how many."""
        ...


class DuckDBSource:
    """A DuckDB file, opened read-only; sorts and spills in an in-memory database of its own."""

    def __init__(
        self,
        mart_path: Path,
        scratch: Path | None = None,
        *,
        memory_limit: str = "2GB",
        threads: int | None = None,
    ) -> None:
        """Open the mart. Raises: TerminalError when it is not there or cannot be read."""
        if not mart_path.is_file():
            raise TerminalError(f"There is no mart at {mart_path}; run `mart build` first.")
        self._con = duckdb.connect(config={"memory_limit": memory_limit})
        try:
            # Not at connect: there it would ask for an extension.
            self._con.execute("set TimeZone = 'UTC'")
            if scratch is not None:
                self._con.execute(f"set temp_directory = {_text(str(scratch))}")
            if threads is not None:
                self._con.execute(f"set threads = {threads}")
            self._con.execute(f"attach {_text(str(mart_path))} as mart (read_only)")
        except duckdb.Error as error:
            self._con.close()
            raise TerminalError(
                f"{mart_path} cannot be read: {error}. Run `mart build` again."
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._con.close()

    @property
    def engine(self) -> Engine:
        """duckdb and its version."""
        return Engine("duckdb", duckdb.__version__)

    def check_contract(self, layout: Layout) -> None:
        """Compare the table with the contract. Raises: TerminalError naming the first difference."""
        found = self._rows(
            "select column_name, data_type from duckdb_columns() where database_name = 'mart' "
            f"and schema_name = 'main' and table_name = {_text(layout.model)} order by column_index"
        )
        if not found:
            raise TerminalError(f"The mart has no table {layout.model}; run `mart build` first.")
        declared = [(name, self._type(layout, name, kind)) for name, kind in layout.declared]
        if found != declared:
            have, want = dict(found), dict(declared)
            wrong = [name for name in {**want, **have} if have.get(name) != want.get(name)]
            what = (
                f"{wrong[0]} is {have.get(wrong[0], 'not in the table')}, declared "
                f"{want.get(wrong[0], 'nowhere')}"
                if wrong
                else "the columns come in another order"
            )
            raise TerminalError(
                f"{layout.model} is not what its contract says: {what}. Run `mart build` again."
            )
        for name, kind in _KEY_TYPES.items():
            if dict(found)[name] != kind:
                raise TerminalError(
                    f"{layout.model}.{name} is {dict(found)[name]}; a snapshot needs {kind}."
                )
        for name in layout.columns:
            kind = dict(found)[name]
            if kind.split("(")[0] not in _NUMERIC:
                raise TerminalError(
                    f"{layout.model}.{name} is {kind}; a snapshot holds numbers only. Make it a "
                    "number, or give it a role."
                )

    def survey(self, layout: Layout, zone: ZoneInfo) -> Survey:
        """One scan of three columns. Raises: TerminalError when a labelled row lacks a key."""
        rows = self._rows(
            f"select {EXCLUSION}, case when {EXCLUSION} is null then "
            f"(requested_at at time zone {_text(zone.key)})::date end as day, count(*) "
            f"from {_table(layout)} group by all order by all"
        )
        excluded = {reason: count for reason, _, count in rows if reason is not None}
        for reason in excluded:
            excluded[reason] = sum(count for each, _, count in rows if each == reason)
        days = tuple((day, count) for reason, day, count in rows if reason is None)
        if any(day is None for day, _ in days):
            raise TerminalError(f"{layout.model}: a labelled row has no requested_at.")
        return Survey(sum(count for _, _, count in rows), excluded, days)

    def measure(self, layout: Layout, windows: Sequence[Window]) -> tuple[Measure, ...]:
        """One scan of the keys, then one of each split: counts, extremes and the content hash."""
        needed = ("job_id", "label_known_at", layout.label)
        missing = ", ".join(f'count(*) filter (where "{name}" is null)' for name in needed)
        inside = ", ".join(f"count(*) filter (where {_within(window)})" for window in windows)
        ((*counts,),) = self._rows(
            f"select {missing}, {inside} from {_table(layout)} where {EXCLUSION} is null"
        )
        for name in needed:
            if count := counts.pop(0):
                raise self._missing(layout, name, count)
        extremes = ", ".join(f'min("{name}"), max("{name}")' for name in layout.columns)
        measures = []
        for window, total in zip(windows, counts, strict=True):
            ((rows, *row),) = self._rows(
                f"select count(*), {word_sums_sql('row_hash')}, {extremes} from ("
                f"select *, {row_hash_sql(layout.columns)} as row_hash "
                f"from {_table(layout)} where {_in(window)})"
            )
            for name, low, high in zip(layout.columns, row[2::2], row[3::2], strict=True):
                # NaN is the greatest of all, and compares false.
                if low is not None and not (low >= -FLOAT32_MAX and high <= FLOAT32_MAX):
                    raise self._unfit(layout, window, name)
            measures.append(Measure(rows, total - rows, content_hash(row[:2])))
        return tuple(measures)

    def slice_starts(
        self, layout: Layout, window: Window, offsets: Sequence[int]
    ) -> tuple[Key, ...]:
        """Find the instants first, by counts, then sort only the rows of each offset's own day."""
        if not offsets:
            return ()
        days = self._rows(
            f"select epoch_us(requested_at) // 86400000000 as day, count(*) from {_table(layout)} "
            f"where {_in(window)} group by day order by day"
        )
        starts, before, position = [], 0, 0
        for offset in offsets:
            while before + days[position][1] <= offset:
                before += days[position][1]
                position += 1
            ((instant, job_id),) = self._rows(
                f"select epoch_us(requested_at), job_id from {_table(layout)} where {_in(window)} "
                f"and epoch_us(requested_at) // 86400000000 = {days[position][0]} "
                f"order by requested_at, job_id limit 1 offset {offset - before}"
            )
            starts.append((int(instant), str(job_id)))
        return tuple(starts)

    def write_part(
        self,
        layout: Layout,
        window: Window,
        bounds: tuple[Key | None, Key | None],
        data: Path,
        keys: Path,
    ) -> int:
        """Sort the slice once into memory, then copy its two halves, so that they cannot fall out of step.

        Raises:
            TerminalError: two rows of one key, whose order nothing would decide.
        """
        values = ", ".join(f'{float32_sql(name)} as "{name}"' for name in layout.columns)
        low, high = bounds
        where = _in(window)
        where += f" and {_from(low)}" if low is not None else ""
        where += f" and not ({_from(high)})" if high is not None else ""
        self._con.execute(
            "create or replace temp table part as select job_id, requested_at, label_known_at, "
            f"{values} from {_table(layout)} where {where} order by requested_at, job_id"
        )
        twice = self._rows(
            "select job_id, requested_at::varchar from part group by job_id, requested_at having "
            "count(*) > 1 limit 1"
        )
        if twice:
            raise TerminalError(
                f"{layout.model} has job_id {twice[0][0]} at {twice[0][1]} more than once; a "
                "snapshot's key is unique."
            )
        for columns, path, kind in (
            (layout.columns, data, layout.file_format),
            (tuple(KEY_COLUMNS), keys, "parquet"),
        ):
            chosen = ", ".join(f'"{name}"' for name in columns)
            self._con.execute(
                f"copy (select {chosen} from part) to {_text(str(path))} ({COPY_OPTIONS[kind]})"
            )
        ((rows,),) = self._rows("select count(*) from part")
        self._con.execute("drop table part")
        return int(rows)

    def _type(self, layout: Layout, name: str, declared: str) -> str:
        try:
            ((kind,),) = self._rows(f"select typeof(cast(null as {declared}))")
        except duckdb.Error:
            raise TerminalError(
                f"{layout.model}.{name}: data_type {declared!r} is unknown to DuckDB."
            ) from None
        return str(kind)

    def _missing(self, layout: Layout, name: str, count: int) -> TerminalError:
        ((key,),) = self._rows(
            f"select coalesce(job_id, 'NULL') from {_table(layout)} where {EXCLUSION} is null and "
            f'"{name}" is null '
            "order by requested_at, job_id limit 1"
        )
        return TerminalError(
            f"{layout.model}.{name} is NULL in {count} rows that have no {EXCLUSION}, the first "
            f"with job_id {key}; "
            "give such rows a reason or a value."
        )

    def _unfit(self, layout: Layout, window: Window, name: str) -> TerminalError:
        ((key, instant, value),) = self._rows(
            f'select job_id, requested_at::varchar, "{name}"::varchar from {_table(layout)} '
            f'where {_in(window)} and not (abs("{name}"::double) <= {FLOAT32_MAX!r}) '
            "order by requested_at, job_id limit 1"
        )
        return TerminalError(
            f"{layout.model}.{name} is {value} for job_id {key} at {instant}: no finite float32. "
            "Correct the model; an unknown is NULL."
        )

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._con.execute(query).fetchall()


@contextmanager
def open_duckdb(mart_path: Path, scratch: Path | None = None) -> Iterator[DuckDBSource]:
    """A DuckDBSource, closed at the end; DuckDB's own errors become a TerminalError."""
    source = DuckDBSource(mart_path, scratch)
    try:
        yield source
    except duckdb.Error as error:
        raise TerminalError(f"Exporting from {mart_path} failed: {error}") from error
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


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _table(layout: Layout) -> str:
    return f'mart.main."{layout.model}"'


def _instant(instant: datetime) -> str:
    return f"timestamptz '{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"


def _kept(window: Window) -> str:
    until = window.label_known_until
    return "true" if until is None else f"label_known_at <= {_instant(until)}"


def _within(window: Window) -> str:
    return f"requested_at >= {_instant(window.start)} and requested_at < {_instant(window.end)}"


def _in(window: Window) -> str:
    return f"{EXCLUSION} is null and {_within(window)} and {_kept(window)}"


def _from(key: Key) -> str:
    instant = f"make_timestamptz({key[0]})"
    return f"requested_at >= {instant} and (requested_at > {instant} or job_id >= {_text(key[1])})"
