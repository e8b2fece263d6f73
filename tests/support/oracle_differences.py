"""Compare a built mart with the oracle's rows, value by value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from compiled_mart import PROJECT
from feature_mart.knowledge.rationale import UNIT_TESTS, VERIFIED_BY
from feature_mart.knowledge.verification import Verification, read_verification
from oracle import TABLES, Row
from oracle.changes import only_changes

Rows = list[tuple[Any, ...]]
Expected = Mapping[str, list[Row]]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1)
def project_verification() -> Verification:
    """Return the columns that this project's YAML marks as verified by unit tests instead of the oracle."""
    return read_verification(PROJECT)


def comparable(value: Any) -> Any:
    """Return a timestamp as seconds since 1970, which do not depend on the time zone; return other values unchanged."""
    return (value - _EPOCH).total_seconds() if isinstance(value, datetime) else value


def differences(con: Any, expected: Expected, said: Verification | None = None) -> list[str]:
    """Return a message for each table or column that only one side has or, if there are none, for rows that differ.

    For each table, the messages contain at most three rows of each side.

    Args:
        con: a connection to a DuckDB with the mart in its schema `main`.
        expected: the oracle's rows by table.
        said: the columns that only unit tests verify; None for those marked in this project's YAML.
    """
    said = said or project_verification()
    columns = _columns_of(con)
    if found := unknown_columns(columns, expected, said):
        return found
    for table, rows in expected.items():
        compared = rows[0].keys() if rows else set(columns[table]) - said.alone(table)
        names = [name for name in columns[table] if name in compared]
        actual = con.execute(f"select {', '.join(names)} from main.{table}").fetchall()
        found += _differences(
            table, names, actual, rows, is_whole=len(names) == len(columns[table])
        )
    return found


def unknown_columns(
    columns: Mapping[str, list[str]], expected: Expected, said: Verification
) -> list[str]:
    """Return a message for each table or column that only the mart or only the oracle has.

    A column is reported once, for the first table that has the column. Columns that `said` marks as verified only by
    unit tests are skipped, also in the tables that pass them on, unless the oracle computes them. A mart and a table
    with one row per request need not have every column that the oracle passes on.
    """
    found = {
        table: f"{table}: only the oracle has this table; remove it from tests/oracle/tables.py"
        for table in expected
        if table not in columns
    }
    if found:
        return list(found.values())
    for table, rows in expected.items():
        module = f"tests/oracle/{TABLES[table].module}"
        alone = said.alone(table)
        known = rows[0].keys() if rows else columns[table]
        for name in columns[table]:
            if name not in known and name not in alone:
                found.setdefault(name, _unknown(table, name, f"define it in {module}"))
            elif rows and name in known and name in alone:
                how = f"remove config.meta.{VERIFIED_BY} from its YAML"
                found.setdefault(name, f"{table}.{name}: the oracle computes this column; {how}")
        for name in known:
            if not any(name in columns[each] for each in expected):
                what = f"{table}.{name}: only the oracle has this column; remove it from {module}"
                found.setdefault(name, what)
    for table in sorted(columns.keys() - expected.keys()):
        if table.startswith("feat_"):
            own = [name for name in columns[table] if name not in said.alone(table)]
            passed_on = {name for each in said.reads(table) for name in columns.get(each, ())}
            for name in own:
                if name not in passed_on:
                    how = "add the table to tests/oracle (README.md there)"
                    found[name] = _unknown(table, name, how)
    return list(found.values())


def _unknown(table: str, name: str, how: str) -> str:
    return (
        f"{table}.{name}: the oracle does not compute this column; {how}, or set config.meta.{VERIFIED_BY}: "
        f"{UNIT_TESTS!r} in its YAML, if a dbt unit test gives it a value in `expect` (tests/oracle/README.md)"
    )


def _columns_of(con: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table, name in con.execute(
        "select table_name, column_name from duckdb_columns() "
        "where database_name = current_database() and schema_name = 'main' order by column_index"
    ).fetchall():
        found.setdefault(table, []).append(name)
    return found


def _differences(
    table: str, names: list[str], actual: Rows, rows: list[Row], *, is_whole: bool
) -> list[str]:
    nothing = TABLES[table].nothing
    if nothing is not None and not is_whole:
        # The mart also has as-of rows at which only a skipped column changed. Keep only the rows at which a compared
        # column changed.
        state = [name for name in names if name in nothing]
        made = [dict(zip(names, row, strict=True)) for row in actual]
        actual = [tuple(row.values()) for row in only_changes(table, made, state)]
    ours = sorted((tuple(map(comparable, row)) for row in actual), key=repr)
    theirs = sorted((tuple(comparable(row[name]) for name in names) for row in rows), key=repr)
    if ours == theirs:
        return []
    found = []
    for side, mine, other in (("mart", ours, theirs), ("oracle", theirs, ours)):
        others = set(other)
        found += [
            f"{table}: only the {side} has {dict(zip(names, row, strict=True))}"
            for row in mine
            if row not in others
        ][:3]
    return found or [f"{table}: the same rows, not as often"]
