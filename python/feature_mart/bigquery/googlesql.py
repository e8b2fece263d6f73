"""Analyze and evaluate statements with Google's own implementation of GoogleSQL, the SQL of BigQuery.

The package `zetasql` contains GoogleSQL's analyzer and reference implementation as WebAssembly. Only this module
imports it, and only checks and tests use this module. GoogleSQL does not know the limits of BigQuery's engine.
"""

from __future__ import annotations

import atexit
import ctypes
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import resources
from typing import Any

from feature_mart.bigquery.googlesql_values import (
    ALIASES,
    Table,
    read_value,
    refused,
    type_name,
    with_plain_names,
    write_value,
)
from feature_mart.core.errors import TerminalError

#: The kinds of statements that dbt sends to BigQuery.
_STATEMENTS = (
    *("QUERY", "CREATE_TABLE", "CREATE_TABLE_AS_SELECT", "CREATE_VIEW", "CREATE_SCHEMA", "DROP"),
    *("MERGE", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "ALTER_TABLE"),
)


class GoogleSql:
    """GoogleSQL with the settings of BigQuery: all features, external product mode, QUALIFY reserved, UTC.

    Tables have names such as ``project.dataset.table``; a statement quotes each part of the name, as dbt does.
    """

    def __init__(self) -> None:
        try:
            import wasmtime
            from zetasql.wasi import get_wasm_path
            from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2
            from zetasql.wasi._pb2.zetasql.proto import options_pb2, simple_catalog_pb2
            from zetasql.wasi._pb2.zetasql.public import options_pb2 as modes
            from zetasql.wasi._pb2.zetasql.public import type_pb2
            from zetasql.wasi._pb2.zetasql.resolved_ast import resolved_node_kind_pb2 as kinds
        except ImportError as error:
            raise TerminalError(
                f"GoogleSQL is not installed ({error.name}): run `make venv` in the project folder."
            ) from error
        self._messages: Any = local_service_pb2
        config = wasmtime.Config()
        config.shared_memory = True
        # Compiling the module takes half a minute of CPU time, so cache the result if wasmtime can write its cache.
        with suppress(wasmtime.WasmtimeError):
            config.cache = True
        engine = wasmtime.Engine(config)
        files = wasmtime.WasiConfig()
        files.inherit_stderr()
        files.preopen_dir(str(resources.files("tzdata.zoneinfo")), "/usr/share/zoneinfo")
        self._store: Any = wasmtime.Store(engine)
        self._store.set_wasi(files)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        module = wasmtime.Module.from_file(engine, str(get_wasm_path()))
        self._exports: Any = linker.instantiate(self._store, module).exports(self._store)
        self._exports["_initialize"](self._store)
        every = self._messages.LanguageOptionsRequest(maximum_features=True)
        language = self._call("GetLanguageOptions", every, options_pb2.LanguageOptionsProto())
        # BigQuery has no LATERAL.
        features = language.enabled_language_features
        features[:] = [n for n in features if "LATERAL" not in modes.LanguageFeature.Name(n)]
        language.product_mode = modes.PRODUCT_EXTERNAL
        language.reserved_keywords.append("QUALIFY")
        names = (f"RESOLVED_{name}_STMT" for name in _STATEMENTS)
        language.supported_statement_kinds[:] = map(kinds.ResolvedNodeKind.Value, names)
        self._options = options_pb2.AnalyzerOptionsProto(
            language_options=language,
            default_timezone="UTC",
            error_message_mode=modes.ERROR_MESSAGE_ONE_LINE,
            parse_location_record_type=modes.PARSE_LOCATION_RECORD_FULL_NODE_SCOPE,
            # Otherwise, the tree does not show a cast of an expression to its own type.
            preserve_unnecessary_cast=True,
        )
        self._empty: Any = simple_catalog_pb2.SimpleCatalogProto(name="catalog")
        self._empty.builtin_function_options.language_options.CopyFrom(language)
        for alias, named in ALIASES.items():
            self._empty.named_type.add(name=alias).type.type_kind = type_pb2.TypeKind.Value(named)
        self._types: dict[str, Any] = {}
        self._registered: tuple[Mapping[str, Table], int] = ({}, self._register({}))

    def analyze(self, statement: str, tables: Mapping[str, Table]) -> Any:
        """Return the resolved syntax tree of a statement, a protobuf message of ``resolved_ast.proto``.

        Positions in the tree are byte offsets in ``with_plain_names(statement, tables)``.

        Raises:
            RefusedError: the statement is not valid GoogleSQL over these tables.
        """
        request = self._messages.AnalyzeRequest(
            sql_statement=with_plain_names(statement, tables),
            options=self._options,
            registered_catalog_id=self._catalog(tables),
        )
        answer = self._call("Analyze", request, self._messages.AnalyzeResponse())
        return answer.resolved_statement

    def query(self, statement: str, tables: Mapping[str, Table]) -> Table:
        """Evaluate a query over the rows of tables, and return its result.

        Raises:
            RefusedError: the query is not valid, or a value has an error, such as a division by zero.
        """
        request = self._messages.EvaluateQueryRequest(
            sql=with_plain_names(statement, tables),
            options=self._options,
            registered_catalog_id=self._catalog(tables),
        )
        answer = self._call("EvaluateQuery", request, self._messages.EvaluateQueryResponse())
        columns = answer.prepared.columns
        rows = [
            tuple(
                read_value(cell, column.type)
                for cell, column in zip(row.cell, columns, strict=True)
            )
            for row in answer.content.table_data.row
        ]
        return Table({column.name: type_name(column.type) for column in columns}, rows)

    def _catalog(self, tables: Mapping[str, Table]) -> int:
        """Return the id of the catalog with these tables, which is kept until other tables are wanted."""
        if self._registered[0] != tables:
            wanted = self._register(tables)
            old = self._messages.UnregisterRequest(registered_id=self._registered[1])
            self._call("UnregisterCatalog", old, self._messages.AnalyzeResponse())
            self._registered = (dict(tables), wanted)
        return self._registered[1]

    def _register(self, tables: Mapping[str, Table]) -> int:
        request = self._messages.RegisterCatalogRequest(simple_catalog=self._empty)
        for name, table in tables.items():
            described = request.simple_catalog.table.add(name=name)
            for column, type_ in table.columns.items():
                described.column.add(name=column).type.CopyFrom(self._type(type_))
            data = request.table_content[name].table_data
            data.SetInParent()
            for row in table.rows:
                cells = data.row.add().cell
                for column, value in zip(described.column, row, strict=True):
                    write_value(cells.add(), column.type, value)
        answer = self._call("RegisterCatalog", request, self._messages.RegisterResponse())
        return int(answer.registered_id)

    def _type(self, name: str) -> Any:
        if name not in self._types:
            request = self._messages.PrepareRequest(
                sql=f"cast(null as {name})", options=self._options, simple_catalog=self._empty
            )
            answer = self._call("Prepare", request, self._messages.PrepareResponse())
            self._types[name] = answer.prepared.output_type
        return self._types[name]

    def _call(self, method: str, request: Any, answer: Any) -> Any:
        sent = request.SerializeToString()
        store, exports = self._store, self._exports
        place = exports["wasm_malloc"](store, max(len(sent), 1))
        size = exports["wasm_malloc"](store, 4)
        ctypes.memmove(self._address(place), sent, len(sent))
        found = exports[f"ZetaSqlLocalService_{method}"](store, place, len(sent), size)
        length = int.from_bytes(self._bytes(size, 4), "little")
        length = length if found else exports["wasm_get_last_error_size"](store)
        text = self._bytes(found or exports["wasm_get_last_error"](store), length)
        for used in (found, place, size):
            exports["wasm_free"](store, used)
        if not found:
            raise refused(text.decode())
        answer.ParseFromString(text)
        return answer

    def _bytes(self, place: int, length: int) -> bytes:
        return ctypes.string_at(self._address(place), length)

    def _address(self, place: int) -> int:
        # Read the address of the memory anew for each use, because the memory may move when it grows.
        return ctypes.addressof(self._exports["memory"].data_ptr().contents) + place


@cache
def load_googlesql() -> GoogleSql:
    """Return the GoogleSQL of this process.

    Raises:
        TerminalError: the package is not installed.
    """
    # Free GoogleSQL before Python exits. Otherwise, Python would unload wasmtime first, and print errors.
    atexit.register(load_googlesql.cache_clear)
    return GoogleSql()
