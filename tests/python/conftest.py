"""Run the tests that take longest first, so that no worker is left with them at the end."""

from __future__ import annotations

import ast
import gc
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Manifests and syntax trees are large graphs: at its default rate the collector takes a tenth of the suite's time.
gc.set_threshold(100_000, 50, 100)

#: Modules that build whole marts, the longest first. All other modules come after them.
_LONGEST = (
    "integration/test_bigquery_mart.py",
    "integration/test_commands.py",
    "integration/test_bad_input.py",
    "integration/test_bigquery_faults.py",
    "integration/test_planted_changes.py",
    "integration/test_site.py",
    "integration/test_quality.py",
    "integration/test_oracle.py",
    "integration/test_audit_commands.py",
    "integration/test_environment.py",
)

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def parse_again(*arguments: Any, tries: int = 20, **options: Any) -> ast.AST:
    """Parse as ``ast.parse`` does, and again if the interpreter loses count of its own recursion.

    Before 3.11.8, CPython keeps one such count for all threads. It raises SystemError, "AST constructor recursion depth
    mismatch", if two parse at once. pytest parses the files of a traceback to show a failure, and would crash.
    """
    for _ in range(tries - 1):
        try:
            return _PARSE(*arguments, **options)
        except SystemError:
            continue
    return _PARSE(*arguments, **options)


_PARSE = ast.parse
if sys.version_info < (3, 11, 8):
    ast.parse = parse_again


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest modules first; within a module their order stays."""

    def rank(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((n for n, name in enumerate(_LONGEST) if path.endswith(name)), len(_LONGEST))

    items.sort(key=rank)
