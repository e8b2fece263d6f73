"""Load seeds and dbt vars as tables, and find the attributes of requests whose keys they contain."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from feature_mart.audit.compare import SPINE
from feature_mart.core.dbt_vars import OwnVar
from feature_mart.runner.seeds import LOAD_CLOCK, Seed

#: A column counts as a key column if at least this share of its distinct values are keys of an attribute.
_MATCHING = 0.5
TERMS = "int_job__terms"
#: Subtract group means of the label only if the groups have at least this many requests on average.
_ROWS_PER_VALUE = 20
#: Models whose text columns are attributes of requests, each with the column by which the model is joined to the spine.
#: Ties go to the first model.
_LOOKED_UP = (
    (SPINE, "job_id"),
    ("int_job__skills", "job_id"),
    ("stg_dwh__categories", "category_id"),
    ("stg_dwh__clients", "client_id"),
    ("int_contract__facts", "job_id"),
    (TERMS, "job_id"),
)
_NUMBERS = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER"),
    *("UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL"),
)


@dataclass(frozen=True, slots=True)
class SeedTable:
    """A seed or var that was loaded into a DuckDB table.

    Attributes:
        excuse: the documented reason why the input may follow labels; empty if there is none.
        remedy: advice for an input that follows a label.
    """

    name: str
    table: str
    excuse: str
    remedy: str


@dataclass(frozen=True, slots=True)
class SeedKey:
    """A column of a seed or var, and the request attribute that it refers to."""

    column: str
    model: str
    attribute: str


def seed_tables(con: duckdb.DuckDBPyConnection, seeds: Sequence[Seed]) -> Iterator[SeedTable]:
    """Create a table for each seed, and yield the table.

    The table has the rows known by the time of the first request, and the rows without a date. The load clock is left
    out.
    """
    for seed in seeds:
        if seed.name == LOAD_CLOCK or not columns_of(con, seed.table):
            continue
        known_at = seed.known_at or "cast(null as timestamptz)"
        table = f"memory.audited.{quoted_name('seed ' + seed.table)}"
        con.execute(
            f"create table {table} as select * from main.{quoted_name(seed.table)} "
            f"where coalesce({known_at} <= (select min(requested_at) from main.{SPINE}), true)"
        )
        remedy = (
            "set config.meta.known_from (the time from which the seed's values are known) or "
            "config.meta.follows_labels (the reason why the values may follow the label)"
        )
        yield SeedTable(f"seed {seed.name}", table, seed.said("follows_labels"), remedy)


def var_tables(con: duckdb.DuckDBPyConnection, own_vars: Sequence[OwnVar]) -> Iterator[SeedTable]:
    """Create a table for each var that is a list or a mapping, and yield the table."""
    for var in own_vars:
        rows = list(_rows(var.value))
        if not rows:
            continue
        columns = list(dict.fromkeys(column for row in rows for column in row))
        table = f"memory.audited.{quoted_name('var ' + var.name)}"
        con.execute(
            f"create table {table} ({', '.join(f'{quoted_name(c)} varchar' for c in columns)})"
        )
        marks = ", ".join("?" for _ in columns)
        cells = [[_cell(row.get(column)) for column in columns] for row in rows]
        con.executemany(f"insert into {table} values ({marks})", cells)
        remedy = (
            "make the var a seed with config.meta.known_from (the time from which the seed's values are known) or "
            "config.meta.follows_labels (the reason why the values may follow the label)"
        )
        yield SeedTable(var_name(var), table, "", remedy)


def var_name(var: OwnVar) -> str:
    """Return the name of a var in messages."""
    return f"dbt var {var.name}"


def _rows(value: object) -> Iterator[dict[str, Any]]:
    """Yield the rows of a var: one or more for each entry of a mapping, with the key, or one for each list item."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            for row in _rows(each) if isinstance(each, Mapping | list) else [{"value": each}]:
                yield {"key": key, **row} if "key" not in row else {"outer_key": key, **row}
    elif isinstance(value, list | tuple):
        for each in value:
            if isinstance(each, Mapping):
                # DuckDB treats names that differ only in case as the same column.
                yield {str(name).lower(): cell for name, cell in each.items()}
            else:
                yield {"value": each}


