"""Run a proxy on loopback in front of the emulator that injects faults of BigQuery and byte counts of dry runs.

Unlike the emulator, the proxy also refuses a job whose id has been used, as BigQuery does.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from busy_machine import PATIENCE_S
from loopback import serve_http

_DUPLICATE = (
    409,
    b'{"error": {"code": 409, "message": "Already Exists: Job", "errors": [{"reason": "duplicate"}]}}',
    "application/json",
)


@dataclass(slots=True)
class Fault:
    """A fault for requests whose method, path or body contains `on`.

    The first `spared` such requests pass, and the next `times` of them fail. `how` is ``status`` (an error response),
    ``hang`` (no response), ``cut`` (the request is not forwarded, and the connection is closed) or ``lost`` (the
    request is carried out, and the connection is closed in the middle of the response). `seen` counts the matching
    requests.
    """

    how: str
    on: str
    times: int = 10_000
    spared: int = 0
    status: int = 500
    reason: str = "backendError"
    message: str = "it went wrong"
    seen: int = 0


@dataclass(slots=True)
class Proxy:
    """A running proxy: its address, the faults that it injects, and the requests and jobs that it has received.

    `bytes_by_text` has pairs of a text and a byte count. A dry run gets the count of the first pair whose text is in
    the request, or 0. With no pairs, the emulator's count is kept.
    """

    endpoint: str
    faults: list[Fault] = field(default_factory=list)
    bytes_by_text: Sequence[tuple[str, int]] = ()
    requests: list[str] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def run_proxy(port: int) -> Iterator[Proxy]:
    """Yield a proxy in front of the emulator's REST port ``port``, and stop the proxy on exit."""
    released = threading.Event()
    lock = threading.Lock()
    job_ids: set[str | None] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            return

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            text = f"{self.command} {self.path} {body.decode(errors='replace')}"
            with lock:
                proxy.requests.append(f"{self.command} {self.path}")
                if self.command == "POST" and body[:1] == b"{" and "/jobs" in self.path:
                    proxy.jobs.append(json.loads(body))
                fault = self._fault(text)
            if fault is not None and fault.how == "status":
                error = {"reason": fault.reason, "message": fault.message}
                document = {
                    "error": {"code": fault.status, "message": fault.message, "errors": [error]}
                }
                self._answer(fault.status, json.dumps(document).encode())
                return
            if fault is not None and fault.how == "hang":
                released.wait()
                self.close_connection = True
                return
            if fault is not None and fault.how == "cut":
                self.close_connection = True
                self.connection.close()
                return
            status, answer, kind = self._forward(body) if self._is_new(body) else _DUPLICATE
            answer = self._with_bytes(text, answer)
            if fault is not None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer[: len(answer) // 2])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return
            self._answer(status, answer, kind)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

        def _is_new(self, body: bytes) -> bool:
            """Return False if the body starts a job with a used id, which BigQuery refuses and the emulator runs."""
            if self.command != "POST" or not self.path.split("?")[0].endswith("/jobs"):
                return True
            reference = json.loads(body).get("jobReference") or {}
            with lock:
                is_new = reference.get("jobId") not in job_ids
                job_ids.add(reference.get("jobId"))
            return is_new

        def _fault(self, text: str) -> Fault | None:
            for fault in proxy.faults:
                if fault.on in text:
                    fault.seen += 1
                    if fault.spared < fault.seen <= fault.spared + fault.times:
                        return fault
            return None

        def _forward(self, body: bytes) -> tuple[int, bytes, str]:
            there = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            try:
                headers = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() not in {"host", "accept-encoding", "connection"}
                }
                there.request(self.command, self.path, body, headers)
                answer = there.getresponse()
                location = answer.getheader("Location")
                if location:
                    # A client resumes an upload at this address, so the address must be that of the proxy.
                    self.upload_to = location.replace(f":{port}", f":{self.server.server_port}")
                kind = answer.getheader("Content-Type") or "application/json"
                return answer.status, answer.read(), kind
            finally:
                there.close()

        def _with_bytes(self, text: str, answer: bytes) -> bytes:
            if '"dryRun": true' not in text or not proxy.bytes_by_text:
                return answer
            count = next((count for part, count in proxy.bytes_by_text if part in text), 0)
            document = json.loads(answer)
            statistics = document.setdefault("statistics", {})
            statistics["totalBytesProcessed"] = str(count)
            statistics.setdefault("query", {})["totalBytesProcessed"] = str(count)
            return json.dumps(document).encode()

        upload_to = ""

        def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if self.upload_to:
                self.send_header("Location", self.upload_to)
                self.upload_to = ""
            self.end_headers()
            self.wfile.write(body)

    proxy = Proxy("")
    with serve_http(Handler) as proxy.endpoint:
        try:
            yield proxy
        finally:
            released.set()
