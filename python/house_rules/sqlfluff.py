"""Run sqlfluff on the SQL that dbt renders for DuckDB, without a warehouse.

Usage: ``python -m house_rules.sqlfluff lint|fix [path …]``. The patched adapter reports that every relation exists, so
models are rendered as in a later run, whose SQL has the lines of a first build and more. A query that a model runs at
compile time returns one row with the value 1. GoogleSQL reads the SQL for BigQuery (``portability``).
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

LINTED = ("models", "analyses", "tests/singular")
TARGETS = {"duckdb": "duckdb", "bigquery": "bigquery_dev"}

BLOCK = re.compile(r"\{%-?\s*(if|for|call|filter|endif|endfor|endcall|endfilter)\b")


def block_lines(sql: str) -> frozenset[int]:
    """Return the numbers of the lines in Jinja blocks, and of the lines directly before and after each block.

    On these lines sqlfluff reports wrong indentation, because it measures rendered lines, which do not correspond to
    lines of the file.
    """
    lines: set[int] = set()
    begun: list[int] = []
    for match in BLOCK.finditer(sql):
        line = sql.count("\n", 0, match.start()) + 1
        if not match[1].startswith("end"):
            begun.append(line)
        elif begun:
            # `{%-` and `-%}` remove line breaks, so the lines before and after a block are affected too.
            lines.update(range(begun.pop() - 1, line + 2))
    return frozenset(lines)


def scratch_environment(dialect: str, scratch: str) -> dict[str, str]:
    """Return the environment in which dbt compiles for a dialect and writes its files to ``scratch``."""
    return {
        "DBT_TARGET": TARGETS[dialect],
        "DBT_TARGET_PATH": f"{scratch}/target",
        "DBT_LOG_PATH": scratch,
        "DBT_PROFILES_DIR": "profiles",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MART_DUCKDB_PATH": f"{scratch}/mart.duckdb",
        "MART_HISTORY_PATH": f"{scratch}/history.duckdb",
        # profiles.yml requires a location. Any location will do, because nothing is sent to BigQuery.
        "MART_GCP_LOCATION": "US",
    }


def pretend_built() -> None:
    """Patch dbt's DuckDB adapter to report every relation as an existing table, and to run no query."""
    import agate
    from dbt.adapters.duckdb.impl import DuckDBAdapter
    from dbt.adapters.duckdb.relation import DuckDBRelation

    answers: dict[str, Any] = {
        "set_relations_cache": lambda *_: None,
        "get_relation": lambda _, *names: DuckDBRelation.create(*names, type="table"),
        "list_relations": lambda *_: [],
        "get_columns_in_relation": lambda *_: [],
        "execute": lambda *_, **__: ("OK", agate.Table([[1]], ["us"])),
    }
    for method, answer in answers.items():
        setattr(DuckDBAdapter, method, answer)


def build_reflow_once() -> None:
    """Patch sqlfluff to build the reflow sequence of a file once instead of once for each layout rule.

    Otherwise building the sequences takes a fifth of sqlfluff's time. Sharing one is safe, because no rule changes the
    sequence and the file's tree changes only in a fix.
    """
    from sqlfluff.utils.reflow.sequence import ReflowSequence

    build = ReflowSequence.from_root.__func__
    last: list[Any] = [None, None]

    def from_root(cls: Any, root_segment: Any, config: Any) -> Any:
        if last[0] is not root_segment:
            last[:] = root_segment, build(cls, root_segment, config)
        return last[1]

    ReflowSequence.from_root = classmethod(from_root)


def findings(paths: Iterable[str], manifest: Any = None) -> Iterator[str]:
    """Lint the paths and yield one line per finding.

    Args:
        paths: files and folders.
        manifest: dbt's manifest of the project; None to parse the project.

    Raises:
        ValueError: the paths contain no SQL file.
    """
    from sqlfluff.core import FluffConfig, Linter

    build_reflow_once()
    linter = Linter(FluffConfig.from_root())
    if manifest is not None:
        # Set the attribute in which dbt's templater caches the manifest, so that it does not parse the project.
        vars(linter.templater)["dbt_manifest"] = manifest
    result = linter.lint_paths(tuple(paths))
    records = result.as_records()
    if not records:
        raise ValueError("sqlfluff found no SQL file: run the check in the project folder")
    for record in records:
        path = str(record["filepath"])
        source = Path(path).read_text(encoding="utf-8")
        mistaken = {("LT02", line) for line in block_lines(source)} | {
            # Allow an alias for the table that is being built, which cannot be named in another way.
            ("AL07", number)
            for number, line in enumerate(source.splitlines(), 1)
            if "{{ this }}" in line
        }
        for found in record["violations"]:
            line = found["start_line_no"]
            if (found["code"], line) not in mistaken:
                place = f"{path}:{line}:{found['start_line_pos']}"
                name = found["name"] or "error"
                yield f"{place}: {found['code']} {name}: {found['description']}"


def linted_folders() -> list[str]:
    """Return the folders of ``LINTED`` that contain SQL."""
    return [path for path in LINTED if any(Path(path).rglob("*.sql"))]


def lint(paths: Sequence[str] = (), manifest: Any = None) -> int:
    """Print one line per finding and return the exit code.

    Args:
        paths: files and folders; empty for ``LINTED``.
        manifest: dbt's manifest of the project; None to parse the project.
    """
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= scratch_environment("duckdb", scratch)
        pretend_built()
        found = list(findings(paths or linted_folders(), manifest))
    print("\n".join(found))
    return 1 if found else 0


def fix(paths: Iterable[str]) -> int:
    """Run sqlfluff fix and return the exit code. The indentation of files with Jinja blocks is not changed."""
    from sqlfluff.cli.commands import cli

    files = [
        file
        for path in paths
        for file in ([Path(path)] if path.endswith(".sql") else Path(path).rglob("*.sql"))
    ]
    plain = [str(file) for file in files if not BLOCK.search(file.read_text(encoding="utf-8"))]
    blocks = [str(file) for file in files if str(file) not in plain]
    code = 0
    for group, options in ((plain, ()), (blocks, ("--exclude-rules", "layout.indent"))):
        if group:
            arguments = ["fix", "--quiet", "--disable-progress-bar", *options, *group]
            try:
                cli(arguments, standalone_mode=False)
            except SystemExit as stopped:
                code = max(code, int(stopped.code or 0))
    return code


def main(argv: list[str]) -> int:
    """Lint or fix, and return the exit code."""
    command, *paths = argv
    if command == "lint":
        return lint(paths)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= scratch_environment("duckdb", scratch)
        pretend_built()
        return fix(paths or linted_folders())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
