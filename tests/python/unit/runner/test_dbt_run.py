"""Test what a dbt run in this process returns or raises."""

from __future__ import annotations

import errno
import io
import logging
from pathlib import Path
from typing import Any

import pytest
from dbt.cli.main import dbtRunner, dbtRunnerResult

from feature_mart.core.settings import resolve_settings
from feature_mart.runner.dbt import invoke_dbt

PROJECT = Path(__file__).parents[4]


@pytest.mark.parametrize("chained", ["directly", "on cancelling", "by a wrapper"])
def test_an_interrupt_stays_one_where_cancelling_fails(
    chained: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbtRunner, "invoke", lambda *_: dbtRunnerResult(False, _hidden(chained)))
    with pytest.raises(KeyboardInterrupt):
        _invoke(tmp_path)


def test_a_failure_without_an_interrupt_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = dbtRunnerResult(False, RuntimeError("no such profile\n\nsay which"))
    monkeypatch.setattr(dbtRunner, "invoke", lambda *_: failed)
    assert _invoke(tmp_path).problem == "no such profile say which"


def test_a_log_that_cannot_be_written_prints_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class FullDisk(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    logger = logging.Logger("file")
    logger.addHandler(logging.StreamHandler(FullDisk()))

    def log(*_: object) -> dbtRunnerResult:
        logger.warning("a line")
        return dbtRunnerResult(True)

    monkeypatch.setattr(dbtRunner, "invoke", log)
    assert _invoke(tmp_path).success and capsys.readouterr().err == ""
    assert logging.raiseExceptions, "it holds while dbt runs only"


def _invoke(folder: Path) -> Any:
    settings = resolve_settings(
        environment={"MART_HOME": str(folder), "MART_PROJECT_DIR": str(PROJECT)}
    )
    return invoke_dbt(settings, ["run"], step="run", database=folder / "d.duckdb", variables={})


def _hidden(chained: str) -> BaseException:
    """Return an interrupt as dbt may raise it: directly, or as the context or the cause of another error."""
    stop = KeyboardInterrupt()
    closed = ConnectionError("Connection already closed!")
    if chained == "directly":
        return stop
    if chained == "on cancelling":
        closed.__context__ = stop
    else:
        closed.__cause__ = stop
    return closed
