"""Define the tables and errors of GoogleSQL, and convert its values and types between Python and protobuf."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from feature_mart.core.errors import TerminalError

#: Maps BigQuery's aliases of types, which GoogleSQL does not have, to GoogleSQL's types.
ALIASES = dict.fromkeys(
    ("bigint", "int", "integer", "smallint", "tinyint", "byteint"), "TYPE_INT64"
) | {"decimal": "TYPE_NUMERIC", "bigdecimal": "TYPE_BIGNUMERIC"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The number of decimal places of a NUMERIC, whose value is exchanged as a whole number of units of 10^-9.
_PLACES = 9
#: The greatest NUMERIC and BIGNUMERIC have more digits than Python's default context keeps.
_CONTEXT = Context(prec=80)
_LOCATION = re.compile(r" \[at (\d+):(\d+)\]$")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table: the type of each column, such as INT64, by the column's name, and the rows.

    A table equals only itself, because Python's `==` does not tell -0.0 from 0.0 in the rows.
    """

    columns: Mapping[str, str]
    rows: Sequence[Sequence[Any]] = field(default=(), repr=False)


class RefusedError(TerminalError):
    """GoogleSQL refused a statement, or a value has an error.

    `line` is the number of the statement's line, from 1; None if GoogleSQL named no line.
    """

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


def with_plain_names(statement: str, tables: Mapping[str, Table]) -> str:
    """Return a statement in which each table's quoted parts are one quoted name, as in the catalog."""
    for name in tables:
        statement = statement.replace("`" + name.replace(".", "`.`") + "`", f"`{name}`")
    return statement


def type_name(type_: Any) -> str:
    """Return the name of a type (a `TypeProto`), such as ``ARRAY<STRUCT<price FLOAT64>>``."""
    name = _kind(type_)
    if name == "ARRAY":
        return f"ARRAY<{type_name(type_.array_type.element_type)}>"
    if name == "STRUCT":
        parts = (f"{part.field_name} {type_name(part.field_type)}" for part in _parts(type_))
        return f"STRUCT<{', '.join(parts)}>"
    return "FLOAT64" if name == "DOUBLE" else name


def write_value(cell: Any, type_: Any, value: Any) -> None:
    """Write a Python value to an empty `ValueProto`. For None, leave it empty, which is NULL.

    ``type_`` is a `TypeProto`. A timestamp is an aware `datetime`, a NUMERIC a `Decimal`, an ARRAY a list, and a STRUCT
    a dict.
    """
    if value is None:
        return
    name = _kind(type_)
    if name == "TIMESTAMP":
        seconds, rest = divmod(value - _EPOCH, timedelta(seconds=1))
        cell.timestamp_value.seconds = seconds
        cell.timestamp_value.nanos = rest.microseconds * 1000
    elif name == "DATE":
        cell.date_value = (value - _EPOCH.date()).days
    elif name == "NUMERIC":
        scaled = int(_CONTEXT.scaleb(value, _PLACES))
        cell.numeric_value = scaled.to_bytes(scaled.bit_length() // 8 + 1, "little", signed=True)
    elif name == "ARRAY":
        cell.array_value.SetInParent()
        for element in value:
            write_value(cell.array_value.element.add(), type_.array_type.element_type, element)
    elif name == "STRUCT":
        cell.struct_value.SetInParent()
        for part in _parts(type_):
            write_value(cell.struct_value.field.add(), part.field_type, value[part.field_name])
    else:
        setattr(cell, f"{name.lower()}_value", value)


def read_value(cell: Any, type_: Any) -> Any:
    """Return the Python value of a `ValueProto`, as `write_value` takes it.

    Digits of a timestamp beyond microseconds are cut off.
    """
    kind = cell.WhichOneof("value")
    if kind is None:
        return None
    if kind == "timestamp_value":
        stamp = cell.timestamp_value
        return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    if kind == "date_value":
        return date(1970, 1, 1) + timedelta(days=cell.date_value)
    if kind == "numeric_value":
        scaled = int.from_bytes(cell.numeric_value, "little", signed=True)
        return _CONTEXT.scaleb(Decimal(scaled), -_PLACES)
    if kind == "array_value":
        of = type_.array_type.element_type
        return [read_value(element, of) for element in cell.array_value.element]
    if kind == "struct_value":
        parts = zip(_parts(type_), cell.struct_value.field, strict=True)
        return {part.field_name: read_value(value, part.field_type) for part, value in parts}
    return getattr(cell, kind)


def refused(text: str) -> RefusedError:
    """Return the error for the text with which GoogleSQL refused a statement."""
    message = text.partition("Message: ")[2] or text
    found = _LOCATION.search(message)
    return RefusedError(_LOCATION.sub("", message), int(found[1]) if found else None)


def _kind(type_: Any) -> str:
    enum = type_.DESCRIPTOR.fields_by_name["type_kind"].enum_type
    return str(enum.values_by_number[type_.type_kind].name).removeprefix("TYPE_")


def _parts(type_: Any) -> Any:
    return type_.struct_type.field
