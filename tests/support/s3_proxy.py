"""Run a proxy on loopback in front of an S3 server that injects faults and records requests.

The proxy forwards bodies block by block, so that its memory never contains a whole part of a snapshot.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from busy_machine import PATIENCE_S
from loopback import serve_http

_BLOCK = 256 * 1024
#: Headers that are not forwarded, because they concern one connection. The proxy answers `Expect` itself.
_OF_ONE_LEG = frozenset({"connection", "keep-alive", "expect", "te"})


@dataclass(slots=True)
class Fault:
    """A fault for requests with this method and header whose path or query contains `on`.

    An empty `method` or `header` matches every request; `header` is in lower case. The first `spared` matching requests
    pass, and the next `times` fail. If several faults match a request, the first in the list applies.

    `how` is one of:
        status: the request is not forwarded. The response is S3's error document with `status` and `code`. The status
            may be 200, which S3 sends for an error after the start of its response.
        cut: the connection is reset in the middle of the body, and nothing is forwarded.
        lost: the request is carried out. The response ends in its middle; an empty response is not sent.
        hang: the request is not forwarded, and there is no response.
        corrupt: the request is forwarded with one bit of its body flipped.
        blind: the request is forwarded without `header`, as to a service that ignores the header.
    """

    how: str
    method: str
    on: str
    times: int = 10_000
    spared: int = 0
    status: int = 500
    code: str = "InternalError"
    message: str = "it went wrong"
    header: str = ""
    seen: int = 0


@dataclass(slots=True)
class Request:
    """A request that the proxy has received.

    Header names are in lower case. `length` is the number of bytes of the body. `status` is the status of the response,
    or 0 if no whole response was sent. `fault` is the kind of the injected fault, or empty if there was no fault.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    fault: str = ""
    length: int = 0
    status: int = 0


@dataclass(slots=True)
class Proxy:
    """A running proxy: its address, the faults that it injects, and the requests so far in order."""

    endpoint: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def asked(self, method: str, on: str = "") -> list[Request]:
        """Return the requests with this method whose path contains ``on``."""
        return [asked for asked in self.requests if asked.method == method and on in asked.path]


@contextmanager
def run_proxy(endpoint: str) -> Iterator[Proxy]:
    """Yield a proxy in front of the S3 server at the URL ``endpoint``, and stop the proxy on exit."""
    host = urlsplit(endpoint).netloc
    released = threading.Event()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            return

        def _serve(self) -> None:
            address = urlsplit(self.path)
            query = dict(parse_qsl(address.query, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, unquote(address.path), query, headers)
            with lock:
                proxy.requests.append(request)
                fault = self._fault(headers)
            request.fault = fault.how if fault is not None else ""
            try:
                self._befall(request, fault)
            except (OSError, http.client.HTTPException):
                # The client or the server closed a connection. Close the connection to the client as well.
                self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names

        def _fault(self, headers: Mapping[str, str]) -> Fault | None:
            for fault in proxy.faults:
                is_there = not fault.header or fault.header in headers
                on = is_there and fault.on in unquote(self.path)
                if on and fault.method in {"", self.command}:
                    fault.seen += 1
                    if fault.spared < fault.seen <= fault.spared + fault.times:
                        return fault
            return None

        def _befall(self, request: Request, fault: Fault | None) -> None:
            how = fault.how if fault is not None else ""
            if fault is None or how in {"lost", "corrupt", "blind"}:
                hidden = fault.header if fault is not None and how == "blind" else ""
                self._forward(request, hidden, is_corrupt=how == "corrupt", is_lost=how == "lost")
                return
            if how == "cut":
                half = int(request.headers.get("content-length") or 0) // 2
                deque(self._blocks(request, half), maxlen=0)
                self._reset()
                return
            deque(self._body(request), maxlen=0)
            if how == "hang":
                released.wait()
                self._reset()
                return
            self._refuse(request, fault)

        def _body(self, request: Request) -> Iterator[bytes]:
            """Yield the body block by block without chunked transfer encoding, and count its bytes in the request."""
            if "chunked" in request.headers.get("transfer-encoding", ""):
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    yield from self._blocks(request, size)
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    continue
            else:
                yield from self._blocks(request, int(request.headers.get("content-length") or 0))

        def _blocks(self, request: Request, size: int) -> Iterator[bytes]:
            while size:
                block = self.rfile.read(min(size, _BLOCK))
                if not block:
                    raise ConnectionError("the client broke off")
                size -= len(block)
                request.length += len(block)
                yield block

        def _corrupted(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
            """Yield the blocks, with one bit flipped in the middle byte of the first block."""
            for number, block in enumerate(blocks):
                if number:
                    yield block
                    continue
                spoilt = bytearray(block)
                spoilt[len(spoilt) // 2] ^= 1
                yield bytes(spoilt)

        def _forward(
            self, request: Request, hidden: str, *, is_corrupt: bool, is_lost: bool
        ) -> None:
            kept = request.headers.items()
            headers = {n: v for n, v in kept if n not in _OF_ONE_LEG and n.lower() != hidden}
            # A client that sends chunks gives no length, so the proxy sends chunks too.
            is_chunked = "transfer-encoding" in headers
            body = self._body(request) if is_chunked or "content-length" in headers else None
            if body is not None and is_corrupt:
                body = self._corrupted(body)
            there = http.client.HTTPConnection(host, timeout=PATIENCE_S)
            try:
                there.request(self.command, self.path, body, headers, encode_chunked=is_chunked)
                answer = there.getresponse()
                if is_lost:
                    self._lose(answer)
                else:
                    request.status = answer.status
                    self._answer(answer)
            finally:
                there.close()

        def _start(self, answer: http.client.HTTPResponse, length: int) -> None:
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in {*_OF_ONE_LEG, "transfer-encoding", "content-length"}:
                    self.send_header(name, value)
            if answer.status != HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", str(length))
            self.end_headers()

        def _answer(self, answer: http.client.HTTPResponse) -> None:
            length = answer.getheader("Content-Length")
            if length is None:
                whole = answer.read()
                self._start(answer, len(whole))
                self.wfile.write(whole)
                return
            self._start(answer, int(length))
            while block := answer.read(_BLOCK):
                self.wfile.write(block)

        def _lose(self, answer: http.client.HTTPResponse) -> None:
            whole = answer.read()
            if not whole:
                self._reset()
                return
            self._start(answer, len(whole))
            self.wfile.write(whole[: len(whole) // 2])
            self.close_connection = True

        def _refuse(self, request: Request, fault: Fault) -> None:
            request.status = fault.status
            document = (
                '<?xml version="1.0" encoding="UTF-8"?>\n'
                f"<Error><Code>{escape(fault.code)}</Code><Message>{escape(fault.message)}</Message>"
                "<RequestId>proxy</RequestId><HostId>proxy</HostId></Error>"
            ).encode()
            self.send_response(fault.status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(document)

        def _reset(self) -> None:
            """Close the connection with a TCP reset instead of a FIN."""
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    proxy = Proxy("")
    with serve_http(Handler) as proxy.endpoint:
        try:
            yield proxy
        finally:
            released.set()
