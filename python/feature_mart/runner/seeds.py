"""Read the times from which the rows of the project's seeds were known, and find rows with neither a time nor a note.

A seed has `config.meta.known_from` in its YAML, or a column `known_from`: a date, which means midnight in the business
zone, or a timestamp with offset. An audit that removes raw rows not yet known also removes seed rows not yet known.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import duckdb

from feature_mart.core.duckdb_files import attach, connect, quoted
from feature_mart.core.errors import UsageError
from feature_mart.core.zones import load_zone

#: Columns of a seed that give the reason of a row.
NOTES = frozenset({"note", "comment", "description", "reason"})
KNOWN_FROM = "known_from"
#: The seed of the load clock, which has no `known_from`: its lines state when raw rows were known.
LOAD_CLOCK = "load_clock"
_DAY = r"\d{4}-\d\d-\d\d"
_INSTANT = _DAY + r"[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?([Zz]|[+-]\d\d(:?\d\d)?)"
_FORM = 'a date such as 2026-04-01, or a timestamp with offset such as "2026-04-01T03:00:00+09:00"'


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed of the project.

    `table` is the name of the seed's table, and `meta` the seed's `config.meta`. `known_at` is a DuckDB expression for
    the time from which a row of the table was known, NULL for a row without a time. `known_at` is None if the seed
    states no times.
    """

    name: str
    table: str
    meta: Mapping[str, Any]
    known_at: str | None

    def said(self, key: str) -> str:
        """Return a value of the seed's `config.meta` as text; empty if there is none."""
        value = self.meta.get(key)
        return "" if value is None else str(value).strip()


def read_seeds(document: Mapping[str, Any], database: Path, timezone: str) -> tuple[Seed, ...]:
    """Return the seeds of dbt's manifest.json; ``database`` is a DuckDB file with their tables.

    Raises:
        UsageError: a known_from is neither a date nor a timestamp with offset, or the type of a column known_from has
            no offset; the message names the seed.
    """
    with connect(database, read_only=True) as con:
        found = []
        for _, node in sorted(document["nodes"].items()):
            if node["resource_type"] == "seed":
                table, known_at = _table(node), _known_at(con, node, timezone)
                found.append(Seed(node["name"], table, seed_meta(node), known_at))
        return tuple(found)


def copy_seeds(
    con: duckdb.DuckDBPyConnection,
    database: Path,
    seeds: Sequence[Seed],
    known_by: datetime | None = None,
) -> None:
    """Copy the seeds' tables from the DuckDB file ``database`` into the schema `main` of the connection.

    Rows known only after ``known_by`` are left out; None to copy all rows. Rows without a time are always copied.
    """
    attach(con, database, "seeds")
    times = {seed.table: seed.known_at for seed in seeds}
    for name in _tables(con):
        known_at, where = times.get(name), ""
        if known_by is not None and known_at is not None:
            where = f"where coalesce({known_at} <= timestamptz '{known_by.isoformat()}', true)"
        con.execute(f"create table main.{name} as select * from seeds.main.{name} {where}")
    con.execute("detach seeds")


def seed_readers(document: Mapping[str, Any]) -> dict[str, str]:
    """Return a mapping from each seed that a model or dbt snapshot reads to the name of one of its readers."""
    names = {
        key: node["name"]
        for key, node in document["nodes"].items()
        if node["resource_type"] == "seed"
    }
    readers: dict[str, str] = {}
    for node in document["nodes"].values():
        if node["resource_type"] in {"model", "snapshot"}:
            for parent in node["depends_on"].get("nodes", ()):
                if parent in names:
                    readers.setdefault(names[parent], node["name"])
    return readers


def seed_meta(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the `config.meta` of a node of the manifest; empty if there is none."""
    meta = (node.get("config") or {}).get("meta") or node.get("meta") or {}
    return meta if isinstance(meta, Mapping) else {}


def unexplained_line(project: Path, node: Mapping[str, Any]) -> int | None:
    """Return the number of the first line of a seed's file that has neither a time nor a note; None if there is none.

    Lines are numbered from 1, which is the header.
    """
    delimiter = (node.get("config") or {}).get("delimiter") or ","
    path = project / node["original_file_path"]
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter)
        for row in reader:
            notes = (
                value
                for name, value in row.items()
                if name is not None and name.strip().lower() in NOTES | {KNOWN_FROM}
            )
            is_blank = not any(isinstance(value, str) and value.strip() for value in row.values())
            if not is_blank and not any(each and each.strip() for each in notes):
                return reader.line_num
    return None


def _table(node: Mapping[str, Any]) -> str:
    return str(node.get("alias") or node["name"])


def _tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    rows = con.execute(
        "select table_name from duckdb_tables() where database_name = 'seeds' and schema_name = 'main'"
    ).fetchall()
    return [str(name) for (name,) in rows]


def _known_at(con: duckdb.DuckDBPyConnection, node: Mapping[str, Any], timezone: str) -> str | None:
    name, meta = node["name"], seed_meta(node)
    whole = None
    if meta.get(KNOWN_FROM) is not None:
        at = _parsed(meta[KNOWN_FROM], timezone)
        if at is None:
            raise UsageError(
                f"seed {name}: config.meta.known_from is {meta[KNOWN_FROM]!r}; write {_FORM}."
            )
        whole = f"timestamptz {quoted(at.isoformat())}"
    columns = con.execute(
        "select column_name, data_type from duckdb_columns() where schema_name = 'main' and table_name = ? "
        "and lower(column_name) = ?",
        [_table(node), KNOWN_FROM],
    ).fetchall()
    if not columns:
        return whole
    column, data_type = columns[0]
    own = _of_row(con, _table(node), column, data_type, timezone)
    return own if whole is None else f"coalesce({own}, {whole})"


def _of_row(
    con: duckdb.DuckDBPyConnection, seed: str, column: str, data_type: str, timezone: str
) -> str:
    """Return a DuckDB expression for the time from which a row was known, from the seed's column ``column``."""
    quoted_column = f'"{column}"'
    midnight = f"timezone({quoted(timezone)}, cast(try_cast({quoted_column} as date) as timestamp))"
    if data_type == "DATE":
        return midnight
    if data_type == "TIMESTAMP WITH TIME ZONE":
        return quoted_column
    if data_type != "VARCHAR":
        raise UsageError(
            f"seed {seed}: column {column} has the type {data_type.lower()}, which drops the UTC offset; in the "
            f"seed's YAML set config.column_types to {{{column}: timestamptz}}."
        )
    at = (
        f"case when regexp_full_match(trim({quoted_column}), {quoted(_DAY)}) then {midnight} "
        f"when regexp_full_match(trim({quoted_column}), {quoted(_INSTANT)}) "
        f"then try_cast({quoted_column} as timestamptz) end"
    )
    bad = con.execute(
        f"select {quoted_column} from main.\"{seed}\" where trim({quoted_column}) <> '' and {at} is null "
        "order by all limit 1"
    ).fetchone()
    if bad is not None:
        raise UsageError(f"seed {seed}: {column} of a row is {bad[0]!r}; write {_FORM}.")
    return at


def _parsed(value: object, timezone: str) -> datetime | None:
    """Parse a value of `known_from`. Return None if the value is neither a date nor a timestamp with offset."""
    text = str(value).strip()
    try:
        if len(text) == len("2026-04-01"):
            return datetime.combine(date.fromisoformat(text), time(), load_zone(timezone))
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.utcoffset() is not None else None
