"""What a model means, without its comments and layout: did a change of its files change its columns?

SQL is compared as dbt is given it, so that no warehouse and no compilation is needed: each ``{{ … }}`` counts as one
word, made of its text and of the macros that it calls. A column then is its own expression and, through the CTEs, every
expression and every join and condition that it rests on. Where a model is no SQL that can be read so, and for Python,
every column of it changes with it.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

_JINJA_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_SQL_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
#: How a model is kept is not what it means.
_CONFIG = re.compile(r"\{\{\s*config\s*\(.*?\}\}", re.DOTALL)
_BLOCK = re.compile(r"\{%.*?%\}", re.DOTALL)
#: A CTE whose whole body is one expression: only a select can stand there.
_BODY = re.compile(r"(\bas\s*\(\s*)(jinja_[0-9a-f]+)(\s*\))", re.IGNORECASE)
#: A text in an expression of Jinja, and the word of one where a value stands: not where a table does.
_TEXT = re.compile(r"'([^']*)'")
_VALUE = re.compile(r"(?<!from )(?<!join )\bjinja_[0-9a-f]{16}\b(?!\s+as\b\s*\()", re.IGNORECASE)
_SHAPE = ("from", "from_", "joins", "where", "group", "having", "qualify", "distinct", "limit")
_MACRO = re.compile(r"\{%-?\s*macro\s+(\w+)\s*\(.*?\{%-?\s*endmacro\s*-?%\}", re.DOTALL)


def read_macros(files: Mapping[str, str]) -> dict[str, str]:
    """The text of every macro of a project, by name; an engine's own ones (``duckdb__x``) count to ``x``."""
    macros: dict[str, str] = {}
    for path, text in sorted(files.items()):
        if path.startswith("macros/") and path.endswith(".sql"):
            for found in _MACRO.finditer(_JINJA_COMMENT.sub(" ", text)):
                name = found.group(1).rpartition("__")[2]
                macros[name] = macros.get(name, "") + _squeezed(
                    _SQL_COMMENT.sub(" ", found.group(0))
                )
    return macros


def column_meanings(code: str, macros: Mapping[str, str], *, is_python: bool) -> dict[str, str]:
    """A fingerprint of each column that a model makes, and under ``*`` of the whole, for those not told apart."""
    if is_python:
        return {"*": _hash(_python_text(code))}
    sql = _stubbed(code, macros)
    try:
        columns = _Columns(sql)
        return {"*": columns.whole(), **columns.all()}
    except (SqlglotError, KeyError, RecursionError):
        return {"*": _hash(_squeezed(sql.lower()))}


def changed_columns(
    before: Mapping[str, str], after: Mapping[str, str], names: Iterable[str]
) -> list[str]:
    """Those of the named columns whose meaning is another one.

    Where the model means something else, and no column can be told that it rests on it, it is laid to all.
    """
    named = list(names)

    def is_same(name: str) -> bool:
        key = name if name in before and name in after else "*"
        return before[key] == after[key]

    changed = [name for name in named if not is_same(name)]
    is_other = before["*"] != after["*"] and before.keys() == after.keys()
    return named if is_other and not any(_differ(before, after)) else changed


