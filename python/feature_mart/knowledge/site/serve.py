"""Serve the site on localhost."""

from __future__ import annotations

import functools
import http.server
import socket
import sys
from datetime import UTC, datetime
from typing import Any

from feature_mart.core.errors import UsageError
from feature_mart.core.settings import Settings
from feature_mart.runner.state import check_address


class _Server(http.server.ThreadingHTTPServer):
    """An HTTP server that ignores errors of connections that the browser closes during a response."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def written_at(settings: Settings) -> datetime | None:
    """Return the time at which the site was written; None if there is no site yet.

    Raises:
        UsageError: the state folder belongs to another warehouse of the same name.
    """
    check_address(settings)
    try:
        return datetime.fromtimestamp((settings.site_dir / "index.html").stat().st_mtime, UTC)
    except (FileNotFoundError, NotADirectoryError):
        return None


def open_site(settings: Settings, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server of the site, bound to 127.0.0.1. Port 0 takes any free port.

    Raises:
        UsageError: there is no site yet, or the port cannot be used.
    """
    if not (settings.site_dir / "index.html").is_file():
        raise UsageError(f"There is no site at {settings.site_dir} yet: run `mart docs` first.")
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(settings.site_dir)
    )
    try:
        return _Server(("127.0.0.1", port), handler)
    except OSError as error:
        raise _refused(port, error) from None


def check_port(port: int) -> None:
    """Check that a port is free, so that a port in use is reported before the site is built.

    Raises:
        UsageError: the port cannot be used.
    """
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        raise _refused(port, error) from None


def _refused(port: int, error: OSError) -> UsageError:
    return UsageError(
        f"Port {port} cannot be used ({error.strerror}): choose another port with --port."
    )


def serve_docs(settings: Settings, port: int) -> None:
    """Serve the site on localhost until interrupted.

    Raises:
        UsageError: there is no site yet, or the port cannot be used.
    """
    with open_site(settings, port) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
