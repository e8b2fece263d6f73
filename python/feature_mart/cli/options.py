"""Define the options, arguments, error handling and JSON output that commands share."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from functools import wraps
from inspect import cleandoc
from typing import Any, ParamSpec, TypeVar

import click

from feature_mart.core.errors import FeatureMartError, StopRequestedError, UsageError

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])
#: Names of the types of DuckDB errors that are caused by the machine, not by a statement. A commit that fails because
#: of the machine raises another type, so errors are also recognized by the operating system's message.
_MACHINE = frozenset({"IOException", "OutOfMemoryException"})
_MACHINE_SAYS = tuple(
    os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
)
_UNCHANGED = "the mart and its snapshots are unchanged"


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """Return the command with expected errors turned into a message and an exit code, without a traceback.

    Expected errors are the project's own, an interruption, and errors of the machine. Other errors are raised
    unchanged. The message is written to stderr. With --json, an error object is also written to stdout, for all errors.
    """

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        is_json = bool(kwargs.get("as_json"))
        try:
            command(*args, **kwargs)
        except FeatureMartError as error:
            _stop(is_json, _kind(error), str(error), error.exit_code)
        except StopRequestedError as error:
            text = "stopped on request; no partial results were kept"
            _stop(is_json, "stopped", text, error.exit_code)
        except KeyboardInterrupt:
            _stop(is_json, "interrupted", "interrupted; no partial results were kept", 130)
        except OSError as error:
            # The machine causes such an error, for example a full disk. The message of the error names the cause.
            _stop(is_json, "machine", f"{error}; {_UNCHANGED}", 1)
        except Exception as error:
            # DuckDB's errors of the machine are recognized by name, to avoid importing DuckDB.
            is_machine = type(error).__name__ in _MACHINE or any(
                said in str(error) for said in _MACHINE_SAYS
            )
            first = (str(error) or type(error).__name__).splitlines()[0]
            if type(error).__module__ != "_duckdb" or not is_machine:
                if is_json:
                    emit_error("internal", f"{type(error).__name__}: {first}", 1)
                raise
            _stop(is_json, "machine", f"{first}; {_UNCHANGED}", 1)

    return guarded


def _kind(error: FeatureMartError) -> str:
    """Return the kind of an error for JSON: the class name in snake case without "Error", as in ``lease_held``.

    For a subclass of a class of `core.errors`, such as UsageError, the class of `core.errors` gives the kind.
    """
    known = next(each for each in type(error).__mro__ if each.__module__ == UsageError.__module__)
    name = known.__name__.removesuffix("Error")
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _stop(is_json: bool, kind: str, message: str, code: int) -> None:
    if is_json:
        emit_error(kind, message, code)
    click.echo(f"mart: {message}", err=True)
    raise SystemExit(code) from None


def emit(document: dict[str, Any]) -> None:
    """Print the JSON output of a command, with the schema's number added as the key `schema`."""
    click.echo(json.dumps({"schema": 1, **document}, default=str, ensure_ascii=False))


def emit_error(kind: str, message: str, exit_code: int) -> None:
    """Print the JSON output of a command that failed."""
    emit({"error": {"kind": kind, "message": message, "exit_code": exit_code}})


json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object instead of text, also for an error.",
)
dwh_option = click.option(
    "--dwh",
    metavar="PLACE",
    help="The raw warehouse: a folder, or a dataset on BigQuery [MART_DWH; the sample].",
)
as_of_option = click.option(
    "--as-of",
    metavar="WHEN",
    help="Refresh to use: a date, or a timestamp with UTC offset [the newest refresh].",
)
full_refresh_option = click.option(
    "--full-refresh", is_flag=True, help="Rebuild every table from all raw rows."
)
#: The explanation of the argument SNAPSHOT, which the help of all commands with this argument shows.
SNAPSHOT_HELP = (
    "SNAPSHOT is an id, a consumer (for its latest snapshot), a folder or an s3:// address; ids and consumers are "
    "looked up in MART_SNAPSHOTS."
)


def snapshot_argument(name: str = "wanted") -> Callable[[F], F]:
    """Return a decorator that adds the argument SNAPSHOT to a command, and its explanation to the command's help."""
    return _explains_snapshot(click.argument(name, metavar="SNAPSHOT"))


def snapshot_option(flag: str, name: str, purpose: str) -> Callable[[F], F]:
    """Return a decorator that adds an option with the value SNAPSHOT, and its explanation to the command's help."""
    return _explains_snapshot(click.option(flag, name, metavar="SNAPSHOT", help=purpose))


def _explains_snapshot(parameter: Callable[[F], F]) -> Callable[[F], F]:
    def add(command: F) -> F:
        text = cleandoc(command.__doc__ or "")
        if SNAPSHOT_HELP not in text:
            command.__doc__ = f"{text}\n\n{SNAPSHOT_HELP}"
        return parameter(command)

    return add
