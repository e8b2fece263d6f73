"""Serve BigQuery's REST and Storage Read interfaces on loopback for tests, by an emulator that runs on DuckDB.

``python tests/support/bigquery_emulator.py READY`` serves until it is stopped or its parent process ends, and writes
its two ports as ``rest grpc`` to the file READY. This module patches the emulator where the emulator cannot do what the
mart needs; dbt and Google's clients are never patched. Each patch except `spare_parsing` has a test that fails when the
patch is no longer needed (tests/python/integration/bigquery/test_emulator.py). docs/bigquery.md says what a passing
test against the emulator does not prove.
"""

from __future__ import annotations

import functools
import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopback import run_process, say_ready, watch_for_end

_MESSAGE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Emulator:
    """The ports of a running emulator."""

    rest_port: int
    grpc_port: int

    @property
    def endpoint(self) -> str:
        """Return the value for ``MART_BQ_API_ENDPOINT``, a URL with its scheme."""
        return f"http://127.0.0.1:{self.rest_port}"

    @property
    def storage_endpoint(self) -> str:
        """Return the value for ``MART_BQ_STORAGE_ENDPOINT``, a ``host:port`` without TLS."""
        return f"127.0.0.1:{self.grpc_port}"


@contextmanager
def run_emulator() -> Iterator[Emulator]:
    """Start the emulator in a process of its own, yield its ports, and stop the process on exit.

    Raises:
        RuntimeError: the emulator did not start. The message contains the end of the emulator's output.
    """
    with run_process("the emulator", [sys.executable, __file__]) as ports:
        rest, grpc = ports.split()
        yield Emulator(int(rest), int(grpc))


def patch_boot() -> None:
    """Make the emulator start without the DuckDB extension for GEOGRAPHY if the extension cannot be loaded."""
    import duckdb
    from bqemulator.storage.engine import DuckDBEngine

    def load_if_there(self: Any) -> None:
        try:
            self._connection.execute("LOAD spatial")
        except duckdb.Error as error:
            print(f"without GEOGRAPHY: {str(error).splitlines()[0]}")

    DuckDBEngine._load_spatial = load_if_there


def patch_contracts() -> None:
    """Make the emulator find the SELECT of a table with a contract, around which dbt writes parentheses."""
    from bqemulator.sql.rewriter import create_table_schema_ctas
    from sqlglot import exp

    first_select = create_table_schema_ctas._first_select

    def unwrapped(body: exp.Expression | None) -> exp.Select | None:
        while isinstance(body, exp.Subquery):
            body = body.this
        return first_select(body)

    create_table_schema_ctas._first_select = unwrapped


def patch_null_order() -> None:
    """Keep `nulls last` in window functions. SQLGlot, with which the emulator rewrites SQL, drops the clause."""
    from sqlglot.generators.bigquery import BigQueryGenerator

    BigQueryGenerator.NULL_ORDERING_SUPPORTED = True


def patch_literals() -> None:
    """Append `e0` to float literals that SQLGlot's tokenizer finds.

    The emulator finds float literals by a search of its own, which fails near triple quotes and comments.
    """
    import sqlglot
    from bqemulator.sql import translator
    from sqlglot.tokens import TokenType

    def mark_floats(bq_sql: str) -> str:
        parts, done = [], 0
        for token in sqlglot.tokenize(bq_sql, read="bigquery"):
            text = token.text.lower()
            if token.token_type == TokenType.NUMBER and "." in text and "e" not in text:
                parts.append(bq_sql[done : token.end + 1] + "e0")
                done = token.end + 1
        return "".join(parts) + bq_sql[done:]

    translator.rewrite_decimal_literals = mark_floats


def patch_reads() -> None:
    """Send the rows of a stream from the requested offset on, in messages that gRPC accepts.

    The emulator ignores the offset, and its messages exceed gRPC's size limit if the rows are wide.
    """
    from bqemulator.grpc_api import read_servicer
    from bqemulator.streaming.read_session import get_session
    from google.cloud.bigquery_storage_v1 import types

    handler = read_servicer.BigQueryReadHandler
    read = handler._handle_read_rows

    def read_from(self: Any, request_bytes: bytes, context: Any) -> Iterator[bytes]:
        request = types.ReadRowsRequest.deserialize(request_bytes)
        session_name = request.read_stream.rpartition("/streams/")[0]
        rows = read_servicer.get_stream_data(session_name, request.read_stream)
        if rows is None:
            yield from read(self, request_bytes, context)
            return
        schema = types.ArrowSchema(serialized_schema=get_session(session_name).arrow_schema_bytes)
        length = max(1, _MESSAGE_BYTES * rows.num_rows // max(1, rows.nbytes))
        for batch in rows.slice(request.offset).to_batches(max_chunksize=length):
            packed = read_servicer.serialize_arrow_record_batch(batch)
            answer = types.ReadRowsResponse(
                row_count=batch.num_rows,
                arrow_schema=schema,
                arrow_record_batch=types.ArrowRecordBatch(serialized_record_batch=packed),
            )
            yield types.ReadRowsResponse.serialize(answer)

    handler._handle_read_rows = read_from


def spare_parsing() -> None:
    """Cache the parsed statements.

    The cache only saves time. The emulator spends most of its time on parsing, about a dozen times for each statement.
    """
    import sqlglot

    parse_one = sqlglot.parse_one
    parsed = functools.lru_cache(maxsize=200)(lambda sql, read: parse_one(sql, read=read))

    def parse(sql: str, read: Any = None, **options: Any) -> Any:
        return parse_one(sql, read=read, **options) if options else parsed(sql, read).copy()

    sqlglot.parse_one = parse


PATCHES = (
    patch_boot,
    patch_contracts,
    patch_null_order,
    patch_literals,
    patch_reads,
    spare_parsing,
)


def _serve(ready: Path) -> None:
    wait_for_end = watch_for_end()
    os.environ["OTEL_SDK_DISABLED"] = "true"
    # The emulator package's test helpers import a container library that is not installed, so they are replaced.
    helpers = types.ModuleType("bqemulator.testing.testcontainers")
    helpers.BigQueryEmulatorContainer = object
    sys.modules[helpers.__name__] = helpers
    from bqemulator.config import Settings
    from bqemulator.testing._thread_runner import ThreadedEmulator

    for patch in PATCHES:
        patch()
    server = ThreadedEmulator(
        Settings(
            rest_port=0,
            grpc_port=0,
            enable_format_extensions=False,
            gcs_local_root=Path.cwd() / "gcs",
        )
    )
    server.start()
    say_ready(ready, f"{server.server.rest_port} {server.server.grpc_port}")
    wait_for_end()
    server.stop()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
