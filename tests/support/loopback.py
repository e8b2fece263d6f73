"""Start servers on loopback for tests, in a process of their own or in threads of this one."""

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
    """Yield what a command wrote when it was ready, into the file whose path is its last argument; stop it at the end.

    The command gets working and temporary folders of its own, which are removed. Without ``environment`` it gets that
    of this process.

    Raises:
        RuntimeError: it did not start; the message has its output.
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
    """Write the address where this process listens to the file that its parent waits for; called when it is ready."""
    part = ready.with_suffix(".part")
    part.write_text(said, encoding="ascii")
    part.rename(ready)


def watch_for_end() -> Callable[[], None]:
    """Start a thread that ends this process when it is told to stop or its parent is gone; called first."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    parent = os.getppid()

    def wait() -> None:
        while not stopped.wait(timeout=1) and os.getppid() == parent:
            continue

    return wait


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # If twenty clients connect at once, none should have to retry a second later.
    request_queue_size = 128


@contextmanager
def serve_http(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Yield the address at which a handler answers, with a thread for each connection."""
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
