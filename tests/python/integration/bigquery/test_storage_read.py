"""Test reading BigQuery tables by the Storage Read API, over real gRPC against the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import grpc
import pytest

from bigquery_emulator import Emulator, run_emulator
from emulated_mart import environment_of
from feature_mart.bigquery import ask, open_client, open_reader
from feature_mart.core.errors import TerminalError, TransientError, UsageError
from feature_mart.core.settings import Settings, resolve_settings
from feature_mart.runner.bigquery_engine import BigQueryEngine
from read_api_proxy import ReadFault, ReadProxy, run_read_proxy

ROWS = 200_000
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with run_emulator() as running:
        yield running


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset on the emulator, read through the proxy."""

    settings: Settings
    proxy: ReadProxy
    folder: Path

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        assert self.settings.bigquery is not None
        client = open_client(self.settings.bigquery)
        return [tuple(row) for row in ask(client, sql, self.settings.bigquery)]

    def now(self) -> datetime:
        ((now,),) = self.ask("select current_timestamp()")
        return now.astimezone(UTC)

    def read(self, table: str, select: str, at: datetime | None = None) -> list[tuple[Any, ...]]:
        """Run a SELECT on the local copy of a table as published at ``at`` (None: now), and return the rows."""
        assert self.settings.bigquery is not None
        engine = BigQueryEngine(self.settings, self.settings.bigquery)
        with (
            engine.local_mart([table], at) as path,
            duckdb.connect(str(path), read_only=True) as con,
        ):
            con.execute("set TimeZone = 'UTC'")
            return con.execute(select).fetchall()


