"""Tables of BigQuery's as Parquet files on local disk, by the Storage Read API.

One read session a table, as of one moment; its streams are read at once, a thread each, and one writer takes their
batches. What waits in between is bounded, so memory does not grow with the rows.

============================  ======================================================================
``open_reader(address)``       Google's own client, or what stands in for the service
``copy_table(…)``              a table as of a moment, into a Parquet file
============================  ======================================================================

A stream that breaks goes on at the row where it broke: Google's `ReadRowsStream` counts the rows that it has handed out
and connects again at that offset. The rows are counted once more at the end, against what BigQuery counts itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from feature_mart.bigquery.client import explained_errors
from feature_mart.errors import TerminalError, TransientError, UsageError
from feature_mart.services import BigQueryAddress

#: Streams of a table at once. More would only wait: one writer takes in what four of them give.
STREAMS = 4
#: Batches that wait for the writer. A message holds 10 MiB at most ("Read rows", Storage Read API), packed.
QUEUED = 2
#: mallopt(3): larger pieces than this are mapped by themselves; set at all, the limit no longer moves.
_M_MMAP_THRESHOLD, _RETURNED_BYTES = -3, 128 * 2**10


@contextlib.contextmanager
def open_reader(address: BigQueryAddress) -> Iterator[Any]:
    """A ``BigQueryReadClient``, closed at the end, and with it every call that is still going on.

    Raises:
        UsageError: there is a stand-in for BigQuery, and none for its Storage Read API is named.
        FeatureMartError: there are no credentials, naming what to set.
    """
    # Google's client takes a second to import: only those commands pay for it that use it.
    from google.api_core.client_options import ClientOptions
    from google.cloud.bigquery_storage import BigQueryReadClient

    endpoint = address.storage_endpoint
    if address.endpoint and not endpoint:
        raise UsageError(
            "MART_BQ_API_ENDPOINT names another address than Google's, and MART_BQ_STORAGE_ENDPOINT none: set it to "
            "the host:port of the Storage Read API there."
        )
    with explained_errors(address):
        if endpoint and _is_loopback(endpoint):
            client = BigQueryReadClient(transport=_insecure(endpoint))
        else:
            options = ClientOptions(api_endpoint=endpoint or None, quota_project_id=address.project)
            client = BigQueryReadClient(client_options=options)
    _give_memory_back()
    with client:
        yield client


def copy_table(
    reader: Any, address: BigQueryAddress, name: str, at: datetime, path: Path, expected_rows: int
) -> int:
    """A table of the mart's as of a moment, as a Parquet file; how many rows it has.

    Columns and types are those of the session, so that a table without rows has them too. Rows come in no order.

    Raises:
        TransientError: BigQuery could not do it just now.
        TerminalError: it never will, or gave other than `expected_rows` rows, or the disk takes no more.
    """
    place = f"{address.project}.{address.dataset}.{name}"
    with explained_errors(address):
        session = _create_session(reader, address, name, at)
        schema = _schema_of(session)
        funnel = _Funnel(len(session.streams))
        for stream in session.streams:
            arguments = (reader, address, stream.name, schema, funnel)
            # A daemon: an interrupt need not wait for an answer that BigQuery owes.
            threading.Thread(target=_read_stream, args=arguments, daemon=True).start()
        try:
            rows = _write(path, schema, funnel)
        except OSError as error:
            raise TerminalError(
                f"{place} could not be kept in {path.parent}: {error}. Make room there, and run it again."
            ) from error
        finally:
            funnel.close()
    if not rows == funnel.rows == expected_rows:
        raise TerminalError(
            f"{place} as of {at.isoformat()} has {expected_rows:,} rows by BigQuery's count, {funnel.rows:,} came and "
            f"{rows:,} were kept: nothing was exported. Run it again; if it stays so, look for a row access policy "
            "on the table that hides rows from who runs this."
        )
    return rows


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Each batch a row group, packed a little: it is read once more and then removed."""
    with pq.ParquetWriter(path, schema, compression="lz4", use_dictionary=False) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return int(pq.read_metadata(path).num_rows)


def _create_session(reader: Any, address: BigQueryAddress, name: str, at: datetime) -> Any:
    """A session of every column: the few that a snapshot leaves out of a training table decide what is in it."""
    from google.cloud.bigquery_storage_v1 import types

    packed = types.ArrowSerializationOptions(
        buffer_compression=types.ArrowSerializationOptions.CompressionCodec.LZ4_FRAME
    )
    wanted = types.ReadSession(
        table=f"projects/{address.project}/datasets/{address.dataset}/tables/{name}",
        data_format=types.DataFormat.ARROW,
        table_modifiers=types.ReadSession.TableModifiers(snapshot_time=at),
        read_options=types.ReadSession.TableReadOptions(arrow_serialization_options=packed),
    )
    return reader.create_read_session(
        parent=f"projects/{address.project}",
        read_session=wanted,
        max_stream_count=STREAMS,
        retry=_retry(address),
        timeout=address.retry_s,
    )


