"""The site on this machine, for its own browser alone."""

from __future__ import annotations

import functools
import http.server
import socket
import sys
from typing import Any

from feature_mart.errors import UsageError
from feature_mart.settings import Settings


class _Server(http.server.ThreadingHTTPServer):
    """A server to which a browser that leaves in the middle of an answer is no error."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def open_site(settings: Settings, port: int) -> http.server.ThreadingHTTPServer:
    """A server of the site, bound to this machine alone; port 0 takes any free one.

    Raises:
        UsageError: there is no site yet, or the port is taken.
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
    """Raise UsageError where a port is taken, before the work that it is wanted for."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        raise _refused(port, error) from None


def _refused(port: int, error: OSError) -> UsageError:
    return UsageError(f"Port {port} cannot be used ({error.strerror}): choose another with --port.")


def serve_docs(settings: Settings, port: int) -> None:
    """Serve the site on this machine only, until interrupted.

    Raises:
        UsageError: as `open_site`.
    """
    with open_site(settings, port) as server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
