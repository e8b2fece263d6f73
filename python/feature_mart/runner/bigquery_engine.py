"""Build and read the mart on BigQuery. dbt builds in the mart's dataset; a record has the time of the last publication.

The dataset has no second copy of the mart. Readers use time travel: they read each table as of the record's
`published_at`, so they see no part of a build that is running or has failed. A build writes a mark first and the record
last, which replaces the mark. If the mark is still there, the tables may contain rows of an unfinished build, and the
next build is a full one.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from feature_mart.bigquery import (
    ask,
    bounds,
    check_dataset,
    copy_table,
    explained_errors,
    finish,
    first_loads,
    open_client,
    open_reader,
    sample_loaded_at,
)
from feature_mart.core.duckdb_files import connect, parquet
from feature_mart.core.errors import FeatureMartError
from feature_mart.core.services import BigQueryAddress
from feature_mart.core.settings import Clock, Settings
from feature_mart.runner.dbt import DbtResult, Node, invoke_dbt, require_success
from feature_mart.runner.engine import Outset
from feature_mart.runner.first_loads import FirstLoads

#: The table of the mart's documents: `built`, `dbt_manifest`, and the mark `under_way` during a build.
STATE_TABLE = "mart_state"
_DAY_MS = 24 * 60 * 60 * 1000
_SHOWN_ROWS = 5
_CHANGED = frozenset({"model", "seed"})


class BigQueryEngine:
    """An `Engine` whose mart is a BigQuery dataset."""

    def __init__(self, settings: Settings, address: BigQueryAddress) -> None:
        self._settings = settings
        self._address = address
        self._client: Any = None

    @property
    def version(self) -> str:
        return "BigQuery"

    def check_raw(self) -> None:
        check_dataset(self._connect(), self._address, self._settings.overwritten_sources)

    def newest_load(self) -> datetime | None:
        # Rows may be loaded at any time, so the wall clock decides what is known. In a sample the newest load decides,
        # because no rows are added to a sample.
        return sample_loaded_at(self._connect(), self._address)

    def first_time(self) -> datetime | None:
        return None

    def newest_event(self) -> tuple[str, datetime] | None:
        return None

    def zone_offsets(
        self, zone: str, first: datetime, last: datetime
    ) -> Sequence[tuple[datetime, int]]:
        client = self._connect()
        query = (
            "with hours as (select hour_at, "
            f"datetime_diff(datetime(hour_at, '{zone}'), datetime(hour_at, 'UTC'), second) as seconds "
            f"from unnest(generate_timestamp_array(timestamp '{first.isoformat()}', timestamp '{last.isoformat()}', "
            "interval 1 hour)) as hour_at), "
            "compared as (select hour_at, seconds, lag(seconds) over (order by hour_at) as former from hours) "
            "select hour_at, seconds from compared where former is null or seconds <> former order by hour_at"
        )
        with explained_errors(self._address):
            return [(row[0], int(row[1])) for row in ask(client, query, self._address)]

    def refreshes(self, clock: Clock, days: Sequence[date]) -> Sequence[datetime]:
        client = self._connect()
        query = (
            f"select timestamp(datetime_add(datetime(day), interval {clock.refresh_hour} hour), '{clock.timezone}') "
            f"from unnest(generate_date_array(date '{days[0]}', date '{days[-1]}')) as day order by day"
        )
        with explained_errors(self._address):
            return [row[0] for row in ask(client, query, self._address)]

    @contextmanager
    def first_loads(self, table: str) -> Iterator[FirstLoads | None]:
        timezone = self._settings.clock.timezone
        found = first_loads(self._connect(), self._address, table, timezone)
        yield None if found is None else FirstLoads(*found)

    def read_document(self, name: str) -> str | None:
        return self._document(name)

    def is_unfinished(self) -> bool:
        return self._document("under_way") is not None

    def has_mart(self) -> bool:
        return self.is_unfinished() or self._document("built") is not None

    def begin(self, outset: Outset) -> None:
        self._make_dataset()
        self._write({"under_way": json.dumps({"run_id": outset.run_id})})

    @property
    def database(self) -> Path:
        return self._settings.state_dir / "no.duckdb"

    def take_snapshots(self, variables: Mapping[str, object], *, is_taken: bool) -> None:
        if is_taken:
            return
        taken = {**variables, "snapshot_at": self._settings.now.isoformat()}
        result = invoke_dbt(
            self._settings, ["snapshot"], step="snapshot", database=self.database, variables=taken
        )
        require_success(result, "dbt snapshot of the overwritten sources")

    def first_rows(self, node: Node) -> Sequence[str]:
        if not node.compiled:
            return []
        query = f"select * from ({node.compiled}) limit {_SHOWN_ROWS}"
        try:
            rows = list(self._ask(query))
        except FeatureMartError:
            return []
        return [", ".join(f"{name}={value}" for name, value in row.items()) for row in rows]

    def abandon(self, result: DbtResult) -> str:
        place = self._settings.mart_address
        changed = any(node.kind in _CHANGED and node.status == "success" for node in result.nodes)
        try:
            if not changed:
                self._drop_mark()
            was = self._document("built")
        except FeatureMartError:
            return (
                f"the next build of {place} will be a full build, because its tables contain rows of this failed "
                "build"
            )
        if was is None:
            return "no mart was published" if not changed else f"{place} has no finished mart"
        if not changed:
            return f"{place} is unchanged"
        return (
            f"readers of {place} still see what was published at {json.loads(was)['published_at']}; the next build "
            "will be a full build, because the tables contain rows of the failed build"
        )

    def describe_marts(self, names: Sequence[str]) -> list[dict[str, Any]]:
        described = []
        client, address = self._connect(), self._address
        with explained_errors(address):
            for name in names:
                table = client.get_table(f"{self._settings.mart_address}.{name}")
                excluded: dict[str, int] = {}
                if any(field.name == "exclusion_reason" for field in table.schema):
                    rows = self._ask(
                        f"select exclusion_reason, count(*) from `{self._settings.mart_address}.{name}` "
                        "where exclusion_reason is not null group by exclusion_reason order by exclusion_reason"
                    )
                    excluded = {str(row[0]): int(row[1]) for row in rows}
                described.append(
                    {
                        "name": name,
                        "rows": int(table.num_rows),
                        "columns": len(table.schema),
                        "splits": {},
                        "excluded": excluded,
                    }
                )
        return described

    def publish(self, documents: Mapping[str, str]) -> None:
        built = json.loads(documents["built"])
        record = json.dumps({**built, "published_at": self._now().isoformat()})
        self._write({**documents, "built": record}, replaced=True)

    @contextmanager
    def local_mart(self, tables: Sequence[str], published_at: datetime | None) -> Iterator[Path]:
        address = self._address
        folder = self._settings.scratch_dir / "local"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            with open_reader(address) as reader:
                asked_at = self._now()
                for table in tables:
                    at = self._moment(table, published_at, asked_at)
                    rows = folder / f"{table}.parquet"
                    copy_table(reader, address, table, at, rows, self._count(table, at))
            yield _mart_of(folder, tables)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _moment(self, name: str, published_at: datetime | None, asked_at: datetime) -> datetime:
        """Return the timestamp as of which to read a table.

        The result is `asked_at` if `published_at` is None or the table has not changed after `published_at`, and
        otherwise `published_at`. Because every read is as of a timestamp, no read sees rows of a build that starts
        meanwhile, and all tables of an export belong to one publication. BigQuery keeps former states for only two to
        seven days, so a mart that is a month old can be exported only as of `asked_at`. The caller must take `asked_at`
        before this call. A table that is unchanged at the time of the call then had its published rows at `asked_at`.
        """
        client, address = self._connect(), self._address
        with explained_errors(address):
            table = client.get_table(f"{self._settings.mart_address}.{name}", **bounds(address))
        if published_at is None or table.modified <= published_at:
            return asked_at
        return published_at

    def _count(self, name: str, at: datetime) -> int:
        """Return the number of a table's rows as of a timestamp. BigQuery counts rows without reading them."""
        return int(
            self._one(
                f"select count(*) from `{self._settings.mart_address}.{name}` "
                f"for system_time as of timestamp '{at.isoformat()}'"
            )
        )

    def _now(self) -> datetime:
        """Return the current time of BigQuery's clock, by which time travel is computed."""
        now: datetime = self._one("select current_timestamp()").astimezone(UTC)
        return now

    def _one(self, sql: str) -> Any:
        return next(iter(self._ask(sql)))[0]

    def ask(self, table: str, sql: str, published_at: datetime | None) -> Sequence[tuple[Any, ...]]:
        at = self._moment(table, published_at, self._now())
        place = f"`{self._settings.mart_address}.{table}` for system_time as of timestamp '{at.isoformat()}'"
        with explained_errors(self._address):
            return [tuple(row) for row in self._ask(sql.format(table=place))]

    def open_for_docs(self) -> None:
        """Do nothing, because dbt only reads the dataset to describe it."""

    def _connect(self) -> Any:
        if self._client is None:
            self._client = open_client(self._address, {"mart_target": self._settings.target})
        return self._client

    def _make_dataset(self) -> None:
        from google.cloud import bigquery
        from google.cloud.exceptions import NotFound

        client, address = self._connect(), self._address
        name = self._settings.mart_address
        with explained_errors(address):
            try:
                client.get_dataset(name, **bounds(address))
            except NotFound:
                made = bigquery.Dataset(name)
                made.location, made.labels = address.location, {"feature_mart": "mart"}
                if address.expires_days is not None:
                    made.default_table_expiration_ms = address.expires_days * _DAY_MS
                client.create_dataset(made, exists_ok=True, **bounds(address))

    def _document(self, name: str) -> str | None:
        from google.cloud.exceptions import NotFound

        client, address = self._connect(), self._address
        with explained_errors(address):
            try:
                client.get_table(f"{self._settings.mart_address}.{STATE_TABLE}", **bounds(address))
            except NotFound:
                return None
            rows = self._ask(
                f"select document from `{self._settings.mart_address}.{STATE_TABLE}` where name = '{name}'"
            )
            found = [str(row[0]) for row in rows]
        return found[0] if found else None

    def _drop_mark(self) -> None:
        self._ask(
            f"delete from `{self._settings.mart_address}.{STATE_TABLE}` where name = 'under_way'"
        )

    def _ask(self, sql: str) -> Any:
        """Run a query and return its rows, within the time limit of the settings."""
        with explained_errors(self._address):
            return ask(self._connect(), sql, self._address)

    def _write(self, documents: Mapping[str, str], *, replaced: bool = False) -> None:
        """Load documents into the state table in one job. Replace all rows if ``replaced`` is True, else append."""
        import pyarrow.parquet as pq
        from google.cloud import bigquery

        client, address = self._connect(), self._address
        schema = [bigquery.SchemaField(name, "STRING") for name in ("name", "document")]
        table = bigquery.Table(f"{self._settings.mart_address}.{STATE_TABLE}", schema=schema)
        if address.expires_days is None:
            table.expires = None
        how = bigquery.WriteDisposition
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=schema,
            write_disposition=how.WRITE_TRUNCATE if replaced else how.WRITE_APPEND,
        )
        columns = {"name": list(documents), "document": list(documents.values())}
        with explained_errors(address), tempfile.TemporaryFile() as file:
            client.create_table(table, exists_ok=True, **bounds(address))
            pq.write_table(pa.table(columns), file)
            file.seek(0)
            job = client.load_table_from_file(file, table.reference, job_config=config)
            finish(job, address)


def _mart_of(folder: Path, tables: Sequence[str]) -> Path:
    """Create a DuckDB file in ``folder`` with a view of each table's Parquet file there, and return the file's path."""
    path = folder / "mart.duckdb"
    with connect(path) as con:
        for table in tables:
            con.execute(f'create view "{table}" as from {parquet(folder / f"{table}.parquet")}')
    return path
