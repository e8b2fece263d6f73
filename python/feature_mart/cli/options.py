"""Options, error handling and JSON output that commands share."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import click

from feature_mart.core.errors import FeatureMartError, StopRequestedError

P = ParamSpec("P")
#: DuckDB's errors that are caused by the machine, not by a statement. A failed commit has another type, so errors are
#: also recognized by the system's message.
_MACHINE = frozenset({"IOException", "OutOfMemoryException"})
_MACHINE_SAYS = tuple(
    os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
)


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """Turn expected errors into a message and an exit code, without a traceback.

    These are the project's own errors, an interruption, and errors of the machine. Others are raised as they are.
    """

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except FeatureMartError as error:
            _stop(str(error), error.exit_code)
        except StopRequestedError as error:
            _stop("stopped on request; no partial results were kept", error.exit_code)
        except KeyboardInterrupt:
            _stop("interrupted; no partial results were kept", 130)
        except OSError as error:
            # For example a full disk or a folder without write permission; the error names the cause.
            _stop(f"{error}; the mart and its snapshots are unchanged", 1)
        except Exception as error:
            # DuckDB's errors of the machine are recognized by name, to avoid importing DuckDB.
            is_machine = type(error).__name__ in _MACHINE or any(
                said in str(error) for said in _MACHINE_SAYS
            )
            if type(error).__module__ != "_duckdb" or not is_machine:
                raise
            first = str(error).splitlines()[0]
            _stop(f"{first}; the mart and its snapshots are unchanged", 1)

    return guarded


def _stop(message: str, code: int) -> None:
    click.echo(f"mart: {message}", err=True)
    raise SystemExit(code) from None


def emit(document: dict[str, Any]) -> None:
    """Print the JSON output of a command, with the number of its schema."""
    click.echo(json.dumps({"schema": 1, **document}, default=str, ensure_ascii=False))


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object instead of text."
)
as_of_option = click.option(
    "--as-of",
    metavar="WHEN",
    help="Refresh to use: a date, or a timestamp with UTC offset [the newest refresh].",
)
