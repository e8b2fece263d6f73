"""Readers of a mart on BigQuery take its tables as published; the emulator has no older state to try it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from feature_mart.runner.bigquery_engine import BigQueryEngine
from feature_mart.settings import resolve_settings

PUBLISHED = datetime(2026, 4, 1, 19, 0, tzinfo=UTC)


@dataclass
class Rows:
    """What a query or a listing gives."""

    values: list[int]

    def to_arrow_iterable(self) -> list[pa.RecordBatch]:
        return [pa.record_batch({"a": self.values})]


@dataclass
class Job:
    rows: Rows

    def result(self, **_: object) -> Rows:
        return self.rows


@dataclass
class Client:
    """A table that was changed at `modified`, and what was asked of it."""

    modified: datetime
    asked: list[str] = field(default_factory=list)

    def get_table(self, _name: str, **_: object) -> Client:
        return self

    def list_rows(self, _table: Client, **_: object) -> Rows:
        self.asked.append("listed")
        return Rows([1, 2])

    def query(self, sql: str, **_: object) -> Job:
        self.asked.append(sql)
        return Job(Rows([1]))


def read(client: Client, tmp_path: Path) -> list[tuple[Any, ...]]:
    variables = {"MART_TARGET": "bigquery_dev", "MART_GCP_PROJECT": "p", "MART_HOME": str(tmp_path)}
    settings = resolve_settings(environment=variables)
    assert settings.bigquery is not None
    engine = BigQueryEngine(settings, settings.bigquery)
    engine._client = client
    with (
        engine.local_mart(["t"], PUBLISHED) as path,
        duckdb.connect(str(path), read_only=True) as con,
    ):
        found = con.execute("select a from t order by a").fetchall()
    assert not path.exists()
    return found


def test_a_table_that_nobody_touched_since_is_listed_for_nothing(tmp_path: Path) -> None:
    client = Client(PUBLISHED - timedelta(minutes=1))
    assert read(client, tmp_path) == [(1,), (2,)] and client.asked == ["listed"]


@pytest.mark.parametrize("later", [timedelta(microseconds=1), timedelta(days=2)])
def test_a_table_that_was_changed_since_is_read_as_of_the_record(
    tmp_path: Path, later: timedelta
) -> None:
    client = Client(PUBLISHED + later)
    assert read(client, tmp_path) == [(1,)]
    assert client.asked == [
        "select * from `p.feature_mart_dev.t` for system_time as of timestamp "
        "'2026-04-01T19:00:00+00:00'"
    ]
