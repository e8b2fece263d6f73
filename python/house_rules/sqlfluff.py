"""sqlfluff over dbt's own rendering, for either dialect, with no warehouse there.

``python -m house_rules.sqlfluff lint|fix duckdb|bigquery [path …]``. For DuckDB an empty file
stands in for the mart, so models are read as a full build takes them. For BigQuery every relation is
said to be there, so they are read as a later run takes them; nothing goes over the network and no
credentials are needed. A model that asks the engine while it compiles gets one row with a 1.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

LINTED = ("models", "analyses", "tests/singular")
TARGETS = {"duckdb": "duckdb", "bigquery": "bigquery_dev"}

BLOCK = re.compile(r"\{%-?\s*(if|for|call|filter|endif|endfor|endcall|endfilter)\b")


def block_lines(sql: str) -> frozenset[int]:
    """Numbers of the lines in a Jinja block, and of the two beside it.

    sqlfluff mistakes the indentation there: it measures lines that no line of the file begins.
    """
    lines: set[int] = set()
    begun: list[int] = []
    for match in BLOCK.finditer(sql):
        line = sql.count("\n", 0, match.start()) + 1
        if not match[1].startswith("end"):
            begun.append(line)
        elif begun:
            # With `{%-` the lines before and after it begin or end within it.
            lines.update(range(begun.pop() - 1, line + 2))
    return frozenset(lines)


def scratch_environment(dialect: str, scratch: str) -> dict[str, str]:
    """Settings under which dbt compiles for a dialect, and leaves its files in ``scratch``."""
    return {
        "DBT_TARGET": TARGETS[dialect],
        "DBT_TARGET_PATH": f"{scratch}/target",
        "DBT_LOG_PATH": scratch,
        "DBT_PROFILES_DIR": "profiles",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MART_DUCKDB_PATH": f"{scratch}/mart.duckdb",
        "MART_HISTORY_PATH": f"{scratch}/history.duckdb",
        # Of no meaning here, where nothing is sent; the profile has no default for it.
        "MART_GCP_LOCATION": "US",
    }


def forget_bigquery(*, is_there: bool = True) -> None:
    """Make dbt's BigQuery adapter answer by itself, and nothing go over the network.

    Args:
        is_there: whether every relation asked for is a table, as in a later run, or none is there,
            as in the first.
    """
    import agate
    from dbt.adapters.bigquery.connections import BigQueryConnectionManager
    from dbt.adapters.bigquery.impl import BigQueryAdapter, BigQueryRelation

    def fill_cache(*_: object, **__: object) -> None:
        return None

    def a_table(_: object, database: str, schema: str, identifier: str) -> object:
        return BigQueryRelation.create(database, schema, identifier, type="table")

    def no_table(*_: object, **__: object) -> None:
        return None

    def none_known(*_: object, **__: object) -> list[object]:
        return []

    def one_number(*_: object, **__: object) -> tuple[str, agate.Table]:
        return "OK", agate.Table([[1]], ["us"])

    for method, answer in {
        "set_relations_cache": fill_cache,
        "get_relation": a_table if is_there else no_table,
        "list_relations": none_known,
        "get_columns_in_relation": none_known,
        "execute": one_number,
    }.items():
        setattr(BigQueryAdapter, method, answer)
    # A connection is opened when it is first asked for its handle, by closing it at the latest.
    BigQueryConnectionManager.close = classmethod(lambda _, connection: connection)


def findings(dialect: str, paths: Iterable[str]) -> Iterator[str]:
    """Lint, and give one line a finding.

    Raises:
        ValueError: no SQL file is there to be linted.
    """
    from sqlfluff.core import FluffConfig, Linter

    overrides = {"dialect": dialect}
    if dialect == "bigquery":
        # Layout is the file's own, and judged once, for DuckDB: it takes most of the time.
        excluded = FluffConfig.from_root(overrides=overrides).get("rule_denylist")
        overrides["exclude_rules"] = ",".join([*excluded, "layout"])
    linter = Linter(FluffConfig.from_root(overrides=overrides))
    result = linter.lint_paths(tuple(paths))
    records = result.as_records()
    if not records:
        raise ValueError("sqlfluff found no SQL file: is this the project's folder?")
    for record in records:
        path = str(record["filepath"])
        source = Path(path).read_text(encoding="utf-8")
        mistaken = {("LT02", line) for line in block_lines(source)} | {
            # The table being built has no name to go by but an alias.
            ("AL07", number)
            for number, line in enumerate(source.splitlines(), 1)
            if "{{ this }}" in line
        }
        for found in record["violations"]:
            line = found["start_line_no"]
            if (found["code"], line) not in mistaken:
                place = f"{path}:{line}:{found['start_line_pos']}"
                yield f"{place}: {found['code']} {found['name'] or 'error'}: {found['description']}"


def fix(dialect: str, paths: Iterable[str]) -> int:
    """Let sqlfluff mend what it can; files with Jinja blocks keep their indentation."""
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
            arguments = [
                "fix",
                "--quiet",
                "--disable-progress-bar",
                "--dialect",
                dialect,
                *options,
                *group,
            ]
            try:
                cli(arguments, standalone_mode=False)
            except SystemExit as stopped:
                code = max(code, int(stopped.code or 0))
    return code


def main(argv: list[str]) -> int:
    """Lint or fix; give an exit code."""
    command, dialect, *paths = argv
    paths = paths or [path for path in LINTED if any(Path(path).rglob("*.sql"))]
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= scratch_environment(dialect, scratch)
        if dialect == "bigquery":
            forget_bigquery()
        if command == "fix":
            return fix(dialect, paths)
        found = list(findings(dialect, paths))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
