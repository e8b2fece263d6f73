"""The project's SQL as dbt sends it to BigQuery, compiled with no warehouse there."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from house_rules.column_types import UNKNOWN, Type, named

# Half of all nodes, and not of this project's writing.
TESTS_OF_DBT = tuple(
    f"test_name:{name}" for name in ("not_null", "unique", "relationships", "accepted_values")
)


@dataclass(frozen=True, slots=True)
class Compiled:
    """One node.

    Attributes:
        path: its file; of a generic test the macro's file.
        source: that file as written.
        sql: what is sent; empty for a Python model or a seed, which have none.
        table: ``dataset.name`` in lower case; empty for what makes none.
        declared: types of its columns as far as the YAML states them; the names it gives of a
            Python model are all there are.
    """

    path: str
    source: str
    sql: str
    table: str
    declared: Mapping[str, Type] = field(default_factory=dict)


def compile_project(target: str, *, only_models: bool = False) -> list[Compiled]:
    """Models, seeds, analyses and the project's own tests, parents first.

    Call ``forget_bigquery`` before: nothing may ask the warehouse.

    Args:
        target: of the profile.
        only_models: leave out the rest, which is the same SQL for a first build and a later run.

    Raises:
        RuntimeError: dbt could not compile; says what it said.
    """
    from dbt.cli.main import dbtRunner

    options = ["--quiet", "--target", target, "--threads", "1", "--no-version-check"]
    chosen = ["--select", "resource_type:model"] if only_models else ["--exclude", *TESTS_OF_DBT]
    outcome = dbtRunner().invoke(["compile", *options, *chosen])
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
    """The files of this project's own generic tests, by name."""
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
        # Its own file is the YAML that calls it; its SQL is the macro's.
        yield Compiled(macro, Path(macro).read_text(encoding="utf-8"), sql, "")


def _table(node: Any) -> str:
    return f"{node.schema}.{node.alias}".lower()


def known_columns(
    compiled: Compiled, found: Mapping[str, Type] | None
) -> Mapping[str, Type] | None:
    """A table's columns: as its SQL makes them, and where that is unknown, as declared."""
    if found is None:
        return compiled.declared or None
    return {
        name: compiled.declared.get(name, UNKNOWN) if type_ == UNKNOWN else type_
        for name, type_ in found.items()
    }
