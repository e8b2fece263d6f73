"""Run a proxy on loopback in front of the emulator's Storage Read API that injects faults and records requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.cloud.bigquery_storage_v1 import types

_SERVICE = "/google.cloud.bigquery.storage.v1.BigQueryRead/"
_THREADS = 16


@dataclass(slots=True)
class ReadFault:
    """A fault for the first `times` calls of `method`. The proxy responds with an error that has `code` and `message`.

    A stream of rows fails after `spared` messages. `seen` counts the calls of the method.
    """

    method: str
    code: grpc.StatusCode
    message: str
    times: int = 10_000
    spared: int = 0
    seen: int = 0


@dataclass(slots=True)
class ReadProxy:
    """A running proxy: its address, the faults that it injects, and the received requests for sessions and for rows."""

    endpoint: str = ""
    faults: list[ReadFault] = field(default_factory=list)
    sessions: list[Any] = field(default_factory=list)
    reads: list[Any] = field(default_factory=list)

    def fault(self, method: str) -> ReadFault | None:
        """Count a call of a method, and return the fault to inject; None if there is none."""
        for fault in self.faults:
            if fault.method == method:
                fault.seen += 1
                if fault.seen <= fault.times:
                    return fault
        return None


@contextmanager
def run_read_proxy(endpoint: str) -> Iterator[ReadProxy]:
    """Yield a proxy in front of the server at ``endpoint``, a ``host:port``, and stop the proxy on exit."""
    proxy, lock = ReadProxy(), threading.Lock()
    there = grpc.insecure_channel(endpoint, [("grpc.max_receive_message_length", -1)])
    create = there.unary_unary(f"{_SERVICE}CreateReadSession")
    read = there.unary_stream(f"{_SERVICE}ReadRows")

    def create_session(request: bytes, context: grpc.ServicerContext) -> bytes:
        with lock:
            proxy.sessions.append(types.CreateReadSessionRequest.deserialize(request))
            fault = proxy.fault("CreateReadSession")
        if fault is not None:
            context.abort(fault.code, fault.message)
        try:
            answer: bytes = create(request)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        return answer

    def read_rows(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        with lock:
            proxy.reads.append(types.ReadRowsRequest.deserialize(request))
            fault = proxy.fault("ReadRows")
        try:
            # Read the whole stream. A stream that is not read to its end blocks a thread of the emulator forever.
            answers = list(read(request))
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        for number, answer in enumerate(answers):
            if fault is not None and number == fault.spared:
                context.abort(fault.code, fault.message)
            yield answer

    handlers = {
        "CreateReadSession": grpc.unary_unary_rpc_method_handler(create_session),
        "ReadRows": grpc.unary_stream_rpc_method_handler(read_rows),
    }
    service = grpc.method_handlers_generic_handler(_SERVICE.strip("/"), handlers)
    server = grpc.server(
        ThreadPoolExecutor(_THREADS), options=[("grpc.max_send_message_length", -1)]
    )
    server.add_generic_rpc_handlers((service,))
    proxy.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield proxy
    finally:
        server.stop(grace=None).wait()
        there.close()
