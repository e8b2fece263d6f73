"""``python -m house_rules.portability``: find SQL that BigQuery would refuse or compute differently from DuckDB.

dbt runs for BigQuery without a service, as a first build and as a later run. GoogleSQL analyzes each statement that dbt
sends, and the rules of ``bigquery_rules`` read the resolved trees. The program prints one line per finding; the exit
code is 1 if there is a finding.
"""

import json
import os
import re
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from feature_mart.bigquery.googlesql_values import RefusedError, Table
from feature_mart.bigquery.resolved_tree import kind, unwrapped
from feature_mart.core.files import write_whole
from feature_mart.runner.offline_bigquery import OfflineBigQuery, Sent, offline, raw_tables
from house_rules.bigquery_rules import RULES, violations
from house_rules.source_lines import source_line
from house_rules.sql import Finding, allowed_lines
from house_rules.sqlfluff import TARGETS, scratch_environment

#: dbt's own generic tests, which are half of all nodes. Their SQL is dbt's, so they are left out.
_TESTS_OF_DBT = ("not_null", "unique", "relationships", "accepted_values")
#: The rule of a statement that GoogleSQL refuses.
REFUSED = "googlesql"


def findings(
    manifest: Any,
    paths: Sequence[str] = (),
    *,
    is_downstream: bool = True,
    known: Path | None = None,
) -> list[Finding]:
    """Return the findings of the project in the working folder, at most one per rule and line.

    Args:
        manifest: dbt's manifest of the project.
        paths: the SQL files to check; empty for all files.
        is_downstream: False to leave out the files that depend on ``paths``.
        known: a file with the tables of the last whole check, which ``paths`` read. It is written by a check of all
            files. If it is missing, all files are checked.

    Raises:
        RuntimeError: dbt failed for another reason than a refused statement; the message is dbt's.
    """
    tables = raw_tables("unset-project.dwh")
    tests = own_tests()
    ids: Collection[str] = ()
    if paths and known is not None and known.is_file():
        saved = json.loads(known.read_text(encoding="utf-8"))
        ids = _nodes(manifest, paths, tests, is_downstream=is_downstream)
        made = {_table(manifest.nodes[name]) for name in ids if name in manifest.nodes}
        tables |= {name: Table(columns) for name, columns in saved.items() if name not in made}
    bigquery = OfflineBigQuery(tables)
    found: dict[tuple[str, int, str], Finding] = {}
    with offline(bigquery):
        # Run the first build before the later run, which reads the tables of the first build.
        for command in ("build", "run"):
            for finding in _run(command, manifest, ids, bigquery, tests):
                found.setdefault((finding.path, finding.line, finding.rule), finding)
    if known is not None and not ids and not any(one.rule == REFUSED for one in found.values()):
        saved = {name: dict(table.columns) for name, table in bigquery.tables.items()}
        known.parent.mkdir(exist_ok=True)
        write_whole(known, json.dumps(saved).encode())
    return sorted(found.values(), key=lambda finding: (finding.path, finding.line, finding.rule))


def _run(
    command: str,
    manifest: Any,
    ids: Collection[str],
    bigquery: OfflineBigQuery,
    tests: Mapping[str, str],
) -> Iterator[Finding]:
    from dbt.cli.main import dbtRunner

    bigquery.sent.clear()
    options = ["--quiet", "--target", TARGETS["bigquery"], "--threads", "1", "--no-version-check"]
    selected = [manifest.nodes[name].name for name in ids if name in manifest.nodes]
    selected += [manifest.unit_tests[name].name for name in ids if name in manifest.unit_tests]
    chosen = ["--select", *sorted(selected)] if ids else []
    excluded = [f"test_name:{name}" for name in _TESTS_OF_DBT]
    runner = dbtRunner(manifest=manifest)
    outcome = runner.invoke([command, *options, *chosen, "--exclude", *excluded])
    results = list(getattr(outcome.result, "results", None) or [])
    if command == "build":
        compiled = runner.invoke(["compile", *options, "--select", "resource_type:analysis"])
        for run in compiled.result.results if compiled.success else ():
            if not ids or run.node.unique_id in ids:
                results.append(run)
                _try(bigquery, run.node)
    nodes = {run.node.unique_id: run.node for run in results}
    if outcome.exception is not None and not nodes:
        raise RuntimeError(str(outcome.exception))
    refused = {sent.node for sent in bigquery.sent if sent.refused is not None}
    for run in results:
        name = run.node.unique_id
        if str(run.status) in ("error", "runtime error") and name not in refused:
            raise RuntimeError(f"{run.node.original_file_path}: {run.message}")
    for sent in bigquery.sent:
        if sent.node in nodes:
            yield from _findings(sent, nodes[sent.node], tests)


