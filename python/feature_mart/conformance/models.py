"""Evaluate each SQL model on GoogleSQL over the tables of a DuckDB mart, and compare the rows with DuckDB's table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from feature_mart.bigquery.googlesql import load_googlesql
from feature_mart.bigquery.googlesql_values import RefusedError, Table
from feature_mart.conformance.duckdb_tables import DuckDBTables, exact_type
from feature_mart.conformance.reference import MART, RAW, BigQueryModel
from feature_mart.conformance.row_differences import canonical, compare_rows

#: The columns in which the engines differ by design, each with the reason. They are not compared.
EXCEPTIONS = {
    ("int_mart__seals", "keys_hash"): (
        "each engine has its own hash function, and a seal is compared with seals of the same engine only"
    ),
}


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """The comparison of one model's table.

    Attributes:
        rows, columns: the numbers of rows and of compared columns in DuckDB's table.
        differences: the number of rows that only one engine has or in which a value differs, plus the number of columns
            with another type. If GoogleSQL refused the SELECT or returns other columns, the number of DuckDB's rows, at
            least 1.
        example: a description of one difference; None if there is none.
    """

    model: str
    rows: int
    columns: int
    differences: int
    example: str | None

    @property
    def values(self) -> int:
        """Return the number of compared values."""
        return self.rows * self.columns


@dataclass(frozen=True, slots=True)
class MartTables:
    """The tables that the SELECTs of one build read: the mart's and the raw tables.

    `earlier` has the mart's tables before the build, from which a model reads its own table, `{{ this }}`; None for a
    first build.
    """

    mart: DuckDBTables
    raw: DuckDBTables
    earlier: DuckDBTables | None = None

    def existing(self, seeds: Iterable[str]) -> dict[str, Table]:
        """Return the tables, without rows, that exist before the build, by their names on BigQuery.

        Before a first build, these are the raw tables and the seeds, whose names are ``seeds``.
        """
        names = self.mart.names()
        built = names & frozenset(seeds) if self.earlier is None else names
        return {f"{MART}.{name}": self.mart.empty(name) for name in built} | {
            f"{RAW}.{name}": self.raw.empty(name) for name in self.raw.names()
        }

    def query(self, model: str, select: str) -> Table:
        """Evaluate a query of a model on GoogleSQL over the rows of the tables that the query names.

        Raises:
            RefusedError: as `GoogleSql.query`.
        """
        named: dict[str, Table] = {}
        for place, tables in ((MART, self.mart), (RAW, self.raw)):
            for name in tables.names():
                full = f"{place}.{name}"
                if f"`{full.replace('.', '`.`')}`" in select:
                    is_own = tables is self.mart and name == model
                    source = self.earlier if is_own and self.earlier is not None else tables
                    named[full] = source.read(name)
        return load_googlesql().query(select, named)


def compare_models(
    models: Sequence[BigQueryModel],
    tables: MartTables,
    progress: Callable[[str], None] | None = None,
) -> tuple[ModelComparison, ...]:
    """Compare each SQL model that the mart contains. Python models are left out.

    The SELECT reads DuckDB's tables. In a later run, the result of an incremental model is merged into the model's
    earlier table, as dbt does, and the merged table is compared.

    Raises:
        TerminalError: DuckDB has a type that GoogleSQL cannot read.
    """
    found = []
    present = tables.mart.names()
    for model in models:
        if model.select is None or model.name not in present:
            continue
        if progress is not None:
            progress(model.name)
        found.append(_compare(model, model.select, tables))
    return tuple(found)


def _compare(model: BigQueryModel, select: str, tables: MartTables) -> ModelComparison:
    expected = tables.mart.read(model.name)
    types = tables.mart.types(model.name)
    compared = [name for name in types if (model.name, name) not in EXCEPTIONS]
    try:
        result = tables.query(model.name, select)
    except RefusedError as error:
        return ModelComparison(
            model.name, len(expected.rows), len(compared), max(len(expected.rows), 1), str(error)
        )
    if set(result.columns) != set(types):
        odd = ", ".join(sorted(set(result.columns) ^ set(types)))
        reason = f"columns that only one engine has: {odd}"
        return ModelComparison(
            model.name, len(expected.rows), len(compared), max(len(expected.rows), 1), reason
        )
    apart = [
        f"{name}: {types[name]} on DuckDB, {result.columns[name]} on GoogleSQL"
        for name in compared
        if exact_type(types[name]) != result.columns[name]
    ]
    rows: Sequence[Sequence[Any]] = _columns(result, types)
    if tables.earlier is not None and model.is_incremental:
        before = _columns(tables.earlier.read(model.name), types)
        try:
            rows = merged(before, rows, [list(types).index(name) for name in model.unique_key])
        except ValueError as error:
            apart.append(str(error))
    there = Table(dict.fromkeys(types, ""), rows)
    differences, example = compare_rows(
        _columns(expected, compared), _columns(there, compared), compared
    )
    return ModelComparison(
        model.name,
        len(expected.rows),
        len(compared),
        differences + len(apart),
        "; ".join(filter(None, (*apart[:3], example))) or None,
    )


def merged(
    before: Sequence[Sequence[Any]], rows: Sequence[Sequence[Any]], key: Sequence[int]
) -> list[Sequence[Any]]:
    """Return a table after a later run: rows of the same key are replaced, other rows are added.

    ``key`` has the places of the columns of dbt's `unique_key`; if it is empty, all rows are added. As in BigQuery's
    MERGE, NULL equals no other value.

    Raises:
        ValueError: two rows replace the same row, which MERGE refuses.
    """
    after = list(before)
    places: dict[Any, list[int]] = {}
    for number, row in enumerate(before if key else ()):
        places.setdefault(_key(row, key), []).append(number)
    replaced: set[Any] = set()
    for row in rows:
        value = _key(row, key)
        found = places.get(value, ()) if key and value is not None else ()
        if found and value in replaced:
            raise ValueError(f"two rows of the later run have the key {value}")
        replaced.add(value)
        for place in found:
            after[place] = row
        if not found:
            after.append(row)
    return after


def _key(row: Sequence[Any], key: Sequence[int]) -> Any:
    values = tuple(canonical(row[place]) for place in key)
    return None if None in values else values


def _columns(table: Table, names: Iterable[str]) -> list[tuple[Any, ...]]:
    places = {name: place for place, name in enumerate(table.columns)}
    wanted = [places[name] for name in names]
    return [tuple(row[place] for place in wanted) for row in table.rows]