@pytest.fixture(scope="module")
def made(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    with run_read_proxy(emulator.storage_endpoint) as proxy:
        folder = tmp_path_factory.mktemp("storage_read")
        variables = environment_of(emulator, folder, MART_DATASET="read", MART_BQ_RETRY_S="3")
        variables["MART_BQ_STORAGE_ENDPOINT"] = proxy.endpoint
        dataset = Dataset(resolve_settings(environment=variables), proxy, folder)
        assert dataset.settings.bigquery is not None
        open_client(dataset.settings.bigquery).create_dataset("read")
        dataset.ask(
            "create table read.many (a int64, b float64, c string) as (select cast(a as int64) as a, "
            "a / 8 as b, concat('row ', cast(a as string)) as c "
            f"from unnest(generate_array(1, {ROWS})) as a)"
        )
        yield dataset


@pytest.fixture
def dataset(made: Dataset) -> Dataset:
    for noted in (made.proxy.faults, made.proxy.sessions, made.proxy.reads):
        noted.clear()
    return made


EVERY_ROW = "select count(*), count(distinct a), sum(a), max(b), min(c) from many"
ALL_OF_THEM = [(ROWS, ROWS, ROWS * (ROWS + 1) // 2, ROWS / 8, "row 1")]


def test_every_type_arrives_as_it_is(dataset: Dataset) -> None:
    dataset.ask(
        "create or replace table read.types (t timestamp, n numeric, i int64, f float64, s string, b bool, d date) as "
        "(select timestamp '2026-03-01 09:00:00.123456+09:00' as t, numeric '-1.25' as n, 9007199254740993 as i, "
        "0.1e0 as f, '見積もり' as s, true as b, date '2026-02-28' as d union all "
        "select null, null, null, null, null, null, null)"
    )
    found = dataset.read("types", "select * from types order by t nulls last")
    assert found == [
        (
            datetime(2026, 3, 1, 0, 0, 0, 123456, UTC),
            Decimal("-1.25"),
            9007199254740993,
            0.1,
            "見積もり",
            True,
            date(2026, 2, 28),
        ),
        (None,) * 7,
    ]
    ((kinds,),) = dataset.read("types", "select list(column_type) from (describe types)")
    # The emulator's NUMERIC has 3 decimal places, BigQuery's 9.
    assert kinds == [
        *("TIMESTAMP WITH TIME ZONE", "DECIMAL(18,3)", "BIGINT", "DOUBLE", "VARCHAR", "BOOLEAN"),
        "DATE",
    ]


def test_a_table_without_rows_keeps_its_columns(dataset: Dataset) -> None:
    dataset.ask("create or replace table read.empty (a int64, t timestamp)")
    found = dataset.read("empty", "select column_name, column_type from (describe empty)")
    assert found == [("a", "BIGINT"), ("t", "TIMESTAMP WITH TIME ZONE")]
    assert dataset.read("empty", "select count(*) from empty") == [(0,)]


def test_a_large_table_comes_in_streams_of_one_session_that_says_its_moment(
    dataset: Dataset,
) -> None:
    before = dataset.now()
    assert dataset.read("many", EVERY_ROW) == ALL_OF_THEM
    (session,) = dataset.proxy.sessions
    assert before <= session.read_session.table_modifiers.snapshot_time <= dataset.now()
    assert len({read.read_stream for read in dataset.proxy.reads}) == session.max_stream_count == 4


@pytest.mark.parametrize("spared", [0, 1])
def test_a_stream_that_breaks_goes_on_where_it_broke(dataset: Dataset, spared: int) -> None:
    dataset.proxy.faults.append(ReadFault("ReadRows", UNAVAILABLE, "gone", 3, spared))
    assert dataset.read("many", EVERY_ROW) == ALL_OF_THEM
    assert sum(read.offset > 0 for read in dataset.proxy.reads) == (3 if spared else 0)
    assert len(dataset.proxy.reads) == 7


def test_a_session_refused_once_is_asked_for_again(dataset: Dataset) -> None:
    dataset.proxy.faults.append(ReadFault("CreateReadSession", UNAVAILABLE, "gone", 1))
    assert dataset.read("many", EVERY_ROW) == ALL_OF_THEM
    assert len(dataset.proxy.sessions) == 2


@pytest.mark.parametrize(
    "fault",
    [
        ReadFault("CreateReadSession", UNAVAILABLE, "gone"),
        ReadFault("ReadRows", UNAVAILABLE, "gone"),
        ReadFault("CreateReadSession", grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded"),
        ReadFault("ReadRows", grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", spared=1),
        ReadFault("ReadRows", grpc.StatusCode.INTERNAL, "it went wrong", spared=1),
        ReadFault("ReadRows", grpc.StatusCode.FAILED_PRECONDITION, "session expired at noon"),
    ],
    ids=lambda fault: f"{fault.method} {fault.code.name}",
)
def test_what_does_not_pass_ends_in_try_again_later(dataset: Dataset, fault: ReadFault) -> None:
    dataset.proxy.faults.append(replace(fault))
    with pytest.raises(TransientError, match="try again later"):
        dataset.read("many", EVERY_ROW)
    dataset.proxy.faults.clear()
    assert dataset.read("many", EVERY_ROW) == ALL_OF_THEM


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            ReadFault(
                "CreateReadSession",
                grpc.StatusCode.PERMISSION_DENIED,
                "request failed: the user does not have 'bigquery.readsessions.create' permission for 'projects/x'",
            ),
            "roles/bigquery.readSessionUser",
        ),
        (
            ReadFault(
                "ReadRows",
                grpc.StatusCode.PERMISSION_DENIED,
                "the user does not have 'bigquery.readsessions.getData' permission for 'projects/x/streams/y'",
            ),
            "roles/bigquery.readSessionUser",
        ),
        (
            ReadFault(
                "CreateReadSession",
                grpc.StatusCode.INVALID_ARGUMENT,
                "Invalid snapshot time 1 for Table p:d.t@1. Cannot read before 2",
            ),
            "run `mart build`",
        ),
        (
            ReadFault("CreateReadSession", grpc.StatusCode.UNAUTHENTICATED, "Request is missing"),
            "gcloud auth application-default login",
        ),
    ],
    ids=["session", "rows", "moment", "credentials"],
)
def test_what_will_never_pass_says_what_to_do(
    dataset: Dataset, fault: ReadFault, words: str
) -> None:
    dataset.proxy.faults.append(replace(fault))
    with pytest.raises(TerminalError, match=words):
        dataset.read("many", EVERY_ROW)
    assert dataset.proxy.faults[0].seen <= 4, "it was asked for again"


def test_a_stand_in_without_a_storage_read_api_is_no_reason_to_ask_google(
    dataset: Dataset,
) -> None:
    assert dataset.settings.bigquery is not None
    address = replace(dataset.settings.bigquery, storage_endpoint="")
    with pytest.raises(UsageError, match="MART_BQ_STORAGE_ENDPOINT"), open_reader(address):
        pass