def _try(bigquery: OfflineBigQuery, node: Any) -> None:
    try:
        bigquery.send(node.unique_id, node.compiled_code)
    except RefusedError:
        return  # The statement is kept with its error.


def _findings(sent: Sent, node: Any, tests: Mapping[str, str]) -> Iterator[Finding]:
    type_ = str(node.resource_type)
    if type_ == "unit_test":
        # The model's own statements are read by the rules, so a unit test can only be refused.
        if sent.refused is not None:
            path = str(Path(node.original_file_path).with_suffix(".sql"))
            yield Finding(path, 1, REFUSED, f"unit test {node.name}: {sent.refused}")
        return
    path = str(node.original_file_path)
    if type_ == "test" and path.endswith(".yml"):
        # Name the file of the test's macro, which has the SQL. The node's own file is the YAML that calls the test.
        path = tests.get(str(node.test_metadata.name), path)
    source = Path(path).read_text(encoding="utf-8")
    compiled = str(getattr(node, "compiled_code", None) or "") if node.language == "sql" else ""
    if sent.refused is not None:
        yield from _placed(
            path, source, compiled, sent.sql, sent.refused.line, REFUSED, str(sent.refused)
        )
    elif kind(unwrapped(sent.tree)) != "QueryStmt" or type_ in ("test", "analysis"):
        # Other queries are the model's SELECT again, or run while the model is compiled.
        sql = sent.sql.encode()
        for violation in violations(sent.tree, sql):
            line = sql.count(b"\n", 0, violation.at) + 1
            remedy = RULES[violation.rule].remedy
            yield from _placed(path, source, compiled, sent.sql, line, violation.rule, remedy)


def _placed(
    path: str, source: str, compiled: str, sql: str, line: int | None, rule: str, remedy: str
) -> Iterator[Finding]:
    """Yield a finding at the line of the source file from which a line of a statement came, unless it is allowed."""
    plain = _plain(compiled)
    first = _plain(sql).count("\n", 0, max(_plain(sql).find(plain.strip()), 0))
    number = (line or 1) - first + len(plain) - len(plain.lstrip("\n"))
    made = compiled.splitlines()
    if line is None or not 1 <= number <= len(made):
        yield Finding(path, 1, rule, f"{remedy} (in the part of the statement that dbt writes)")
        return
    place = source_line(source, compiled, number)
    if (place.line, rule) in allowed_lines(source):
        return
    if not place.is_exact:
        remedy += f" (near here; compiled: {made[number - 1].strip()[:70]})"
    yield Finding(path, place.line, rule, remedy)


def _plain(sql: str) -> str:
    return sql.replace("`.`", ".")


def own_tests() -> dict[str, str]:
    """Return the path of the file of each generic test of the project, by the test's name."""
    return {
        name: str(path)
        for path in sorted(Path("tests/generic").glob("*.sql"))
        for name in re.findall(r"\{%-?\s*test\s+(\w+)", path.read_text(encoding="utf-8"))
    }


def _nodes(
    manifest: Any, paths: Sequence[str], tests: Mapping[str, str], *, is_downstream: bool
) -> set[str]:
    """Return the ids of the nodes of some files, and of the tests and, if wanted, the models that depend on them."""
    named = {name for name, path in tests.items() if path in paths}
    found = {
        name
        for name, node in manifest.nodes.items()
        if node.original_file_path in paths
        or (node.resource_type == "test" and getattr(node.test_metadata, "name", None) in named)
    }
    waiting = list(found)
    manifest.build_parent_and_child_maps()
    while waiting:
        for child in manifest.child_map.get(waiting.pop(), ()):
            is_test = child.startswith(("test.", "unit_test."))
            if child not in found and (is_downstream or is_test):
                found.add(child)
                waiting.append(child)
    return {name for name in found if not _is_of_dbt(manifest.nodes.get(name))}


def _is_of_dbt(node: Any) -> bool:
    test = getattr(node, "test_metadata", None)
    return getattr(test, "name", None) in _TESTS_OF_DBT


def _table(node: Any) -> str:
    return f"{node.database}.{node.schema}.{node.alias}"


def main(
    paths: Sequence[str] = (),
    manifest: Any = None,
    *,
    is_downstream: bool = True,
    known: Path | None = None,
) -> int:
    """Print one line per finding and return the exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= scratch_environment("bigquery", scratch)
        if manifest is None:
            from house_rules.rendered_checks import parse

            manifest = parse("bigquery")
        found = findings(manifest, paths, is_downstream=is_downstream, known=known)
    print("\n".join(str(finding) for finding in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
