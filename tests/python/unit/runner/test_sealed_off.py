"""Test that a Python model that reaches a file, process, connection or database fails, even if it catches the error."""

from __future__ import annotations

import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from feature_mart.core.errors import TerminalError
from feature_mart.runner.sealed_off import sealed_off


def opens(path: Path) -> None:
    path.read_text()


def writes(path: Path) -> None:
    path.with_name("kept").write_text("for the next build")


def lists(path: Path) -> None:
    list(path.parent.iterdir())


def starts(_: Path) -> None:
    subprocess.run(["true"], check=True)


def asks(_: Path) -> None:
    socket.create_connection(("127.0.0.1", 9))


def connects(path: Path) -> None:
    duckdb.connect(str(path))


REACHES = [opens, writes, lists, starts, asks, connects]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "rows").write_text("1")
    return tmp_path / "rows"


@pytest.mark.parametrize("reach", REACHES)
def test_what_reaches_beside_its_inputs_is_refused_by_the_model_s_name(
    reach: object, path: Path
) -> None:
    with (
        pytest.raises(TerminalError, match="feat_x accessed "),
        sealed_off("feat_x"),
    ):
        reach(path)  # type: ignore[operator]
    assert not path.with_name("kept").exists()


@pytest.mark.parametrize("reach", REACHES)
def test_a_refusal_that_is_caught_is_told_all_the_same(reach: object, path: Path) -> None:
    with (
        pytest.raises(TerminalError, match="feat_x accessed "),
        sealed_off("feat_x"),
        suppress(Exception),
    ):
        reach(path)  # type: ignore[operator]


def test_what_computes_runs_and_may_import_late(path: Path) -> None:
    with sealed_off("feat_x"):
        import colorsys

        assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)
        assert duckdb.sql is not None
    assert path.read_text() == "1", "outside of the model files are open again"


def test_a_failure_of_the_model_s_own_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), sealed_off("feat_x"):
        _ = 1 / 0
