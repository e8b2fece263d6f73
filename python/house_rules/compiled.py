"""Compile the project's SQL for BigQuery, as dbt would send it, without a warehouse."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from house_rules.column_types import UNKNOWN, Type, named

# The selectors of dbt's own generic tests. These tests are not compiled, because they are half of all nodes and their
# SQL is dbt's own.
TESTS_OF_DBT = tuple(
    f"test_name:{name}" for name in ("not_null", "unique", "relationships", "accepted_values")
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled node.

    Attributes:
        path: the node's file; for a generic test, the file of the test's macro.
        source: the text of the file; empty for a seed.
        sql: the compiled SQL; empty for a Python model or a seed.
        table: ``dataset.name`` in lower case; empty if the node creates no table.
        declared: the types that the YAML states, by column. The columns of a Python model are known only from the YAML.
    """

    path: str
    source: str
    sql: str
    table: str
    declared: Mapping[str, Type] = field(default_factory=dict)


def compile_project(
    target: str,
    *,
    only_models: bool = False,
    paths: Sequence[str] = (),
    manifest: Any = None,
) -> list[Compiled]:
    """Compile the project, and return models, snapshots, seeds, analyses and the project's own tests, parents first.

    Call ``forget_bigquery`` first, so that dbt does not query a warehouse.

    Args:
        target: a target of the profile.
        only_models: True to compile only models. The SQL of other nodes is the same in a first build and a later run.
        paths: the files whose nodes are compiled; empty for all files.
        manifest: dbt's manifest of the project; None to parse the project.

    Raises:
        RuntimeError: dbt could not compile the project; the message is dbt's.
    """
    from dbt.cli.main import dbtRunner

    options = ["--quiet", "--target", target, "--threads", "1", "--no-version-check"]
    selected = [f"path:{path}" for path in paths]
    if only_models:
        models = "resource_type:model"
        selected = [f"{models},{one}" for one in selected] or [models]
    chosen = [*(["--select", *selected] if selected else []), "--exclude", *TESTS_OF_DBT]
    outcome = dbtRunner(manifest=manifest).invoke(["compile", *options, *chosen])
    if not outcome.success:
        failed = [
            f"{run.node.original_file_path}: {run.message}"
            for run in getattr(outcome.result, "results", None) or []
            if str(run.status) != "success"
        ]
        raise RuntimeError("\n".join(failed) or str(outcome.exception))
    nodes = {run.node.unique_id: run.node for run in outcome.result.results}
    parents = {name: set(node.depends_on_nodes) & set(nodes) for name, node in nodes.items()}
    tests = own_tests()
    return [
        compiled
        for name in TopologicalSorter(parents).static_order()
        for compiled in _compiled(nodes[name], tests)
    ]


def own_tests() -> dict[str, str]:
    """Return the path of the file of each generic test of the project, by the test's name."""
    return {
        name: str(path)
        for path in sorted(Path("tests/generic").glob("*.sql"))
        for name in re.findall(r"\{%-?\s*test\s+(\w+)", path.read_text(encoding="utf-8"))
    }


def _compiled(node: Any, tests: Mapping[str, str]) -> Iterator[Compiled]:
    kind = str(node.resource_type)
    path = str(node.original_file_path)
    sql = str(node.compiled_code or "") if node.language == "sql" else ""
    if kind == "seed":
        types = {name.lower(): named(type_) for name, type_ in node.config.column_types.items()}
        yield Compiled(path, "", "", _table(node), types)
    elif kind in ("model", "snapshot"):
        declared = {name.lower(): named(c.data_type) for name, c in node.columns.items()}
        yield Compiled(path, Path(path).read_text(encoding="utf-8"), sql, _table(node), declared)
    elif kind == "analysis" or (kind == "test" and path.endswith(".sql")):
        yield Compiled(path, Path(path).read_text(encoding="utf-8"), sql, "")
    elif kind == "test" and (macro := tests.get(str(node.test_metadata.name))):
        # Name the file of the test's macro, which has the SQL. The node's own file is the YAML that calls the test.
        yield Compiled(macro, Path(macro).read_text(encoding="utf-8"), sql, "")


def _table(node: Any) -> str:
    return f"{node.schema}.{node.alias}".lower()


def known_columns(
    compiled: Compiled, found: Mapping[str, Type] | None
) -> Mapping[str, Type] | None:
    """Return the columns of a node's table, with the types that were inferred from the SQL, else the declared types.

    ``found`` has the inferred types; None if the columns could not be inferred. Return None if no column is known.
    """
    if found is None:
        return compiled.declared or None
    return {
        name: compiled.declared.get(name, UNKNOWN) if type_ == UNKNOWN else type_
        for name, type_ in found.items()
    }
