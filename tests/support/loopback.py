"""Start servers on loopback for tests, in a process of their own or in threads of this process."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_POLL_S = 0.05


@contextmanager
def run_process(
    name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Start a command, wait for its ready file, yield the text of the file, and stop the process on exit.

    The command gets the path of the ready file as its last argument, and writes the file when it is ready. It runs in a
    temporary folder, with ``environment`` or, if ``environment`` is None, with the environment of this process.

    Raises:
        RuntimeError: the command ended before it was ready. The message contains the end of the command's output.
    """
    with tempfile.TemporaryDirectory() as folder:
        ready, log = Path(folder) / "ready", Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, str(ready)],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env={**(os.environ if environment is None else environment), "TMPDIR": folder},
            )
        try:
            while not ready.exists():
                if process.poll() is not None:
                    said = log.read_text(errors="replace")[-3000:]
                    raise RuntimeError(f"{name} did not start:\n{said}")
                time.sleep(_POLL_S)
            yield ready.read_text(encoding="ascii")
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def say_ready(ready: Path, said: str) -> None:
    """Write ``said``, such as the port of this server, to the ready file for which the parent process waits."""
    part = ready.with_suffix(".part")
    part.write_text(said, encoding="ascii")
    part.rename(ready)


def watch_for_end() -> Callable[[], None]:
    """Return a function that waits for SIGTERM or the end of the parent process. Call this before the server starts."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    parent = os.getppid()

    def wait() -> None:
        while not stopped.wait(timeout=1) and os.getppid() == parent:
            continue

    return wait


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # With the default of 5, a client may have to retry after a second if twenty clients connect at once.
    request_queue_size = 128


@contextmanager
def serve_http(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve a handler on a free port with one thread per connection, and yield the URL of the server."""
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