def _schema_of(session: Any) -> pa.Schema:
    """Names and types alone: what else BigQuery says of a column, a reader would take for a type of its own."""
    schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
    return pa.schema([(field.name, field.type) for field in schema])


class _Funnel:
    """Batches of many streams on their way to one writer, of which `QUEUED` wait at most.

    Attributes:
        rows: those of the batches handed on.
        failure: what ended a stream too soon.
    """

    def __init__(self, streams: int) -> None:
        self.rows = 0
        self.failure: BaseException | None = None
        self._streams = streams
        self._waiting: deque[pa.RecordBatch] = deque()
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, batch: pa.RecordBatch) -> bool:
        """Leave a batch, once there is room; False where nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or len(self._waiting) < QUEUED)
            if self._is_closed:
                return False
            self._waiting.append(batch)
            self._changed.notify_all()
        return True

    def end(self, failure: BaseException | None = None) -> None:
        """A stream has ended; the first that failed ends all."""
        with self._changed:
            self._streams -= 1
            self.failure = self.failure or failure
            self._changed.notify_all()

    def close(self) -> None:
        """The writer wants no more."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._take()) is not None:
            self.rows += batch.num_rows
            yield batch

    def _take(self) -> pa.RecordBatch | None:
        with self._changed:
            self._changed.wait_for(lambda: self.failure or self._waiting or not self._streams)
            if self.failure is not None:
                raise self.failure
            batch = self._waiting.popleft() if self._waiting else None
            self._changed.notify_all()
        return batch


def _read_stream(
    reader: Any, address: BigQueryAddress, name: str, schema: pa.Schema, funnel: _Funnel
) -> None:
    """One stream to its end."""
    try:
        stream = reader.read_rows(
            name,
            retry=_retry(address),
            timeout=address.timeout_s,
            retry_delay_callback=_patience(address.retry_s),
        )
        for message in stream:
            packed = pa.py_buffer(message.arrow_record_batch.serialized_record_batch)
            batch = pa.ipc.read_record_batch(packed, schema)
            if batch.num_rows != message.row_count:
                # The count is what a broken stream goes on by.
                raise TerminalError(
                    f"A message of {name} holds {batch.num_rows:,} rows and says {message.row_count:,}: run it again."
                )
            if not funnel.put(batch):
                stream.cancel()
                break
        funnel.end()
    except BaseException as error:  # noqa: BLE001 - the writer's thread raises it
        funnel.end(error)


def _retry(address: BigQueryAddress) -> Any:
    """What may pass is tried again until an answer begins, for `retry_s` seconds.

    Once it has begun `ReadRowsStream` connects again, by this too, on UNAVAILABLE, UNKNOWN, a connection reset, and on
    RESOURCE_EXHAUSTED where BigQuery says how long to wait. Nothing else is known to be safe in mid-stream.
    """
    from google.api_core import exceptions, retry

    return retry.Retry(
        predicate=retry.if_exception_type(
            exceptions.ServiceUnavailable,
            exceptions.DeadlineExceeded,
            exceptions.ResourceExhausted,
            exceptions.InternalServerError,
            exceptions.Unknown,
            exceptions.Aborted,
        ),
        initial=0.1,
        maximum=10.0,
        timeout=address.retry_s,
    )


def _patience(limit_s: float) -> Any:
    """Told before each wait that BigQuery asks of a stream, which Google's client would grant for ever."""
    waited = 0.0

    def add(delay_s: float) -> None:
        nonlocal waited
        waited += delay_s
        if waited > limit_s:
            raise TransientError(
                f"BigQuery asked to wait for {waited:.0f} s in all, for want of quota, and MART_BQ_RETRY_S allows "
                f"{limit_s:.0f}: try again later; nothing was written."
            )

    return add


def _give_memory_back() -> None:
    """Have the C library return a freed message to the system at once, where it is glibc.

    It would keep each thread's for that thread, and more with every million rows.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _RETURNED_BYTES)


def _is_loopback(endpoint: str) -> bool:
    host = endpoint.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _insecure(endpoint: str) -> Any:
    import grpc  # type: ignore[import-untyped]
    from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
        BigQueryReadGrpcTransport,
    )

    # Messages may be longer than gRPC's own limit of 4 MiB, as over Google's own transport.
    options = [("grpc.max_receive_message_length", -1)]
    return BigQueryReadGrpcTransport(channel=grpc.insecure_channel(endpoint, options))
