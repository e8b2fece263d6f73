"""Find SQL that DuckDB runs and BigQuery would refuse or compute differently.

Usage: ``python -m house_rules.portability``. dbt compiles the project for BigQuery without network access, as a first
build and as a later run. The compiled SQL is parsed, and the types of columns are inferred. The program prints one line
per finding; the exit code is 1 if there is a finding. The BigQuery emulator of the tests cannot find such SQL, because
the emulator runs on DuckDB.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from house_rules.bigquery_shapes import shape_problems
from house_rules.bigquery_types import output_problems, type_problems
from house_rules.compiled import Compiled, compile_project, known_columns
from house_rules.query_names import Columns, Problem, Reading, Rule, read
from house_rules.source_lines import source_line
from house_rules.sql import Finding, allowed_lines
from house_rules.sqlfluff import TARGETS, forget_bigquery, scratch_environment


@dataclass(frozen=True, slots=True)
class Broken:
    """A violation of a rule at a line of compiled SQL."""

    line: int
    rule: Rule
    remedy: str


def check_query(sql: str, catalog: Mapping[str, Columns], makes_table: bool) -> list[Broken]:
    """Return the violations in a compiled query, without duplicates.

    ``catalog`` has the columns of known tables by ``dataset.name``. ``makes_table`` is True if the query's result
    becomes a table, whose column types are then checked.
    """
    broken, _ = _check(sql, catalog, makes_table)
    return broken


def _check(
    sql: str, catalog: Mapping[str, Columns], makes_table: bool
) -> tuple[list[Broken], Columns]:
    try:
        tree = sqlglot.parse_one(sql, read="bigquery")
    except SqlglotError as error:
        lines = [one.get("line") or 1 for one in getattr(error, "errors", [])]
        return [Broken(min(lines, default=1), "parse", str(error).splitlines()[0])], None
    reading = read(tree, catalog)
    found = dict.fromkeys(
        Broken(_line(problem.node), problem.rule, problem.remedy)
        for problem in _problems(reading, makes_table)
    )
    return list(found), reading.columns


def _problems(reading: Reading, makes_table: bool) -> Iterator[Problem]:
    yield from reading.problems
    yield from shape_problems(reading)
    yield from type_problems(reading)
    if makes_table:
        yield from output_problems(reading)


def _line(node: exp.Expression) -> int:
    lines = [int(part.meta["line"]) for part in node.walk() if "line" in part.meta]
    return min(lines, default=1)


def check_compiled(compiled: Iterable[Compiled], catalog: dict[str, Columns]) -> Iterator[Finding]:
    """Yield the findings in compiled nodes, with line numbers of the nodes' files.

    Args:
        compiled: the nodes, parents first.
        catalog: the columns of known tables, by ``dataset.name``. The nodes' own tables are added to the catalog.
    """
    for node in compiled:
        if not node.sql:
            catalog[node.table] = node.declared or None
            continue
        broken, columns = _check(node.sql, catalog, bool(node.table))
        if node.table:
            catalog[node.table] = known_columns(node, columns)
        made = node.sql.splitlines()
        allowed = allowed_lines(node.source)
        for one in broken:
            place = source_line(node.source, node.sql, one.line)
            if (place.line, one.rule) in allowed:
                continue
            remedy = one.remedy
            if not place.is_exact:
                remedy += f" (near here; compiled: {made[one.line - 1].strip()[:70]})"
            yield Finding(node.path, place.line, one.rule, remedy)


def findings(paths: Sequence[str] = (), manifest: Any = None) -> list[Finding]:
    """Return the findings of the project in the working folder, at most one per rule and line.

    Args:
        paths: the files to check; empty for all files. If files are given, the columns of the tables that they read are
            unknown, so rules that need types find less.
        manifest: dbt's manifest of the project; None to parse the project.
    """
    catalog: dict[str, Columns] = {}
    found: dict[tuple[str, int, str], Finding] = {}
    # Check the first build before the later run, which reads the tables of the first build.
    for is_there in (False, True):
        forget_bigquery(is_there=is_there)
        # In a later run compile only the models: the SQL of other nodes does not depend on whether tables exist.
        compiled = compile_project(
            TARGETS["bigquery"], only_models=is_there, paths=paths, manifest=manifest
        )
        for finding in check_compiled(compiled, catalog):
            found.setdefault((finding.path, finding.line, finding.rule), finding)
    return sorted(found.values(), key=lambda finding: (finding.path, finding.line, finding.rule))


def main(paths: Sequence[str] = (), manifest: Any = None) -> int:
    """Print one line per finding and return the exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= scratch_environment("bigquery", scratch)
        try:
            found = findings(paths, manifest)
        except RuntimeError as error:
            print(error)
            return 1
    print("\n".join(str(finding) for finding in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
