"""Build and read the mart as a DuckDB file.

An incremental build works on a copy of the mart, a full build on a new file. The publication replaces the mart with the
file of the build.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from feature_mart.core.duckdb_files import attach, connect, quoted
from feature_mart.core.settings import Clock, Settings
from feature_mart.raw.warehouse import (
    check_warehouse,
    first_loads,
    first_time,
    newest_event,
    newest_load,
    raw_select,
    table_columns,
)
from feature_mart.runner.dbt import DbtResult, Node
from feature_mart.runner.duckdb_mart import (
    keep_profiles,
    read_document,
    restore_profiles,
    unreadable,
    write_documents,
)
from feature_mart.runner.engine import Outset
from feature_mart.runner.first_loads import FirstLoads
from feature_mart.runner.source_snapshots import take_snapshots

_SHOWN_ROWS = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@contextmanager
def open_first_loads(source: str, table: str, timezone: str) -> Iterator[FirstLoads]:
    """Yield the first loads of a table's keys, for use inside the context.

    ``source`` is a SELECT of the table's rows. Days are local days of ``timezone``.
    """
    with connect() as con:
        con.execute(f"create table first_loads as {first_loads(source, table, timezone)}")
        yield FirstLoads(lambda sql: con.execute(sql).fetchall(), "select * from first_loads")


class DuckDBEngine:
    """An `Engine` whose mart is a DuckDB file in the state folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def version(self) -> str:
        return f"DuckDB {duckdb.__version__}"

    def check_raw(self) -> None:
        check_warehouse(self._settings.dwh, self._settings.overwritten_sources)

    def newest_load(self) -> datetime | None:
        settings = self._settings
        return None if settings.overwritten_sources else newest_load(settings.dwh)

    def first_time(self) -> datetime | None:
        return first_time(self._settings.dwh)

    def newest_event(self) -> tuple[str, datetime] | None:
        return newest_event(self._settings.dwh)

    def zone_offsets(
        self, zone: str, first: datetime, last: datetime
    ) -> Sequence[tuple[datetime, int]]:
        with connect() as con:
            rows = con.execute(
                "select epoch_us(hour_at), seconds from ("
                f"select hour_at, (epoch(timezone({quoted(zone)}, hour_at)) - epoch(hour_at))::bigint as seconds "
                "from (select unnest(generate_series(?::timestamptz, ?::timestamptz, to_hours(1))) as hour_at)) "
                "qualify seconds is distinct from lag(seconds) over (order by hour_at) order by hour_at",
                [first, last],
            ).fetchall()
        return [(_instant(us), seconds) for us, seconds in rows]

    def refreshes(self, clock: Clock, days: Sequence[date]) -> Sequence[datetime]:
        with connect() as con:
            rows = con.execute(
                f"select epoch_us(timezone({quoted(clock.timezone)}, day::timestamp + to_hours({clock.refresh_hour}))) "
                "from (select unnest(?::date[]) as day) order by day",
                [list(days)],
            ).fetchall()
        return [_instant(us) for (us,) in rows]

    @contextmanager
    def first_loads(self, table: str) -> Iterator[FirstLoads | None]:
        settings = self._settings
        if "loaded_at" not in table_columns(settings.dwh, table):
            yield None
            return
        source = raw_select(settings.dwh, table)
        with open_first_loads(source, table, settings.clock.timezone) as loads:
            yield loads

    def read_document(self, name: str) -> str | None:
        return read_document(self._settings.mart_path, name)

    def is_unfinished(self) -> bool:
        return False

    def has_mart(self) -> bool:
        return self._settings.mart_path.is_file()

    def begin(self, outset: Outset) -> None:
        draft = self._settings.draft_path
        shutil.rmtree(draft.parent, ignore_errors=True)
        draft.parent.mkdir(parents=True)
        if outset.is_new:
            restore_profiles(self._settings, draft)
        else:
            shutil.copyfile(self._settings.mart_path, draft)

    @property
    def database(self) -> Path:
        return self._settings.draft_path

    def take_snapshots(self, variables: Mapping[str, object], *, is_taken: bool) -> None:
        take_snapshots(self._settings, self.database, variables, is_taken=is_taken)

    def first_rows(self, node: Node) -> Sequence[str]:
        # The publication renames the file of the build to the mart, so that file does not exist after a publication.
        place = self.database if self.database.is_file() else self._settings.mart_path
        if not node.compiled or not place.is_file():
            return []
        history = self._settings.history_path
        try:
            with connect(place, read_only=True) as con:
                if history.is_file():
                    attach(con, history, "history")
                found = con.execute(
                    f"select columns(*)::varchar from ({node.compiled}) order by all limit {_SHOWN_ROWS}"
                )
                names = [str(column[0]) for column in found.description or []]
                rows = found.fetchall()
        except duckdb.Error:
            return []
        shown = [
            ", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True))
            for row in rows
        ]
        more = (node.failures or 0) - len(rows)
        return shown + ([f"… and {more:,} more"] if more > 0 else [])

    def abandon(self, result: DbtResult) -> str:  # noqa: ARG002 - the copy is removed in any case
        there = self.has_mart()
        return f"{self._settings.mart_path} is unchanged" if there else "no mart was published"

    def describe_marts(self, names: Sequence[str]) -> list[dict[str, Any]]:
        described = []
        with connect(self.database, read_only=True) as con:
            for name in names:
                columns = con.execute(f"describe main.{name}").fetchall()
                count = con.execute(f"select count(*) from main.{name}").fetchone()
                excluded: dict[str, int] = {}
                if any(column[0] == "exclusion_reason" for column in columns):
                    excluded = dict(
                        con.execute(
                            f"select exclusion_reason, count(*) from main.{name} "
                            "where exclusion_reason is not null group by all order by all"
                        ).fetchall()
                    )
                described.append(
                    {
                        "name": name,
                        "rows": int(count[0]) if count else 0,
                        "columns": len(columns),
                        "splits": {},
                        "excluded": excluded,
                    }
                )
        return described

    def publish(self, documents: Mapping[str, str]) -> None:
        write_documents(self.database, documents)
        keep_profiles(self._settings, self.database)
        self.database.replace(self._settings.mart_path)

    def local_mart(
        self,
        tables: Sequence[str],  # noqa: ARG002 - the file has all tables
        published_at: datetime | None,  # noqa: ARG002 - the whole file is replaced at once
    ) -> AbstractContextManager[Path]:
        return nullcontext(self._settings.mart_path)

    def ask(
        self,
        table: str,
        sql: str,
        published_at: datetime | None,  # noqa: ARG002 - the whole file is replaced at once
    ) -> Sequence[tuple[Any, ...]]:
        try:
            with connect(self._settings.mart_path, read_only=True) as con:
                return con.execute(sql.format(table=f'main."{table}"')).fetchall()
        except duckdb.Error as error:
            raise unreadable(self._settings.mart_path, error) from None

    def open_for_docs(self) -> None:
        # Give dbt a copy, because dbt opens the database for writing, which fails while another process reads the mart.
        draft = self._settings.draft_path
        draft.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._settings.mart_path, draft)


def _instant(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
