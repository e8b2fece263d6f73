"""DuckDB as the exporter opens it, and text within its SQL."""

from __future__ import annotations

import duckdb

#: Of sorts and scans; more is spilled to disk.
MEMORY_LIMIT = "2GB"


def connect() -> duckdb.DuckDBPyConnection:
    """A database in memory, whose zone is UTC."""
    con = duckdb.connect(config={"memory_limit": MEMORY_LIMIT})
    # Not at connect: there it would ask for an extension.
    con.execute("set TimeZone = 'UTC'")
    return con


def quoted(value: str) -> str:
    """A text as a literal of SQL."""
    return "'" + value.replace("'", "''") + "'"
