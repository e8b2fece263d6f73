"""``python -m house_rules.portability``: find SQL that BigQuery would refuse or compute differently from DuckDB.

dbt runs for BigQuery without a service, as a first build and as a later run. GoogleSQL analyzes each statement that dbt
sends, and the rules of ``bigquery_rules`` read the resolved trees. The program prints one line per finding; the exit
code is 1 if there is a finding.
"""

import json
import os
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from feature_mart.bigquery.googlesql_values import RefusedError, Table
from feature_mart.core.files import write_whole
from feature_mart.core.raw_contract import CONTRACT
from feature_mart.runner.offline_bigquery import OfflineBigQuery, offline, raw_tables
from house_rules.sent_statements import REFUSED, find_in_statement, own_tests
from house_rules.sql import Finding
from house_rules.sqlfluff import TARGETS, scratch_environment

#: dbt's own generic tests, which are half of all nodes. Their SQL is dbt's, so no check reads them.
_TESTS_OF_DBT = ("not_null", "unique", "relationships", "accepted_values")
_AT = "2026-01-01T18:00:00+00:00"
#: Values, other than the defaults, of the dbt vars that decide which SQL is rendered: every raw table is read through a
#: dbt snapshot, and the refresh is named.
_OTHER_VARS = {"overwritten_sources": list(CONTRACT), "snapshot_at": _AT, "as_of": _AT}


@dataclass(slots=True)
class _Run:
    """dbt on an offline BigQuery. `nodes` has the nodes that ran, by id, and `skipped` those that dbt left out."""

    manifest: Any
    bigquery: OfflineBigQuery
    nodes: dict[str, Any] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)

    def invoke(self, command: str, selected: Collection[str], *options: str) -> dict[str, Any]:
        """Run a dbt command on some nodes, or on all if none is selected, and return the nodes with compiled SQL.

        Raises:
            RuntimeError: a node failed, and not because a statement was refused.
        """
        from dbt.cli.main import dbtRunner

        arguments = [command, "--target", TARGETS["bigquery"], "--no-version-check", "--no-print"]
        arguments += ["--log-level", "none", "--threads", "1", *options]
        if selected:
            arguments += ["--select", *sorted(selected)]
        outcome = dbtRunner(manifest=self.manifest).invoke(arguments)
        results = list(getattr(outcome.result, "results", None) or [])
        if outcome.exception is not None and not results:
            raise RuntimeError(str(outcome.exception))
        refused = {sent.node for sent in self.bigquery.sent if sent.refused is not None}
        made = {result.node.unique_id: result.node for result in results}
        self.skipped |= {one.node.unique_id for one in results if str(one.status) == "skipped"}
        for one in results:
            if "error" in str(one.status) and one.node.unique_id not in refused:
                raise RuntimeError(f"{one.node.original_file_path}: {one.message}")
        self.nodes |= made
        return made

    def findings(self) -> Iterator[Finding]:
        """Yield the findings in the statements that were sent since the last call."""
        for sent in self.bigquery.sent:
            if sent.node in self.nodes:
                yield from find_in_statement(sent, self.nodes[sent.node])
        self.bigquery.sent.clear()