def _differ(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[bool]:
    return (before[name] != after[name] for name in before if name != "*")


def _stubbed(code: str, macros: Mapping[str, str]) -> str:
    """SQL in which every expression of Jinja is a word, or a function of that name of the SQL in its arguments.

    Blocks are left out, and mark the whole.
    """
    code = _CONFIG.sub(" ", _SQL_COMMENT.sub(" ", _JINJA_COMMENT.sub(" ", code)))
    given: dict[str, list[str]] = {}

    def word(found: re.Match[str]) -> str:
        text = found.group(1)
        name = f"jinja_{_hash(_squeezed(text) + _called(text, macros))[:16]}"
        given[name] = [argument for argument in _TEXT.findall(text) if _is_expression(argument)]
        return name

    code = _EXPRESSION.sub(word, code)
    blocks = "".join(_squeezed(found) + _called(found, macros) for found in _BLOCK.findall(code))
    code = _BLOCK.sub(" ", code)
    ctes = set(re.findall(r"\b(\w+)\s+as\s*\(", code, re.IGNORECASE))

    def body(found: re.Match[str]) -> str:
        read = [found[2], *(name for name in given[found[2]] if name in ctes)]
        return f"{found[1]}select * from {' cross join '.join(read)}{found[3]}"

    code = _BODY.sub(body, code)
    code = _VALUE.sub(
        lambda found: f"{found[0]}({', '.join(given[found[0]])})" if given[found[0]] else found[0],
        code,
    )
    return f"{code} /* {_hash(blocks)} */" if blocks else code


def _is_expression(text: str) -> bool:
    """Whether a macro's argument is SQL that names a column."""
    try:
        return sqlglot.parse_one(text, read="duckdb").find(exp.Column) is not None
    except SqlglotError:
        return False


def _called(text: str, macros: Mapping[str, str], seen: frozenset[str] = frozenset()) -> str:
    """The text of every macro that a text calls, and of those that they call."""
    names = {name for name in re.findall(r"\b(\w+)\s*\(", text) if name in macros} - seen
    names |= {
        name for name in re.findall(r"dispatch\(\s*['\"](\w+)", text) if name in macros
    } - seen
    return "".join(
        macros[name] + _called(macros[name], macros, seen | names) for name in sorted(names)
    )


class _Columns:
    """The columns of a select with CTEs, each with what it rests on."""

    def __init__(self, sql: str) -> None:
        tree = sqlglot.parse_one(sql, read="duckdb")
        found = re.search(r"/\* ([0-9a-f]{64}) \*/$", sql)
        self._whole = found.group(1) if found else ""
        self._ctes = {cte.alias: cte.this for cte in tree.find_all(exp.CTE)}
        self._top = cast(exp.Query, tree)
        self._known: dict[tuple[str, str], str] = {}
        self._shapes: dict[int, str] = {}

    def whole(self) -> str:
        """Of all of it, without comments and layout."""
        return _hash(self._whole + self._top.sql(comments=False, normalize=True))

    def all(self) -> dict[str, str]:
        """Every column by name."""
        names = self._names(self._top)
        return {name: _hash(self._whole + self._of_query("", self._top, name)) for name in names}

    def _names(self, query: exp.Expression) -> list[str]:
        """A query's columns; a star stands for those of the CTE behind it."""
        names: list[str] = []
        for select in list(_branches(query))[:1]:
            for projection in select.expressions:
                if isinstance(projection, exp.Star) or projection.is_star:
                    for table in _tables(select).values():
                        names += self._names(self._ctes[table])
                else:
                    names.append(projection.alias_or_name)
        return names

    def _of(self, table: str, column: str) -> str:
        """What a column of a CTE rests on; one of another model is its own name."""
        if table not in self._ctes:
            return f"{table}.{column}"
        key = (table, column)
        if key not in self._known:
            self._known[key] = "…"
            self._known[key] = _hash(self._of_query(table, self._ctes[table], column))
        return self._known[key]

    def _of_query(self, table: str, query: exp.Expression, column: str) -> str:
        parts = []
        for select in _branches(query):
            tables = _tables(select)
            projection = next(
                (each for each in select.expressions if each.alias_or_name == column), None
            )
            if projection is None:
                # Through a star: the same column of what is read.
                parts.append(" ".join(self._of(source, column) for source in tables.values()))
            else:
                parts.append(self._text(projection, tables))
            parts.append(self._shape(select, tables))
        return f"{table}|{' union '.join(parts)}"

    def _shape(self, select: exp.Expression, tables: Mapping[str, str]) -> str:
        """Which rows there are: what is read, joined, kept and grouped."""
        if id(select) not in self._shapes:
            self._shapes[id(select)] = "…"
            found = (select.args.get(kind) for kind in _SHAPE)
            nodes = [one for each in found for one in (each if isinstance(each, list) else [each])]
            texts = [self._text(node, tables) for node in nodes if isinstance(node, exp.Expression)]
            self._shapes[id(select)] = _hash(" ".join(texts))
        return self._shapes[id(select)]

    def _text(self, node: exp.Expression, tables: Mapping[str, str]) -> str:
        """An expression as SQL, and what each of its columns rests on."""
        below = []
        for column in node.find_all(exp.Column):
            sources = [tables[column.table]] if column.table in tables else list(tables.values())
            below += [self._of(source, column.name) for source in sources]
        for table in node.find_all(exp.Table):
            if table.name in self._ctes:
                below += [
                    self._shape(each, _tables(each)) for each in _branches(self._ctes[table.name])
                ]
        return f"{node.sql(comments=False, normalize=True)} [{' '.join(below)}]"


def _branches(query: exp.Expression) -> Iterator[exp.Expression]:
    """The selects of a union, or the one there is."""
    if isinstance(query, exp.SetOperation):
        yield from _branches(query.left)
        yield from _branches(query.right)
    else:
        yield query.unnest()


def _tables(select: exp.Expression) -> dict[str, str]:
    """What a select reads, by the name that it gives it."""
    return {
        table.alias_or_name: table.name
        for table in select.find_all(exp.Table)
        if table.parent_select is select
    }


def _python_text(code: str) -> str:
    """A module without comments, layout and docstrings."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return code
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[:1] = []
    return ast.dump(tree)


def _squeezed(text: str) -> str:
    """Text without the blanks that do not part words."""
    return re.sub(r"\s*([^\w\s])\s*", r"\1", " ".join(text.split()))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sql_sha256(sql: str) -> str:
    """Of SQL without comments and layout: whether a candidate's is still the SQL that was measured."""
    return hashlib.sha256(
        " ".join(_SQL_COMMENT.sub(" ", _JINJA_COMMENT.sub(" ", sql)).split()).encode()
    ).hexdigest()