def _cell(value: object) -> str | None:
    if value is None:
        return None
    return str(int(value)) if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a mart. If `less` names columns of the spine, the label's mean by these columns is subtracted."""

    model: str
    column: str
    less: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the name of the label in messages."""
        less = f" (minus its mean by {' and '.join(self.less)})" if self.less else ""
        return f"{self.model}.{self.column}{less}"


def coarse_columns(con: duckdb.DuckDBPyConnection, apart_from: Collection[str]) -> tuple[str, ...]:
    """Return text columns of the spine, such as a job's category, by which the requests form large groups.

    The groups have at least _ROWS_PER_VALUE requests on average. Columns in ``apart_from`` are left out.
    """
    found: list[str] = []
    for column, kind in columns_of(con, SPINE).items():
        if kind != "VARCHAR" or column in apart_from:
            continue
        together = ", ".join(quoted_name(each) for each in (*found, column))
        row = con.execute(
            f"select count(distinct {quoted_name(column)}) > 1 "
            f"and count(distinct ({together})) <= count(*) / {_ROWS_PER_VALUE} from main.{SPINE}"
        ).fetchone()
        if row is not None and row[0]:
            found.append(column)
    return tuple(found)


def rows_by_key(
    con: duckdb.DuckDBPyConnection,
    given: SeedTable,
    keys: Sequence[SeedKey],
    numbers: Sequence[str],
    label: Label,
) -> list[tuple[Any, ...]]:
    """Return one row for each key that occurs in a label's rows.

    A row contains the number of the label's rows with the key, the sums of the label and of the squared label, True if
    the input lists the key (else False), and the key's mean of each of the input's columns ``numbers``.
    """
    apart = ""
    if label.less:
        apart = f" - avg(y) over (partition by {', '.join(f's.{quoted_name(each)}' for each in label.less)})"
    names = [f"k{number}" for number in range(len(keys))]
    joins = " ".join(
        f"join (select distinct job_id, {_plain(key.attribute)} as {name} from ({_looked_up(key.model)}) "
        f"where {quoted_name(key.attribute)} is not null) r{name} on r{name}.job_id = l.job_id"
        for name, key in zip(names, keys, strict=True)
    )
    own = ", ".join(f"{_plain(key.column)} as {n}" for n, key in zip(names, keys, strict=True))
    averages = "".join(
        f", avg({_as_number(name)}) as v{number}" for number, name in enumerate(numbers)
    )
    values = "".join(f", any_value(g.v{number})" for number in range(len(numbers)))
    same = " and ".join(f"g.{name} = r{name}.{name}" for name in names)
    by = ", ".join(f"r{name}.{name}" for name in names)
    return con.execute(
        f"with known as (select job_id, cast({quoted_name(label.column)} as double) as y from main.{label.model} "
        f"where {quoted_name(label.column)} is not null), "
        f"l as (select known.job_id, y{apart} as y from known join main.{SPINE} s on s.job_id = known.job_id), "
        f"g as (select {own}{averages} from {given.table} group by all) "
        f"select count(*), sum(y), sum(y * y), bool_or(g.k0 is not null){values} from l {joins} "
        f"left join g on {same} group by {by} order by {by}"
    ).fetchall()


def find_keys(
    con: duckdb.DuckDBPyConnection, given: SeedTable, columns: Sequence[str]
) -> list[SeedKey]:
    """Return the columns of an input that hold keys of attributes of requests.

    If some columns have the name of their attribute, only these columns are returned. Other columns may look like keys
    by chance, because ids can be small numbers. Terms are tried last, because titles contain numbers too.
    """
    for models in (_LOOKED_UP[:-1], _LOOKED_UP[-1:]):
        names = [model for model, _ in models]
        found = [
            key for column in columns if (key := _find_key(con, given, column, names)) is not None
        ]
        named = [key for key in found if key.column.lower() == key.attribute.lower()]
        if found:
            return named or found
    return []


def _find_key(
    con: duckdb.DuckDBPyConnection, given: SeedTable, column: str, models: Sequence[str]
) -> SeedKey | None:
    """Return the request attribute that a column refers to, or None if no attribute has enough of the column's values.

    An attribute with the column's name is preferred, then the attribute that has the largest number of the column's
    values.
    """
    name = quoted_name(column)
    own = f"select distinct {_plain(column)} as k from {given.table} where {name} is not null"
    attributes = [
        (model, attribute)
        for model in models
        for attribute, kind in columns_of(con, model).items()
        if kind == "VARCHAR" and (model == SPINE or attribute not in columns_of(con, SPINE))
    ]
    best, most = None, (0, 0)
    for model, attribute in attributes:
        row = con.execute(
            f"select count(*), count(*) filter (k in (select {_plain(attribute)} from main.{model})) from ({own})"
        ).fetchone()
        if row is None or row[1] == 0 or row[1] < _MATCHING * row[0]:
            continue
        if attribute.lower() == column.lower():
            return SeedKey(column, model, attribute)
        # On a tie, prefer the attribute that matches more requests. For example, ids of parent categories also match
        # the category of the few jobs that are posted directly in a parent category.
        rows = con.execute(
            f"select count(*) from ({_looked_up(model)}) where {_plain(attribute)} in ({own})"
        ).fetchone()
        if rows is not None and (row[1], rows[0]) > most:
            best, most = SeedKey(column, model, attribute), (row[1], rows[0])
    return best


def is_unique(con: duckdb.DuckDBPyConnection, given: SeedTable, key: SeedKey) -> bool:
    """Return True if no two rows of an input have the same value in a key column."""
    row = con.execute(
        f"select count(distinct {_plain(key.column)}) = count(*) from {given.table}"
    ).fetchone()
    return row is not None and bool(row[0])


def _looked_up(model: str) -> str:
    """Return a SELECT of a model's rows with the job_id of the requests that they belong to."""
    by = dict(_LOOKED_UP)[model]
    if by == "job_id":
        return f"select * from main.{model}"
    return f"select s.job_id, m.* from main.{SPINE} s join main.{model} m using ({by})"


