"""Run the tests that take longest first, so that no worker is left with them at the end."""

from __future__ import annotations

import ast
import gc
import sys

import pytest
from hypothesis import HealthCheck, settings

from busy_machine import parse_again

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


if sys.version_info < (3, 11, 8):
    ast.parse = parse_again(ast.parse)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest modules first; within a module their order stays."""

    def rank(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((n for n, name in enumerate(_LONGEST) if path.endswith(name)), len(_LONGEST))

    items.sort(key=rank)
