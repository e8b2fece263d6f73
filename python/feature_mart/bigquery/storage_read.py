"""Copy BigQuery tables to local Parquet files with the Storage Read API.

Each table is read in one read session, as of one timestamp. The streams of the session are read in parallel, each in a
thread. One writer takes the batches from a bounded queue, so memory does not grow with the number of rows.

============================  ======================================================================
``open_reader(address)``       yield Google's client, for the service or an emulator
``copy_table(…)``              copy a table as of a timestamp to a Parquet file
============================  ======================================================================

A broken stream is resumed at the row where it broke: Google's `ReadRowsStream` counts the rows that it has returned and
reconnects at this offset. At the end, the number of rows is compared with the count that a query returned.
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
from feature_mart.core.errors import TerminalError, TransientError, UsageError
from feature_mart.core.services import BigQueryAddress

#: The maximum number of parallel streams of a table. More streams would only wait, because one writer is as fast as
#: four streams.
STREAMS = 4
#: The maximum number of batches that wait for the writer. A compressed message has at most 10 MiB ("Read rows", Storage
#: Read API).
QUEUED = 2
#: The parameter and value for mallopt(3): allocations above this size are mapped separately and returned to the system
#: when freed. Once the threshold is set, glibc no longer raises it dynamically.
_M_MMAP_THRESHOLD, _RETURNED_BYTES = -3, 128 * 2**10


@contextlib.contextmanager
def open_reader(address: BigQueryAddress) -> Iterator[Any]:
    """Yield a ``BigQueryReadClient``. The client is closed at the end, which also ends calls that are still running.

    Raises:
        UsageError: MART_BQ_API_ENDPOINT is set, and MART_BQ_STORAGE_ENDPOINT is not.
        FeatureMartError: there are no valid credentials; the message names what to set.
    """
    # Importing Google's client takes a second, so only the commands that use it import it.
    from google.api_core.client_options import ClientOptions
    from google.cloud.bigquery_storage import BigQueryReadClient

    endpoint = address.storage_endpoint
    if address.endpoint and not endpoint:
        raise UsageError(
            "MART_BQ_API_ENDPOINT is set and MART_BQ_STORAGE_ENDPOINT is not: set MART_BQ_STORAGE_ENDPOINT to the "
            "host:port at which the same service offers the Storage Read API."
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
    """Copy a table of the mart as of a timestamp to a Parquet file, and return its number of rows.

    The file's columns and types come from the read session, so even a table without rows has columns. The rows have no
    particular order.

    Raises:
        TransientError: a request failed, and a retry may succeed.
        TerminalError: a retry would not help, the number of rows is not ``expected_rows``, or the file cannot be
            written.
    """
    place = f"{address.project}.{address.dataset}.{name}"
    with explained_errors(address):
        session = _create_session(reader, address, name, at)
        schema = _schema_of(session)
        funnel = _Funnel(len(session.streams))
        for stream in session.streams:
            arguments = (reader, address, stream.name, schema, funnel)
            # Use daemon threads, so that an interrupted process does not wait for a response of BigQuery.
            threading.Thread(target=_read_stream, args=arguments, daemon=True).start()
        try:
            rows = _write(path, schema, funnel)
        except OSError as error:
            raise TerminalError(
                f"{place} could not be written to {path.parent}: {error}. Make room or correct the cause, then "
                "try again."
            ) from error
        finally:
            funnel.close()
    if not rows == funnel.rows == expected_rows:
        raise TerminalError(
            f"{place} as of {at.isoformat()}: BigQuery counts {expected_rows:,} rows, {funnel.rows:,} were received "
            f"and {rows:,} stored; nothing was exported. Try again; if the difference persists, look for a row "
            "access policy that hides rows of the table from this user."
        )
    return rows


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write each batch as a row group of a Parquet file, and return the number of rows.

    The compression is a fast one (LZ4), because the file is read only once and then removed.
    """
    with pq.ParquetWriter(path, schema, compression="lz4", use_dictionary=False) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return int(pq.read_metadata(path).num_rows)


def _create_session(reader: Any, address: BigQueryAddress, name: str, at: datetime) -> Any:
    """Create a read session of all columns. The exporter also needs columns that it does not export, to select rows."""
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
    """Return the Arrow schema of a session without metadata, because readers may interpret metadata as types."""
    schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
    return pa.schema([(field.name, field.type) for field in schema])


class _Funnel:
    """A bounded queue from many streams to one writer; at most `QUEUED` batches wait.

    Attributes:
        rows: the number of rows that the writer has taken.
        failure: the error of the first stream that failed; None if no stream failed.
    """

    def __init__(self, streams: int) -> None:
        self.rows = 0
        self.failure: BaseException | None = None
        self._streams = streams
        self._waiting: deque[pa.RecordBatch] = deque()
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, batch: pa.RecordBatch) -> bool:
        """Wait until there is room, add a batch and return True. Return False if the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or len(self._waiting) < QUEUED)
            if self._is_closed:
                return False
            self._waiting.append(batch)
            self._changed.notify_all()
        return True

    def end(self, failure: BaseException | None = None) -> None:
        """Record the end of a stream. The first failure ends the whole copy.

        ``failure`` is the error that ended the stream; None if the stream was read completely.
        """
        with self._changed:
            self._streams -= 1
            self.failure = self.failure or failure
            self._changed.notify_all()

    def close(self) -> None:
        """Close the queue after the last batch or a failure: drop waiting batches, and let `put` return False."""
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
    """Read a stream to its end and put its batches into the queue ``funnel``. An error is passed to the queue."""
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
                # `ReadRowsStream` resumes a broken stream at the sum of these counts, so a wrong count would lose rows.
                raise TerminalError(
                    f"A message of the read stream {name} contains {batch.num_rows:,} rows, but declares "
                    f"{message.row_count:,}: try again."
                )
            if not funnel.put(batch):
                stream.cancel()
                break
        funnel.end()
    except BaseException as error:  # noqa: BLE001 - the writer's thread raises it
        funnel.end(error)


def _retry(address: BigQueryAddress) -> Any:
    """Return a policy that retries transient errors for `retry_s` seconds, until a response begins.

    After a response has begun, `ReadRowsStream` reconnects with the same policy: on UNAVAILABLE, UNKNOWN, a connection
    reset, and on RESOURCE_EXHAUSTED if BigQuery states how long to wait. No other error is known to be safe to retry in
    the middle of a stream.
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
    """Return a callback that limits the waits that BigQuery requests in a stream to ``limit_s`` seconds in all.

    Google's client calls the callback with each wait in seconds, and has no limit of its own. Beyond the limit, the
    callback raises a TransientError.
    """
    waited = 0.0

    def add(delay_s: float) -> None:
        nonlocal waited
        waited += delay_s
        if waited > limit_s:
            raise TransientError(
                f"BigQuery's quota required a wait of {waited:.0f} s, which is longer than MART_BQ_RETRY_S "
                f"({limit_s:.0f}): try again later; nothing was written."
            )

    return add


def _give_memory_back() -> None:
    """Make glibc return the memory of freed messages to the system at once.

    By default glibc keeps freed memory for each thread, and the amount grows with the number of rows.
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

    # Messages may exceed gRPC's default limit of 4 MiB. Google's own transport has no limit either.
    options = [("grpc.max_receive_message_length", -1)]
    return BigQueryReadGrpcTransport(channel=grpc.insecure_channel(endpoint, options))
