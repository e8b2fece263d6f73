"""Run the longest tests first, so that the workers end at about the same time, and configure Python and hypothesis."""

from __future__ import annotations

import ast
import gc
import sys

import pytest
from hypothesis import HealthCheck, settings

from busy_machine import parse_again

# With the default thresholds, garbage collection takes a tenth of the suite's time, because manifests and syntax trees
# are large object graphs.
gc.set_threshold(100_000, 50, 100)

#: The modules of integration tests that take longest, the longest first. All other modules come after these.
_LONGEST = (
    "test_bigquery_mart.py",
    "test_commands.py",
    "test_bad_input.py",
    "test_bigquery_faults.py",
    "test_planted_changes.py",
    "test_site.py",
    "test_quality.py",
    "test_oracle.py",
    "test_audit_commands.py",
    "test_environment.py",
)

# Examples have no deadline, because their time depends on the load of the machine.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


if sys.version_info < (3, 11, 8):
    ast.parse = parse_again(ast.parse)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest modules first, and keep the order within each module."""

    def rank(item: pytest.Item) -> int:
        is_long = "integration" in item.path.parts and item.path.name in _LONGEST
        return _LONGEST.index(item.path.name) if is_long else len(_LONGEST)

    items.sort(key=rank)
