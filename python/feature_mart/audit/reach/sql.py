"""Find accesses in compiled SQL: to relations that are not inputs, files, the catalog, the clock and random numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from feature_mart.core.duckdb_files import connect

#: Table functions whose rows come from their arguments alone.
_FROM_ARGUMENTS = frozenset(
    {"unnest", "range", "generate_series", "repeat", "json_each", "json_tree"}
)
#: SQL functions that return the time or the session's settings and are called without parentheses.
_WORDS = frozenset(
    {
        *("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"),
        *("current_user", "session_user", "current_role", "current_catalog", "current_schema"),
    }
)
_REMEDY = {
    "relation": "read it by ref() or source()",
    "file": "read raw tables by source()",
    "clock": "take times from int_mart__clock and from the rows",
}


def sql_faults(sql: str, allowed: Sequence[str]) -> Iterator[str]:
    """Yield a message for each access to something other than the relations in ``allowed`` (dbt's relation names)."""
    known = {_plain(name) for name in allowed}
    yield from _function_faults(sql)
    try:
        trees = sqlglot.parse(sql, read="duckdb")
    except SqlglotError:
        return  # The engine may accept what sqlglot cannot parse; the functions are checked above.
    for tree in trees:
        if tree is None:
            continue
        ctes = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        for table in tree.find_all(exp.Table):
            if isinstance(table.this, exp.Func):
                continue  # _function_faults checks table functions.
            name = ".".join(part.name for part in table.parts).lower()
            if (name in ctes and len(table.parts) == 1) or name in known:
                continue
            if isinstance(table.parent, exp.From | exp.Join) and _is_column(table):
                continue
            yield f"reads {name}, which is not one of its inputs; {_REMEDY['relation']}"


def _is_column(table: exp.Table) -> bool:
    """Return True if the table is a lateral reference to a list column, as in ``from rows, rows.items``."""
    select = table.parent_select
    if select is None or len(table.parts) < 2:
        return False
    aliases = {
        each.alias_or_name.lower() for each in select.find_all(exp.Table) if each is not table
    }
    return table.parts[0].name.lower() in aliases


def _function_faults(sql: str) -> Iterator[str]:
    tokens = sqlglot.tokenize(sql, read="duckdb")
    changing, reading = _functions()
    for number, token in enumerate(tokens):
        name = token.text.lower()
        if token.token_type in {TokenType.STRING, TokenType.IDENTIFIER} or _is_part(tokens, number):
            continue
        is_called = number + 1 < len(tokens) and tokens[number + 1].token_type is TokenType.L_PAREN
        if (is_called and name in changing) or (name in _WORDS and not _is_named(tokens, number)):
            yield f"depends on the clock, on random numbers or on the session ({name}); {_REMEDY['clock']}"
        elif is_called and name in reading:
            yield f"reads files, settings or the catalog ({name}); {_REMEDY['file']}"


def _is_part(tokens: Sequence[Token], number: int) -> bool:
    """Return True if the token follows a dot, as the name of a column or method does."""
    return number > 0 and tokens[number - 1].token_type is TokenType.DOT


def _is_named(tokens: Sequence[Token], number: int) -> bool:
    """Return True if the token is a column alias."""
    return number > 0 and tokens[number - 1].token_type is TokenType.ALIAS


@cache
def _functions() -> tuple[frozenset[str], frozenset[str]]:
    """Return DuckDB's nondeterministic functions, and its table functions that read files, settings or the catalog.

    Both are looked up in the catalog of the engine.
    """
    with connect() as con:
        rows = con.execute(
            "select lower(function_name), bool_or(function_type in ('table', 'table_macro', 'pragma')), "
            "bool_or(function_type in ('scalar', 'aggregate', 'window', 'macro') and coalesce(stability, '') in "
            "('VOLATILE', 'CONSISTENT_WITHIN_QUERY')), "
            "bool_or(function_type in ('scalar', 'aggregate', 'window') and stability = 'CONSISTENT') "
            "from duckdb_functions() group by all"
        ).fetchall()
    # Two corrections of the catalog: `error` is listed as volatile, but it only fails the build and returns no value;
    # `ago` reads the clock, but is not listed as volatile, because it is a macro.
    changing = {name for name, _, is_changing, _ in rows if is_changing} - {"error"} | {"ago"}
    reading = {
        name for name, is_table, _, is_scalar in rows if is_table and not is_scalar
    } - _FROM_ARGUMENTS
    return frozenset(changing), frozenset(reading | {"getenv", "which_secret"})


def _plain(relation: str) -> str:
    """Return a relation's name without quotes and in lower case, for comparison."""
    return relation.replace('"', "").replace("`", "").lower()
