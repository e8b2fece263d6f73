"""Test reading tables by the Storage Read API. Google's own ``ReadRowsStream`` reads from a simulated service."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud.bigquery_storage_v1 import types
from google.cloud.bigquery_storage_v1.reader import ReadRowsStream
from google.rpc.error_details_pb2 import RetryInfo

from busy_machine import PATIENCE_S
from feature_mart.bigquery import copy_table, explain, explained_errors
from feature_mart.bigquery.storage_read import QUEUED, STREAMS, _Funnel, _is_loopback
from feature_mart.core.duckdb_files import parquet
from feature_mart.core.errors import TerminalError, TransientError, UsageError
from feature_mart.core.services import BigQueryAddress
from feature_mart.core.settings import resolve_settings

AT = datetime(2026, 4, 1, 19, 0, 0, 123456, UTC)
SCHEMA = pa.schema(
    [("a", pa.int64()), ("t", pa.timestamp("us", "UTC")), ("n", pa.decimal128(38, 9))]
)
ROWS_OF_A_MESSAGE = 10


@pytest.fixture
def address() -> BigQueryAddress:
    environment = {
        "MART_TARGET": "bigquery_dev",
        "MART_GCP_PROJECT": "p",
        "MART_GCP_LOCATION": "US",
        "MART_BQ_RETRY_S": "1",
    }
    found = resolve_settings(environment=environment).bigquery
    assert found is not None
    return found


def message_of(first: int, rows: int, counted: int | None = None) -> types.ReadRowsResponse:
    """Return a message of rows numbered from ``first``, as LZ4 Arrow. ``counted`` replaces the stated row count."""
    columns = [range(first, first + rows), [AT] * rows, [None] * rows]
    batch = pa.record_batch(
        [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], SCHEMA
    )
    packed = _packed(batch)
    return types.ReadRowsResponse(
        row_count=rows if counted is None else counted,
        arrow_record_batch=types.ArrowRecordBatch(serialized_record_batch=packed),
    )


def _packed(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    messages = pa.ipc.MessageReader.open_stream(sink.getvalue())
    messages.read_next_message()
    return messages.read_next_message().serialize().to_pybytes()


@dataclass
class Service:
    """Stand in for Google's client. ``breaks`` maps message numbers of the first stream to errors, each raised once."""

    streams: int = STREAMS
    rows_of_a_stream: int = 100
    breaks: dict[int, Exception] = field(default_factory=dict)
    meet: threading.Barrier | None = None
    counted: int | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    bounds: list[tuple[float, float]] = field(default_factory=list)

    def create_read_session(self, **request: Any) -> types.ReadSession:
        self.requests.append(request)
        return types.ReadSession(
            arrow_schema=types.ArrowSchema(serialized_schema=SCHEMA.serialize().to_pybytes()),
            streams=[types.ReadStream(name=str(number)) for number in range(self.streams)],
        )

    def read_rows(
        self, name: str, *, retry: Any, timeout: float, retry_delay_callback: Any
    ) -> ReadRowsStream:
        self.bounds.append((retry.timeout, timeout))
        return ReadRowsStream(Below(self), name, 0, {}, retry_delay_callback=retry_delay_callback)


