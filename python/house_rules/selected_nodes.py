"""Select the nodes of dbt's manifest that belong to changed files, for a check of these files only."""

from collections.abc import Sequence
from typing import Any

from house_rules.sent_statements import own_tests

#: dbt's own generic tests, which are half of all nodes. Their SQL is dbt's, so no check reads them.
TESTS_OF_DBT = ("not_null", "unique", "relationships", "accepted_values")


def select_nodes(
    manifest: Any, paths: Sequence[str], *, is_downstream: bool
) -> tuple[set[str], set[str]]:
    """Return the names of the nodes of some files, for dbt's option ``--select``, and the tables that they make.

    Args:
        manifest: dbt's manifest.
        paths: SQL files of models, tests, macros of generic tests, and analyses.
        is_downstream: True to add the nodes that depend on them. Their own tests are always added.
    """
    named = {name for name, path in own_tests().items() if path in paths}
    found = {
        key
        for key, node in manifest.nodes.items()
        if node.original_file_path in paths or _test_name(node) in named
    }
    manifest.build_parent_and_child_maps()
    waiting = list(found)
    while waiting:
        for child in manifest.child_map.get(waiting.pop(), ()):
            if child not in found and (is_downstream or child.startswith(("test.", "unit_test."))):
                found.add(child)
                waiting.append(child)
    nodes = [manifest.nodes[key] for key in found if key in manifest.nodes]
    names = {node.name for node in nodes if _test_name(node) not in TESTS_OF_DBT}
    names |= {manifest.unit_tests[key].name for key in found if key in manifest.unit_tests}
    tables = {f"{node.database}.{node.schema}.{node.alias}" for node in nodes}
    return names, tables


def _test_name(node: Any) -> str:
    return str(getattr(getattr(node, "test_metadata", None), "name", ""))
