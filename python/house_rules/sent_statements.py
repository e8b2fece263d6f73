"""Find refused SQL and violations of the rules in a statement that dbt sent, at the line of the project's file."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from feature_mart.bigquery.resolved_tree import kind, unwrapped
from feature_mart.runner.offline_bigquery import Sent
from house_rules.bigquery_rules import RULES, violations
from house_rules.source_lines import source_line
from house_rules.sql import Finding, allowed_lines

#: The rule of a statement that GoogleSQL refuses. It has no exceptions.
REFUSED = "googlesql"


def find_in_statement(sent: Sent, node: Any, source: str | None = None) -> Iterator[Finding]:
    """Yield the findings in a statement that dbt sent for a node, the compiled node of dbt's result.

    ``source`` is the text of the node's file; None to read the file.
    """
    type_ = str(node.resource_type)
    path = str(node.original_file_path)
    if type_ == "unit_test":
        # Report only a refusal: the rules are applied to the model's own statements, which have the same SQL.
        if sent.refused is not None:
            model = str(Path(path).with_suffix(".sql"))
            yield Finding(model, 1, REFUSED, f"unit test {node.name}: {sent.refused}")
        return
    if type_ == "test" and path.endswith(".yml"):
        # Name the file of the test's macro, which has the SQL. The node's own file is the YAML that calls the test.
        path = own_tests().get(str(node.test_metadata.name), path)
    if source is None:
        source = Path(path).read_text(encoding="utf-8")
    compiled = str(getattr(node, "compiled_code", None) or "") if node.language == "sql" else ""
    if sent.refused is not None:
        refused = sent.refused
        yield from _placed(path, source, compiled, sent.sql, refused.line, REFUSED, str(refused))
    elif kind(unwrapped(sent.tree)) != "QueryStmt" or type_ in ("test", "analysis"):
        # Other queries of a model are its SELECT again, or run while the model is compiled.
        sql = sent.sql.encode()
        for rule, at in violations(sent.tree, sql):
            line = sql.count(b"\n", 0, at) + 1
            yield from _placed(path, source, compiled, sent.sql, line, rule, RULES[rule].remedy)


def _placed(
    path: str, source: str, compiled: str, sql: str, line: int | None, rule: str, remedy: str
) -> Iterator[Finding]:
    """Yield a finding at the line of the file from which a line of the statement came, unless the file allows it.

    ``line`` is the number of the statement's line, from 1; None if it is unknown.
    """
    body, statement = (text.replace("`.`", ".") for text in (compiled, sql))
    begin = statement.find(body.strip())
    before = statement.count("\n", 0, max(begin, 0))
    number = (line or 0) - before + body[: len(body) - len(body.lstrip())].count("\n")
    lines = compiled.splitlines()
    if line is None or begin < 0 or not 1 <= number <= len(lines):
        yield Finding(path, 1, rule, f"{remedy} (not in the compiled SQL of this file)")
        return
    place = source_line(source, compiled, number)
    if rule != REFUSED and (place.line, rule) in allowed_lines(source):
        return
    if not place.is_exact:
        remedy += f" (near here; compiled: {lines[number - 1].strip()[:70]})"
    yield Finding(path, place.line, rule, remedy)


@cache
def own_tests() -> dict[str, str]:
    """Return the path of the file of each generic test of the project, by the test's name."""
    return {
        name: str(path)
        for path in sorted(Path("tests/generic").glob("*.sql"))
        for name in re.findall(r"\{%-?\s*test\s+(\w+)", path.read_text(encoding="utf-8"))
    }
