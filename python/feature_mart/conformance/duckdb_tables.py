"""Read the tables of a DuckDB mart as tables of GoogleSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from feature_mart.bigquery.googlesql_values import Table
from feature_mart.core.errors import TerminalError

#: Maps each DuckDB type that a model's column may have to BigQuery's type. Lists and structs of these types are also
#: allowed.
_EXACT = {
    "BIGINT": "INT64",
    "DOUBLE": "FLOAT64",
    "VARCHAR": "STRING",
    "BOOLEAN": "BOOL",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "DATE": "DATE",
    "DECIMAL(38,9)": "NUMERIC",
}
#: Maps the DuckDB types that only other columns may have, such as those of raw tables, to BigQuery's types. On DuckDB,
#: an untyped NULL has type INTEGER or NULL.
_OTHERS = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "UINTEGER", "HUGEINT", '"NULL"'), "INT64"),
    "FLOAT": "FLOAT64",
}


class DuckDBTables:
    """The tables and views in one schema of a DuckDB connection. Each is read at most once.

    ``con`` needs the catalogs that the views name, such as `mart`.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, schema: str = "main") -> None:
        self._con = con
        self._schema = schema
        self._types: dict[str, dict[str, Any]] = {}
        self._tables: dict[str, Table] = {}

    def names(self) -> frozenset[str]:
        """Return the names of the tables and views."""
        query = (
            "select table_name from information_schema.tables "
            "where table_catalog = current_database() and table_schema = ?"
        )
        return frozenset(name for (name,) in self._con.execute(query, [self._schema]).fetchall())

    def types(self, name: str) -> Mapping[str, Any]:
        """Return DuckDB's type of each column of a table."""
        if name not in self._types:
            found = self._con.sql(f'select * from {self._schema}."{name}" limit 0')
            self._types[name] = dict(zip(found.columns, found.types, strict=True))
        return self._types[name]

    def empty(self, name: str) -> Table:
        """Return a table without its rows.

        Raises:
            TerminalError: a column has a type that GoogleSQL cannot read.
        """
        columns = {}
        for column, type_ in self.types(name).items():
            found = _translated(type_, is_exact=False)
            if found is None:
                raise TerminalError(
                    f"{name}.{column} has the type {type_}, which BigQuery does not have: cast the column in the model."
                )
            columns[column] = found
        return Table(columns)

    def read(self, name: str) -> Table:
        """Return a table with its rows.

        Raises:
            TerminalError: as `empty`.
        """
        if name not in self._tables:
            columns = self.empty(name).columns
            rows = self._con.execute(f'select * from {self._schema}."{name}"').fetchall()
            self._tables[name] = Table(columns, rows)
        return self._tables[name]


def exact_type(type_: Any) -> str | None:
    """Return BigQuery's name of a DuckDB type, such as ARRAY<STRING>; None if no model's column may have the type."""
    return _translated(type_, is_exact=True)


def _translated(type_: Any, *, is_exact: bool) -> str | None:
    name = str(type_)
    if type_.id == "list":
        element = _translated(type_.child, is_exact=is_exact)
        return None if element is None else f"ARRAY<{element}>"
    if type_.id == "struct":
        parts = {part: _translated(of, is_exact=is_exact) for part, of in type_.children}
        if None in parts.values():
            return None
        return f"STRUCT<{', '.join(f'{part} {of}' for part, of in parts.items())}>"
    if name in _EXACT or is_exact:
        return _EXACT.get(name)
    return "NUMERIC" if type_.id == "decimal" else _OTHERS.get(name)