def holds_numbers(
    con: duckdb.DuckDBPyConnection, given: SeedTable, column: str, data_type: str
) -> bool:
    """Return True if a column holds only numbers, flags, dates or times, possibly as text."""
    if is_number(data_type) or data_type.startswith(("DATE", "TIMESTAMP")):
        return True
    row = con.execute(
        f"select count({_as_number(column)}) = count(nullif(trim({quoted_name(column)}), '')) "
        f"and count({_as_number(column)}) > 0 from {given.table}"
    ).fetchone()
    return row is not None and bool(row[0])


def _as_number(column: str) -> str:
    """Return SQL for a column as a number: 0 or 1 for a flag, and seconds since 1970 for a date or time."""
    name = quoted_name(column)
    return (
        f"coalesce(try_cast(cast({name} as varchar) as double), cast(try_cast(cast({name} as varchar) as boolean) as "
        f"double), epoch(try_cast(cast({name} as varchar) as timestamptz)))"
    )


def is_number(data_type: str) -> bool:
    """Return True if a DuckDB type holds numbers or flags."""
    return data_type == "BOOLEAN" or data_type.startswith(_NUMBERS)


def columns_of(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Return the columns of a table or view by name, with their types; empty if the table does not exist."""
    try:
        rows = con.execute(
            f"describe {table if '.' in table else f'main.{quoted_name(table)}'}"
        ).fetchall()
    except duckdb.CatalogException:
        return {}
    return {str(row[0]): str(row[1]) for row in rows}


def _plain(column: str) -> str:
    """Return SQL for a column's values as text, trimmed and in lower case."""
    return f"lower(trim(cast({quoted_name(column)} as varchar)))"


def quoted_name(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
