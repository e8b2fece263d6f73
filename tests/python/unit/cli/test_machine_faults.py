"""Test the output after faults of the machine: one line for a full disk or memory, nothing for a closed browser.

A fault of the program itself keeps its traceback.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import click
import duckdb
import pytest
from click.testing import CliRunner

from feature_mart.cli.options import explained
from feature_mart.core.settings import resolve_settings
from feature_mart.knowledge.site.serve import open_site


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        duckdb.IOException('IO Error: Could not write file "x.tmp": No space left on device\nmore'),
        duckdb.OutOfMemoryException("Out of Memory Error: could not allocate block"),
    ],
)
def test_a_full_disk_or_memory_is_one_line(error: Exception) -> None:
    @click.command()
    @explained
    def command() -> None:
        raise error

    done = CliRunner().invoke(command)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("mart: ") and done.stderr.count("\n") == 1
    assert done.stderr.endswith("; the mart and its snapshots are unchanged\n")


def test_a_fault_of_the_program_itself_keeps_its_traceback() -> None:
    @click.command()
    @explained
    def command() -> None:
        raise duckdb.BinderException("Binder Error: no such column")

    assert isinstance(CliRunner().invoke(command).exception, duckdb.BinderException)


def test_a_browser_that_leaves_in_the_middle_is_no_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = resolve_settings(environment={"MART_HOME": str(tmp_path)})
    settings.site_dir.mkdir(parents=True)
    (settings.site_dir / "index.html").write_bytes(b"x" * 20_000_000)
    with open_site(settings, 0) as server:
        # Without daemon threads, closing the server waits for the responding thread. So if the thread fails, its
        # traceback is printed before the check below.
        server.daemon_threads = False
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        with socket.create_connection(server.server_address[:2]) as browser:
            browser.sendall(b"GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n")
            assert browser.recv(10)
            # Close the connection with a TCP reset, as a browser may do when the user closes the tab.
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        server.shutdown()
        serving.join()
    assert "Traceback" not in capfd.readouterr().err
