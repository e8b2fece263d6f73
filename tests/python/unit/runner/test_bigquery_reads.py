"""Test that readers of a mart on BigQuery get each table as of the publication, with a stand-in for the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from google.cloud.bigquery_storage_v1 import types

from feature_mart.core.settings import resolve_settings
from feature_mart.runner import bigquery_engine
from feature_mart.runner.bigquery_engine import BigQueryEngine

PUBLISHED = datetime(2026, 4, 1, 19, 0, tzinfo=UTC)
#: The time at which the reader starts, by BigQuery's clock.
NOW = datetime(2026, 5, 9, 3, 0, tzinfo=UTC)


@dataclass
class Job:
    value: Any

    def result(self, **_: object) -> list[tuple[Any, ...]]:
        return [(self.value,)]


@dataclass
class Service:
    """Stand in for BigQuery with an empty table last changed at ``modified``, and record the requests."""

    modified: datetime
    asked: list[str] = field(default_factory=list)
    moments: list[datetime] = field(default_factory=list)

    def get_table(self, _name: str, **_: object) -> Service:
        self.asked.append("table")
        return self

    def query(self, sql: str, **_: object) -> Job:
        self.asked.append(sql)
        return Job(NOW if "current_timestamp" in sql else 0)

    def create_read_session(self, *, read_session: Any, **_: object) -> types.ReadSession:
        self.moments.append(read_session.table_modifiers.snapshot_time)
        schema = pa.schema({"a": pa.int64()}).serialize().to_pybytes()
        return types.ReadSession(arrow_schema=types.ArrowSchema(serialized_schema=schema))


def read(
    service: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    published_at: datetime | None = PUBLISHED,
) -> None:
    """Read the table through a local mart, and check that the table is empty and the local mart removed afterwards."""

    @contextmanager
    def opened(_: object) -> Iterator[Service]:
        yield service

    variables = {
        "MART_TARGET": "bigquery_dev",
        "MART_GCP_PROJECT": "p",
        "MART_GCP_LOCATION": "US",
        "MART_HOME": str(tmp_path),
    }
    settings = resolve_settings(environment=variables)
    assert settings.bigquery is not None
    engine = BigQueryEngine(settings, settings.bigquery)
    engine._client = service
    monkeypatch.setattr(bigquery_engine, "open_reader", opened)
    with (
        engine.local_mart(["t"], published_at) as path,
        duckdb.connect(str(path), read_only=True) as con,
    ):
        assert con.execute("select a from t").fetchall() == []
    assert not path.exists()


@pytest.mark.parametrize("earlier", [timedelta(0), timedelta(minutes=1)])
def test_a_table_that_nobody_touched_since_is_read_as_of_a_moment_that_bigquery_still_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: timedelta
) -> None:
    service = Service(PUBLISHED - earlier)
    read(service, tmp_path, monkeypatch)
    assert service.moments == [NOW]
    # The time is read before the table's metadata, so a table found unchanged was unchanged at that time.
    assert service.asked[:2] == ["select current_timestamp()", "table"]


@pytest.mark.parametrize("later", [timedelta(microseconds=1), timedelta(days=2)])
def test_a_table_that_was_changed_since_is_read_as_of_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: timedelta
) -> None:
    service = Service(PUBLISHED + later)
    read(service, tmp_path, monkeypatch)
    assert service.moments == [PUBLISHED]
    assert service.asked[-1] == (
        "select count(*) from `p.feature_mart_dev.t` for system_time as of timestamp "
        "'2026-04-01T19:00:00+00:00'"
    )


def test_a_record_without_a_moment_is_read_as_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(NOW - timedelta(days=1))
    read(service, tmp_path, monkeypatch, None)
    assert service.moments == [NOW]
