"""Run a Python model's code without access to files, processes, network or other databases.

Python calls its audit hooks for every file, process and connection that is opened. A hook cannot be removed, so the
process has only one, which acts only on threads that are inside `sealed_off`.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import local
from unittest.mock import patch

import duckdb

from feature_mart.core.errors import TerminalError

_REFUSED = (
    "socket.",
    "subprocess.",
    "os.",
    "shutil.",
    "urllib.",
    "http.",
    "ftplib.",
    "sqlite3.",
    "ctypes.dlopen",
)
#: Audit events that an import raises for the folders on sys.path.
_LOOKING = frozenset({"os.listdir", "os.scandir", "os.getxattr"})
_HERE = local()


@contextmanager
def sealed_off(name: str) -> Iterator[None]:
    """Refuse access to files, processes, network and other databases inside the context; ``name`` names the model.

    Raises:
        TerminalError: the code tried such an access. The error is raised at the end of the context, even if the code
            caught the refusal.
    """
    _watch()
    tried: list[str] = []
    _HERE.tried = tried

    def refuse(*_: object, **__: object) -> None:
        _refuse("another database")

    try:
        # DuckDB opens files in C++, which raises no audit event.
        with (
            patch.object(duckdb, "connect", refuse),
            patch.object(duckdb, "default_connection", refuse),
        ):
            yield
    except Exception:
        if not tried:
            raise
    finally:
        _HERE.tried = None
    if tried:
        raise TerminalError(
            f"{name} accessed {tried[0]}. A Python model may read only the tables of dbt.ref()."
        )


@cache
def _watch() -> None:
    """Add the audit hook, once per process."""
    sys.addaudithook(_heed)


def _heed(event: str, arguments: tuple[object, ...]) -> None:
    if getattr(_HERE, "tried", None) is None:
        return
    if event == "open":
        path = arguments[0]
        if isinstance(path, str | bytes) and not _is_python_s(path):
            _refuse(f"the file {path!r}")
    elif event.startswith(_REFUSED) and not (
        event in _LOOKING and arguments and _is_python_s(arguments[0])
    ):
        _refuse(f"{event} {arguments[0] if arguments else ''}".strip())


def _refuse(what: str) -> None:
    _HERE.tried.append(what)
    raise PermissionError(what)


def _is_python_s(path: object) -> bool:
    """Return True if a path belongs to Python, to an installed package, or to a module on sys.path.

    An import inside a function opens files at such paths.
    """
    text = os.path.realpath(os.fsdecode(path) if isinstance(path, str | bytes) else "")
    if text.startswith(_folders()):
        return True
    searched = {os.path.realpath(folder) for folder in sys.path}
    is_module = text.endswith((".py", ".pyc", ".so"))
    return text in searched or (is_module and text.startswith(tuple(searched)))


@cache
def _folders() -> tuple[str, ...]:
    own = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), "/usr/share/zoneinfo"}
    return tuple(sorted(os.path.realpath(folder) + os.sep for folder in own))