@dataclass
class Below:
    """Stand in for the low-level client that Google's ``ReadRowsStream`` calls."""

    service: Service

    def read_rows(self, read_stream: str, offset: int) -> Iterator[types.ReadRowsResponse]:
        service = self.service
        service.offsets.append(offset)
        return self._messages(int(read_stream), offset)

    def _messages(self, stream: int, offset: int) -> Iterator[types.ReadRowsResponse]:
        service = self.service
        if service.meet is not None:
            # Wait until every stream is being read. If streams were read one by one, the wait would time out.
            service.meet.wait(PATIENCE_S)
        for first in range(offset, service.rows_of_a_stream, ROWS_OF_A_MESSAGE):
            error = service.breaks.pop(first // ROWS_OF_A_MESSAGE, None) if stream == 0 else None
            if error is not None:
                raise error
            rows = min(ROWS_OF_A_MESSAGE, service.rows_of_a_stream - first)
            yield message_of(stream * service.rows_of_a_stream + first, rows, service.counted)


def copied(service: Service, address: BigQueryAddress, expected: int | None = None) -> list[int]:
    """Copy the table, check the column types, and return the numbers of the copied rows in ascending order."""
    rows = service.streams * service.rows_of_a_stream if expected is None else expected
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        path = Path(folder) / "t.parquet"
        con.execute("set TimeZone = 'UTC'")
        assert copy_table(service, address, "t", AT, path, rows) == rows
        con.execute(f"create table t as from {parquet(path)}")
        kinds = con.execute("select column_type from (describe t)").fetchall()
        assert [kind for (kind,) in kinds] == [
            "BIGINT",
            "TIMESTAMP WITH TIME ZONE",
            "DECIMAL(38,9)",
        ]
        assert set(con.execute("select t, n from t").fetchall()) <= {(AT, None)}
        return [number for (number,) in con.execute("select a from t order by a").fetchall()]


def test_streams_are_read_at_the_same_time(address: BigQueryAddress) -> None:
    service = Service(meet=threading.Barrier(STREAMS))
    assert copied(service, address) == list(range(STREAMS * 100))


def test_the_session_says_table_moment_and_how_many_streams(address: BigQueryAddress) -> None:
    service = Service()
    copied(service, address)
    (request,) = service.requests
    wanted = request["read_session"]
    assert request["parent"] == "projects/p" and request["max_stream_count"] == STREAMS
    assert wanted.table == "projects/p/datasets/feature_mart_dev/tables/t"
    assert wanted.table_modifiers.snapshot_time == AT
    assert wanted.data_format == types.DataFormat.ARROW
    assert (request["retry"].timeout, request["timeout"]) == (address.retry_s, address.retry_s)
    assert service.bounds == [(address.retry_s, address.timeout_s)] * STREAMS


@pytest.mark.parametrize("streams", [0, 1])
def test_a_table_without_rows_keeps_its_columns_and_types(
    address: BigQueryAddress, streams: int
) -> None:
    assert copied(Service(streams, rows_of_a_stream=0), address) == []


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ServiceUnavailable("gone"),
        exceptions.Unknown("Stream removed"),
        exceptions.InternalServerError("Received RST_STREAM with error code 2"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_stream_that_breaks_goes_on_at_its_row_and_none_is_there_twice(
    address: BigQueryAddress, error: Exception
) -> None:
    service = Service(breaks={3: error, 7: error})
    assert copied(service, address) == list(range(STREAMS * 100))
    assert sorted(service.offsets) == [0, 0, 0, 0, 30, 70]


def test_waiting_that_bigquery_asks_for_has_an_end(address: BigQueryAddress) -> None:
    def exhausted(seconds: float) -> Exception:
        wait = RetryInfo()
        wait.retry_delay.FromNanoseconds(int(seconds * 1e9))
        return exceptions.ResourceExhausted("Quota exceeded", details=[wait])

    assert len(copied(Service(breaks={3: exhausted(0.001)}), address)) == STREAMS * 100
    with pytest.raises(TransientError, match="MART_BQ_RETRY_S"):
        copied(Service(breaks={3: exhausted(90)}), address)


@pytest.mark.parametrize("expected", [STREAMS * 100 - 1, STREAMS * 100 + 1, 0])
def test_rows_too_few_or_too_many_are_an_error(
    address: BigQueryAddress, expected: int, tmp_path: Path
) -> None:
    with pytest.raises(TerminalError, match="nothing was exported"):
        copy_table(Service(), address, "t", AT, tmp_path / "t.parquet", expected)


def test_a_message_that_miscounts_its_rows_is_an_error(address: BigQueryAddress) -> None:
    with pytest.raises(TerminalError, match="contains 10 rows, but declares 9"):
        copied(Service(counted=9), address)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_stream_is_raised_as_it_was(
    address: BigQueryAddress, interrupt: type[BaseException]
) -> None:
    service = Service(breaks={3: interrupt()})  # type: ignore[dict-item]
    with pytest.raises(interrupt):
        copied(service, address)


def test_what_the_disk_does_not_take_is_said(address: BigQueryAddress, tmp_path: Path) -> None:
    with pytest.raises(
        TerminalError, match=r"could not be written to .*Make room or correct the cause"
    ):
        copy_table(Service(), address, "t", AT, tmp_path / "gone" / "t.parquet", STREAMS * 100)


def test_few_batches_wait_and_a_closed_funnel_takes_none() -> None:
    funnel = _Funnel(1)
    batch = pa.record_batch({"a": [1]})
    taken = [funnel.put(batch) for _ in range(QUEUED)]
    late: list[bool] = []
    blocked = threading.Thread(target=lambda: late.append(funnel.put(batch)))
    blocked.start()
    assert all(taken) and not late
    funnel.close()
    blocked.join(PATIENCE_S)
    assert late == [False]


ERRORS: Sequence[tuple[Exception, type[Exception], str]] = [
    (exceptions.ServiceUnavailable("failed to connect"), TransientError, "try again later"),
    (exceptions.DeadlineExceeded("Deadline Exceeded"), TransientError, "try again later"),
    (exceptions.ResourceExhausted("Quota exceeded"), TransientError, "try again later"),
    (exceptions.InternalServerError("it went wrong"), TransientError, "try again later"),
    (exceptions.Aborted("The operation was aborted."), TransientError, "try again later"),
    (
        exceptions.FailedPrecondition("there was an error: session expired at noon"),
        TransientError,
        "try again later",
    ),
    (
        exceptions.PermissionDenied(
            "the user does not have 'bigquery.readsessions.create' permission"
        ),
        TerminalError,
        "roles/bigquery.readSessionUser",
    ),
    (
        exceptions.PermissionDenied("Access Denied: Table p:d.t: no bigquery.tables.getData"),
        TerminalError,
        "roles/bigquery.dataViewer",
    ),
    (
        exceptions.InvalidArgument("Invalid snapshot time 1 for Table p:d.t. Cannot read before 2"),
        TerminalError,
        "run `mart build`",
    ),
    (exceptions.NotFound("Not found: Table p:d.t"), TerminalError, "MART_DATASET"),
    (exceptions.Unauthenticated("no credentials"), TerminalError, "gcloud auth"),
]


@pytest.mark.parametrize(
    ("error", "kind", "words"), ERRORS, ids=[f"{type(e).__name__} {w}" for e, _, w in ERRORS]
)
def test_each_error_of_grpc_says_what_to_do(
    address: BigQueryAddress, error: Exception, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words), explained_errors(address):
        raise error
    assert type(explain(str(error), address)) is kind


@pytest.mark.parametrize(
    ("endpoint", "is_loopback"),
    [
        ("127.0.0.1:9060", True),
        ("localhost:9060", True),
        ("[::1]:9060", True),
        ("bigquerystorage.googleapis.com:443", False),
        ("10.0.0.1:443", False),
    ],
)
def test_only_loopback_is_spoken_to_in_the_clear(endpoint: str, is_loopback: bool) -> None:
    assert _is_loopback(endpoint) is is_loopback


@pytest.mark.parametrize("given", ["http://127.0.0.1:9060", "127.0.0.1", "host:port"])
def test_an_endpoint_is_a_host_and_a_port(given: str) -> None:
    environment = {
        "MART_TARGET": "bigquery_dev",
        "MART_GCP_PROJECT": "p",
        "MART_GCP_LOCATION": "US",
        "MART_BQ_STORAGE_ENDPOINT": given,
    }
    with pytest.raises(UsageError, match="host:port"):
        resolve_settings(environment=environment)
