"""Compare two marts that should be equal, table by table, and find rows that only one of them has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from feature_mart.core.duckdb_files import attach, connect


@dataclass(frozen=True, slots=True)
class TableDifference:
    """A table whose rows differ between two marts.

    `only_first` is the number of rows that only the first mart has, `only_second` the number that only the second has.
    `example` is one of these rows.
    """

    model: str
    only_first: int
    only_second: int
    example: str


def compare_tables(
    first: Path, second: Path, models: Sequence[str]
) -> tuple[int, list[TableDifference]]:
    """Return the number of rows of ``models`` in the first mart, and the models that differ, in the order given."""
    differences: list[TableDifference] = []
    rows = 0
    with connect() as con:
        attach(con, first, "one")
        attach(con, second, "other")
        for model in models:
            names = _names(con, model)
            # EXCEPT takes ten times as long as a hash, and most tables are equal.
            digests = [_digest(con, side, model, names) for side in ("one", "other")]
            rows += digests[0][0]
            if digests[0] == digests[1]:
                continue
            sides = [
                _only(con, *pair, model, names) for pair in (("one", "other"), ("other", "one"))
            ]
            if any(count for count, _ in sides):
                example = next(example for count, example in sides if count)
                differences.append(TableDifference(model, sides[0][0], sides[1][0], example))
    return rows, differences


def _names(con: duckdb.DuckDBPyConnection, model: str) -> str:
    """Return the quoted names of a model's columns in the first mart, separated by commas, in table order."""
    columns = con.execute(f"describe one.main.{model}").fetchall()
    return ", ".join(f'"{column[0]}"' for column in columns)


def _digest(
    con: duckdb.DuckDBPyConnection, side: str, model: str, names: str
) -> tuple[int, int | None]:
    """Return the number of rows of a model in one mart, and the sum of the 64-bit row hashes."""
    row = con.execute(f"select count(*), sum(hash({names})) from {side}.main.{model}").fetchone()
    assert row is not None
    return int(row[0]), row[1]


def _only(
    con: duckdb.DuckDBPyConnection, one: str, other: str, model: str, names: str
) -> tuple[int, str]:
    row = con.execute(
        f"select count(*), any_value(rest::varchar) from (select {names} from {one}.main.{model} "
        f"except all select {names} from {other}.main.{model}) rest"
    ).fetchone()
    assert row is not None
    return int(row[0]), str(row[1])
