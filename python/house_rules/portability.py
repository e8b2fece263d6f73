"""``python -m house_rules.portability``: what of the SQL DuckDB runs and BigQuery would not.

dbt compiles the project for BigQuery, offline, as a first build and as a later run; the compiled
SQL is parsed and read with the types of its columns. One line a finding; exit code 1 when there is
any. The stand-in for BigQuery runs on DuckDB and accepts too much: this is what catches that.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from house_rules.bigquery_shapes import shape_problems
from house_rules.bigquery_types import output_problems, type_problems
from house_rules.compiled import Compiled, compile_project, known_columns
from house_rules.places import place_of
from house_rules.query_names import Columns, Problem, Reading, Rule, read
from house_rules.sql import Finding, allowed_lines
from house_rules.sqlfluff import TARGETS, forget_bigquery, scratch_environment


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule broken in compiled SQL, at one of its lines."""

    line: int
    rule: Rule
    remedy: str


def check_query(sql: str, catalog: Mapping[str, Columns], makes_table: bool) -> list[Broken]:
    """Every rule that one compiled query breaks, and nothing twice."""
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
    """Findings in compiled SQL, each at the line of its file; adds to the catalog what it reads.

    Args:
        compiled: parents first.
        catalog: columns of the tables that are there already, by ``dataset.name``.
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
            place = place_of(node.source, node.sql, one.line)
            if (place.line, one.rule) in allowed:
                continue
            remedy = one.remedy
            if not place.is_exact:
                remedy += f" (near here; compiled: {made[one.line - 1].strip()[:70]})"
            yield Finding(node.path, place.line, one.rule, remedy)


def findings() -> list[Finding]:
    """Findings of the whole project in the working directory, one a line of a file and rule."""
    catalog: dict[str, Columns] = {}
    found: dict[tuple[str, int, str], Finding] = {}
    # The first build comes first: a later run reads the tables that it makes.
    for is_there in (False, True):
        forget_bigquery(is_there=is_there)
        # Only models are another SQL once their tables are there.
        compiled = compile_project(TARGETS["bigquery"], only_models=is_there)
        for finding in check_compiled(compiled, catalog):
            found.setdefault((finding.path, finding.line, finding.rule), finding)
    return sorted(found.values(), key=lambda finding: (finding.path, finding.line, finding.rule))


def main() -> int:
    """Print one line a finding; give an exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= scratch_environment("bigquery", scratch)
        try:
            found = findings()
        except RuntimeError as error:
            print(error)
            return 1
    print("\n".join(str(finding) for finding in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
