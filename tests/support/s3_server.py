"""Serve S3 on loopback for tests, by an emulator of AWS that has a virtual environment of its own.

``.venv-aws/bin/python tests/support/s3_server.py READY`` serves until it is stopped or its parent process ends, and
writes its port to the file READY. Objects are in memory and are lost when the process ends.
tests/python/integration/storage/test_s3_server.py tests which behaviour of S3 the emulator has and which it lacks.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loopback import run_process, say_ready, watch_for_end

_PYTHON = Path(__file__).parents[2] / ".venv-aws" / "bin" / "python"
#: A clean environment without an AWS profile, a proxy or Docker. With Docker, the emulator would remove containers.
_ENVIRONMENT = {
    "PATH": os.defpath,
    "BIND_HOST": "127.0.0.1",
    "DOCKER_HOST": "unix:///nowhere",
    "SERVICES": "s3",
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
    "LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True, slots=True)
class S3Server:
    """The URL of a running server, without TLS."""

    endpoint: str


@contextmanager
def run_s3() -> Iterator[S3Server]:
    """Start an S3 server without buckets in a process of its own, yield its address, and stop the process on exit.

    Raises:
        RuntimeError: the virtual environment of the server is missing, or the server did not start. In the latter case
            the message contains the end of the server's output.
    """
    if not _PYTHON.exists():
        raise RuntimeError(f"the tests' S3 needs {_PYTHON.parents[1]}, not there: make venv-aws")
    with run_process("the tests' S3", [str(_PYTHON), __file__], _ENVIRONMENT) as port:
        yield S3Server(f"http://127.0.0.1:{port}")


def _serve(ready: Path) -> None:
    wait_for_end = watch_for_end()
    listener = socket.create_server(("127.0.0.1", 0))
    port = str(listener.getsockname()[1])
    os.environ["GATEWAY_PORT"] = port
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    async def until_end() -> None:
        """Write the port to the ready file and wait for the end. The server calls this when it listens."""
        say_ready(ready, port)
        await asyncio.to_thread(wait_for_end)

    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    # Keep idle connections longer than clients do, so that no client reuses a connection that the server has closed.
    config.keep_alive_timeout = 300
    config.graceful_timeout = 0
    config.loglevel = "WARNING"
    asyncio.run(serve(app, config, shutdown_trigger=until_end))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
