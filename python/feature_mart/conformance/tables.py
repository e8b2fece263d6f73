"""Compare two marts that should be equal, a BigQuery dataset and a DuckDB file, table by table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from feature_mart.bigquery import explained_errors
from feature_mart.core.duckdb_files import attach, connect
from feature_mart.core.services import BigQueryAddress

#: Two floats count as equal if their difference is at most this fraction of the greater absolute value.
TOLERANCE = 1e-12
_FLOATS = frozenset({"DOUBLE", "FLOAT"})


@dataclass(frozen=True, slots=True)
class TableComparison:
    """The comparison of one table on both engines.

    If the tables have different columns, their rows are not compared: `rows` is 0, `differences` is at least 1, and
    `example` names the columns that only one table has.

    Attributes:
        rows, columns: the numbers of rows and columns in the DuckDB mart.
        differences: the number of rows that only one mart has, or in which a value differs.
        example: the first differing row, with at most four columns that differ; None if there is no difference.
        float_gap: the maximum relative difference of two floats in matching rows: their difference, divided by the
            greater absolute value.
    """

    model: str
    rows: int
    columns: int
    differences: int
    example: str | None
    float_gap: float


def compare_engines(
    client: Any, address: BigQueryAddress, mart: Path, models: Sequence[str]
) -> tuple[TableComparison, ...]:
    """Compare every row of the tables ``models``: floats within `TOLERANCE`, all other values exactly.

    Whole tables are read into memory, so the tables must be small, as in a sample.

    Raises:
        FeatureMartError: BigQuery did not return a table.
    """
    with connect() as con:
        attach(con, mart, "mart")
        return tuple(_compare(con, client, address, model) for model in models)


def _compare(
    con: duckdb.DuckDBPyConnection, client: Any, address: BigQueryAddress, model: str
) -> TableComparison:
    with explained_errors(address):
        table = client.get_table(f"{address.project}.{address.dataset}.{model}")
        rows = client.list_rows(table).to_arrow(create_bqstorage_client=False)
    con.register("there_rows", rows)
    types = {row[0]: row[1] for row in con.execute(f"describe mart.main.{model}").fetchall()}
    found = set(rows.column_names)
    if found != set(types):
        odd = ", ".join(sorted(found ^ set(types)))
        return TableComparison(model, 0, len(types), max(len(rows), 1), f"columns: {odd}", 0.0)
    exact = [name for name, kind in types.items() if kind not in _FLOATS]
    floats = [name for name in types if name not in exact]
    order = ", ".join(f'"{name}" nulls first' for name in (*exact, *floats))
    # Some types are wider on BigQuery, so cast all columns to the types of the DuckDB mart.
    cast = ", ".join(f'cast("{name}" as {kind}) as "{name}"' for name, kind in types.items())
    for side, source in (("here", f"mart.main.{model}"), ("there", "there_rows")):
        con.execute(
            f"create or replace temp table {side} as select *, row_number() over (order by {order}) as at_row "
            f"from (select {cast} from {source})"
        )
    con.unregister("there_rows")
    differs = [f'here."{name}" is distinct from there."{name}"' for name in exact]
    differs += [_apart(name) for name in floats]
    any_of = " or ".join(differs)
    joined = "here full join there on here.at_row = there.at_row"
    count, total = _row(
        con,
        f"select count(*) filter (here.at_row is null or there.at_row is null or {any_of}), "
        f"count(here.at_row) from {joined}",
    )
    gaps = [f"max({_gap(name)})" for name in floats]
    gap = max((_row(con, f"select {', '.join(gaps)} from {joined}")), default=0.0) if gaps else 0.0
    example = _example(con, joined, any_of, list(types), exact) if count else None
    return TableComparison(model, int(total), len(types), int(count), example, float(gap or 0.0))


def _gap(name: str) -> str:
    """Return SQL for the relative difference of two floats: 0 if they are equal (also if infinite) or one is NULL."""
    here, there = f'here."{name}"', f'there."{name}"'
    return (
        f"case when {here} = {there} or {here} is null or {there} is null then 0.0 "
        f"else abs({here} - {there}) / greatest(abs({here}), abs({there})) end"
    )


def _apart(name: str) -> str:
    null = f'(here."{name}" is null) <> (there."{name}" is null)'
    return f"({null} or not ({_gap(name)} <= {TOLERANCE}))"


def _example(
    con: duckdb.DuckDBPyConnection, joined: str, any_of: str, names: list[str], exact: list[str]
) -> str:
    shown = ", ".join(f'here."{name}", there."{name}"' for name in names)
    row = _row(
        con,
        f"select {shown} from {joined} where here.at_row is null or there.at_row is null or {any_of} "
        "order by coalesce(here.at_row, there.at_row) limit 1",
    )
    pairs = {name: (row[2 * n], row[2 * n + 1]) for n, name in enumerate(names)}
    key = next((f"{name}={pairs[name][0]}" for name in exact if pairs[name][0] is not None), "")
    apart = [f"{name}: {a} here, {b} there" for name, (a, b) in pairs.items() if a != b]
    return f"{key}; {'; '.join(apart[:4])}"


def _row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    # Fetch all rows, so that a query with more than one row is an error.
    (row,) = con.execute(query).fetchall()
    return tuple(row)
