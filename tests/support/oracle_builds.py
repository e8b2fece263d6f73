"""Build the mart in memory from the oracle's raw rows, with the settings of a world."""

from __future__ import annotations

from typing import Any

from compiled_mart import RAW_TABLES, CompiledMart, connect, load_table, load_text_words
from oracle import Tables, World

_LOAD_CLOCK_COLUMNS = {
    "warehouse": "varchar",
    "table": "varchar",
    "trusted_from": "timestamptz",
    "assumed_lag_hours": "bigint",
    "untrusted_from": "timestamptz",
}


def build_world(mart: CompiledMart, tables: Tables, world: World) -> Any:
    """Build the mart of these raw rows in memory with the settings of ``world``, and return the connection."""
    con = connect()
    for table, columns in RAW_TABLES.items():
        load_table(con, f"dwh.{table}", columns, tables.get(table, []))
    build_on_raw(mart, con, world)
    return con


def build_on_raw(mart: CompiledMart, con: Any, world: World) -> None:
    """Build the mart with a world's settings over the raw tables in the schema `dwh` of a connection."""
    lines = [
        {
            "table": table,
            "trusted_from": line.trusted_from,
            "assumed_lag_hours": line.assumed_lag_hours,
            "untrusted_from": line.untrusted_from,
        }
        for table in world.load_clock
        for line in world.load_clock_lines(table)
    ]
    load_table(con, "main.load_clock", _LOAD_CLOCK_COLUMNS, lines)
    load_text_words(con)
    load_table(
        con, "main.int_mart__clock", {"as_of_at": "timestamptz"}, [{"as_of_at": world.as_of_at}]
    )
    mart.build(con, given={"int_mart__clock"})