def _findings(run: _Run, names: Collection[str], *, is_downstream: bool) -> Iterator[Finding]:
    """Yield the findings in a first build, in unit tests and analyses, in a later run, and in a run with other vars."""
    dbts = [f"test_name:{name}" for name in _TESTS_OF_DBT]
    built = run.invoke("build", names, "--exclude", "test_type:unit", *dbts)
    # Copy the SQL now, because dbt compiles into the same objects again.
    first = {name: getattr(node, "compiled_code", None) for name, node in built.items()}
    yield from run.findings()
    # Run the unit tests after the models, so that the columns of the models are known.
    run.invoke("test", names, "--resource-type", "unit_test")
    yield from run.findings()
    # Now the tables exist, so a model is compiled as in a later run. Few models differ from their first build.
    later = run.invoke("compile", names or ("resource_type:model", "resource_type:analysis"))
    changed = set()
    for name, node in later.items():
        if str(node.resource_type) == "analysis":
            with suppress(RefusedError):  # A refused statement is kept with its error.
                run.bigquery.send(name, node.compiled_code)
        elif name not in run.skipped and first.get(name) != node.compiled_code:
            changed.add(node.name)
    if changed:
        run.invoke("run", changed)
    yield from run.findings()
    if not is_downstream:
        return
    later = {name: getattr(node, "compiled_code", None) for name, node in later.items()}
    run.manifest = None  # Parse again, because the vars enable snapshots.
    # dbt's static parser would wait for ever in a forked process for threads that only its parent has.
    others = ("--no-static-parser", "--vars", json.dumps(_OTHER_VARS))
    run.invoke("snapshot", (), *others)
    with_others = run.invoke("compile", names or ("resource_type:model",), *others)
    changed = {n.name for key, n in with_others.items() if later.get(key) != n.compiled_code}
    if changed:
        run.invoke("run", changed, *others)
    yield from run.findings()


def _selected(
    manifest: Any, paths: Sequence[str], *, is_downstream: bool
) -> tuple[set[str], set[str]]:
    """Return the names of the nodes in the SQL files ``paths``, for dbt's option ``--select``, and the nodes' tables.

    The nodes' tests are included and, with ``is_downstream``, all other nodes that depend on the nodes.
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
    names = {node.name for node in nodes if _test_name(node) not in _TESTS_OF_DBT}
    names |= {manifest.unit_tests[key].name for key in found if key in manifest.unit_tests}
    tables = {f"{node.database}.{node.schema}.{node.alias}" for node in nodes}
    return names, tables


def _test_name(node: Any) -> str:
    return str(getattr(getattr(node, "test_metadata", None), "name", ""))


def main(
    paths: Sequence[str] = (),
    manifest: Any = None,
    *,
    is_downstream: bool = True,
    known: Path | None = None,
) -> int:
    """Print one line per finding and return the exit code.

    Args:
        paths: the SQL files to check; empty for all files.
        manifest: dbt's manifest of the project; None to parse the project.
        is_downstream: False to leave out the files that depend on ``paths``.
        known: a file with the columns of all tables. If the file is missing, all files are checked. It is written
            after a check that leaves out no file, or deleted if a statement was refused, because the columns in it are
            then out of date. None to check all files and to write no file.

    Raises:
        RuntimeError: dbt failed for another reason than a refused statement.
    """
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= scratch_environment("bigquery", scratch)
        if manifest is None:
            from house_rules.rendered_checks import parse

            manifest = parse("bigquery")
        tables = raw_tables("unset-project.dwh")
        names: Collection[str] = ()
        files = {node.original_file_path for node in manifest.nodes.values()}
        is_whole = not paths or all(path in paths for path in files if path.endswith(".sql"))
        if not is_whole and known is not None and known.is_file():
            names, made = _selected(manifest, paths, is_downstream=is_downstream)
            saved = json.loads(known.read_text(encoding="utf-8"))
            # Take the raw tables from the contract, which may have changed since.
            tables = {name: Table(saved[name]) for name in saved.keys() - made} | tables
        run = _Run(manifest, OfflineBigQuery(tables))
        found: dict[tuple[str, int, str], Finding] = {}
        try:
            with offline(run.bigquery):
                for finding in _findings(run, names, is_downstream=is_downstream):
                    found.setdefault((finding.path, finding.line, finding.rule), finding)
        finally:  # Print what was found even if dbt then failed.
            print("\n".join(str(found[key]) for key in sorted(found)))
    if known is not None and is_downstream:
        if any(rule == REFUSED for _, _, rule in found):
            known.unlink(missing_ok=True)
        else:
            columns = {name: dict(table.columns) for name, table in run.bigquery.tables.items()}
            known.parent.mkdir(exist_ok=True)
            write_whole(known, json.dumps(columns).encode())
    if run.skipped:
        print(f"{len(run.skipped)} nodes depend on refused statements and were not checked")
    return 1 if found or run.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
