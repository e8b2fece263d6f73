"""Run dbt's BigQuery adapter without a service. GoogleSQL analyzes each statement over the tables made before it.

dbt-bigquery itself writes the statements, so they are those of a real run: CREATE TABLE with the contract's columns,
MERGE, the statements of snapshots and unit tests, and the queries that a model runs while it is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from feature_mart.bigquery.googlesql import load_googlesql
from feature_mart.bigquery.googlesql_values import RefusedError, Table, with_plain_names
from feature_mart.bigquery.resolved_tree import inherited, kind, output_columns, unwrapped
from feature_mart.core.raw_contract import CONTRACT, OPTIONAL, Kind

#: If no function evaluates queries, each query returns one row of placeholders. Each type is mapped to the placeholder
#: of a column of this type. dbt's tests pass on these values.
_PLACEHOLDERS = {"INT64": 1, "FLOAT64": 1.0, "BOOL": False, "STRING": ""}
#: The beginning of a statement that creates a temporary table.
_TEMPORARY = re.compile(
    r"^\s*create or replace table (?P<schema>`[^`]+`\.`[^`]+`)\.`(?P<name>\w+__dbt_tmp\d+)`", re.M
)
_RAW_TYPES = {
    Kind.TEXT: "STRING",
    Kind.NUMBER: "FLOAT64",
    Kind.INSTANT: "TIMESTAMP",
    Kind.FLAG: "BOOL",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement that dbt sent for a node.

    `sql` is the statement, in which each known table has one quoted name. `tree` is the resolved syntax tree, with
    positions in `sql`; None if the statement was refused. `refused` is None if the statement was accepted.
    """

    node: str
    sql: str
    tree: Any
    refused: RefusedError | None


@dataclass(slots=True)
class OfflineBigQuery:
    """The state of an offline BigQuery: the tables by name, and the statements sent so far.

    `tables` have no rows. `views` has the names of the views among them. `answer` evaluates a query that a node sends:
    it is called with the node's id and the query. None to answer each query with one row of placeholders.
    """

    tables: dict[str, Table]
    answer: Callable[[str, str], Table] | None = None
    sent: list[Sent] = field(default_factory=list)
    views: set[str] = field(default_factory=set)

    def send(self, node: str, sql: str) -> Any:
        """Analyze a statement, add or drop the table that it creates or drops, and return its tree, unwrapped.

        Raises:
            RefusedError: GoogleSQL refused the statement.
        """
        sql = with_plain_names(sql, self.tables)
        try:
            tree = load_googlesql().analyze(sql, self.tables)
        except RefusedError as error:
            self.sent.append(Sent(node, sql, None, error))
            raise
        self.sent.append(Sent(node, sql, tree, None))
        statement = unwrapped(tree)
        if kind(statement) in ("CreateTableAsSelectStmt", "CreateViewStmt"):
            name = ".".join(inherited(statement, "name_path"))
            self.tables[name] = Table(dict(output_columns(statement)))
            self.views.discard(name)
            if kind(statement) == "CreateViewStmt":
                self.views.add(name)
        elif kind(statement) == "DropStmt":
            self.tables.pop(".".join(statement.name_path), None)
        return statement


def raw_tables(dataset: str) -> dict[str, Table]:
    """Return empty tables with the columns of the raw contract, in a dataset ``project.dataset``."""
    return {
        f"{dataset}.{table}": Table(
            {
                name: _RAW_TYPES[type_]
                for name, type_ in (*columns.items(), *OPTIONAL[table].items())
            }
        )
        for table, columns in CONTRACT.items()
    }


@contextmanager
def offline(bigquery: OfflineBigQuery) -> Iterator[None]:
    """Patch dbt's BigQuery adapter, so that dbt runs on ``bigquery`` until the end of the context."""
    from dbt.adapters.bigquery.connections import BigQueryConnectionManager
    from dbt.adapters.bigquery.impl import BigQueryAdapter

    patches = {BigQueryAdapter: _adapter(bigquery), BigQueryConnectionManager: _CONNECTIONS}
    saved = {
        (owner, name): owner.__dict__.get(name)
        for owner, those in patches.items()
        for name in those
    }
    for owner, those in patches.items():
        for name, method in those.items():
            setattr(owner, name, method)
    try:
        yield
    finally:
        for (owner, name), method in saved.items():
            if method is None:
                delattr(owner, name)
            else:
                setattr(owner, name, method)


def _open(_: Any, connection: Any) -> Any:
    connection.state = "open"
    connection.handle = None
    return connection


_CONNECTIONS = {
    "open": classmethod(_open),
    "close": classmethod(lambda _, connection: connection),
}


def _adapter(bigquery: OfflineBigQuery) -> Mapping[str, Callable[..., Any]]:
    from dbt.adapters.bigquery.column import BigQueryColumn
    from dbt.adapters.bigquery.connections import BigQueryAdapterResponse
    from dbt.adapters.bigquery.impl import BigQueryRelation
    from dbt_common.clients.agate_helper import empty_table, table_from_data_flat
    from dbt_common.exceptions import DbtDatabaseError

    done = BigQueryAdapterResponse(_message="OK")
    tables = bigquery.tables

    def send(adapter: Any, sql: str) -> Any:
        try:
            return bigquery.send(_node(adapter), sql)
        except RefusedError as error:
            raise DbtDatabaseError(str(error)) from error

    def execute(
        adapter: Any,
        sql: str,
        auto_begin: bool = False,
        fetch: bool | None = None,
        limit: int | None = None,
    ) -> tuple[Any, Any]:
        del auto_begin, limit
        node = _node(adapter)
        if node.startswith("unit_test.") and (made := _TEMPORARY.search(sql)):
            # A unit test creates an empty table first, only to learn its columns, which are those of the model.
            model = f"{made['schema']}.{node.split('.')[2]}".replace("`", "")
            if model in tables:
                tables[f"{made['schema']}.{made['name']}".replace("`", "")] = tables[model]
                return done, empty_table()
        statement = send(adapter, sql)
        if not fetch:
            return done, empty_table()
        columns = output_columns(statement)
        rows: Sequence[Sequence[Any]] = [[_PLACEHOLDERS.get(type_) for _, type_ in columns]]
        if bigquery.answer is not None:
            rows = bigquery.answer(node, sql).rows
        names = [name for name, _ in columns]
        return done, table_from_data_flat(
            [dict(zip(names, row, strict=True)) for row in rows], names
        )

    def get_relation(_: Any, database: str, schema: str, identifier: str) -> Any:
        name = f"{database}.{schema}.{identifier}"
        if name not in tables:
            return None
        type_ = "view" if name in bigquery.views else "table"
        return BigQueryRelation.create(database, schema, identifier, type=type_)

    def columns_of(columns: Mapping[str, str]) -> list[Any]:
        return [BigQueryColumn(name, type_) for name, type_ in columns.items()]

    def columns_in_relation(_: Any, relation: Any) -> list[Any]:
        table = tables.get(_name(relation))
        return [] if table is None else columns_of(table.columns)

    def drop_relation(_: Any, relation: Any) -> None:
        tables.pop(_name(relation), None)

    def alter_table_add_columns(_: Any, relation: Any, columns: Sequence[Any]) -> None:
        name = _name(relation)
        added = {column.name: column.data_type for column in columns}
        tables[name] = Table({**tables[name].columns, **added})

    def load_dataframe(
        _: Any,
        database: str,
        schema: str,
        table: str,
        rows: Any,
        types: Mapping[str, str],
        *__: Any,
    ) -> None:
        names = rows.column_names
        tables[f"{database}.{schema}.{table}"] = Table({n: types.get(n, "STRING") for n in names})

    def submit_python_job(_: Any, model: Mapping[str, Any], code: str) -> Any:
        # dbt's script writes the table that it names: the model's own, or a temporary one in a later run.
        place = f"{model['database']}.{model['schema']}.{model['alias']}"
        made = {column["name"]: column["data_type"] for column in model["columns"].values()}
        for name in (place, *re.findall(re.escape(place) + r"__dbt_tmp\w*", code.replace("`", ""))):
            tables[name] = Table(made)
        return done

    def nothing(*_: Any, **__: Any) -> None:
        return None

    return {
        "execute": execute,
        "get_relation": get_relation,
        "get_columns_in_relation": columns_in_relation,
        "get_column_schema_from_query": lambda adapter, sql: columns_of(
            dict(output_columns(send(adapter, sql)))
        ),
        "list_relations": lambda *_: [],
        "list_schemas": lambda *_: [],
        "check_schema_exists": lambda *_: True,
        "is_replaceable": lambda *_: True,
        "alter_table_add_columns": alter_table_add_columns,
        "drop_relation": drop_relation,
        "load_dataframe": load_dataframe,
        "submit_python_job": submit_python_job,
        **dict.fromkeys(
            ("set_relations_cache", "create_schema", "update_columns", "update_table_description"),
            nothing,
        ),
    }


def _node(adapter: Any) -> str:
    return str(adapter.connections.get_thread_connection().name)


def _name(relation: Any) -> str:
    return f"{relation.database}.{relation.schema}.{relation.identifier}"
