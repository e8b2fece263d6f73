"""Read the resolved syntax trees that GoogleSQL's analyzer returns.

The kinds of nodes and their fields are those of ``resolved_ast.proto`` in the package `zetasql`. A node's message has
the fields of its own class, and in `parent` a message with those of the base class.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from feature_mart.bigquery.googlesql_values import type_name

#: Fields whose messages are not nodes, or repeat nodes. Skipping them makes reading a tree ten times as fast.
_NO_NODES = frozenset(
    {"column_list", "type", "signature", "type_annotation_map", "annotation_map", "table"}
)


def kind(node: Any) -> str:
    """Return the kind of a node without prefix and suffix, such as ``JoinScan``."""
    return str(node.DESCRIPTOR.name).removeprefix("Resolved").removesuffix("Proto")


def unwrapped(node: Any) -> Any:
    """Return the node in a union, such as `AnyResolvedStatementProto`; if the message is not a union, the message."""
    while node.DESCRIPTOR.name.startswith("AnyResolved"):
        node = getattr(node, node.WhichOneof("node"))
    return node


def inherited(node: Any, name: str) -> Any:
    """Return a field of a node, which may belong to one of the node's base classes."""
    while name not in node.DESCRIPTOR.fields_by_name:
        node = node.parent
    return getattr(node, name)


def nodes(node: Any) -> Iterator[Any]:
    """Yield a node and all nodes below it, from the root to the leaves."""
    node = unwrapped(node)
    yield node
    yield from _below(node)


def _below(message: Any) -> Iterator[Any]:
    for field, value in message.ListFields():
        if field.message_type is None or field.name in _NO_NODES:
            continue
        for part in value if field.is_repeated else (value,):
            if field.name == "parent":
                yield from _below(part)
            elif "Resolved" in field.message_type.name:
                yield from nodes(part)


def start(node: Any) -> int | None:
    """Return the byte offset at which a node begins in the statement; None if the node has no position."""
    while node.DESCRIPTOR.name != "ResolvedNodeProto":
        if "parent" not in node.DESCRIPTOR.fields_by_name:
            return None
        node = node.parent
    return node.parse_location_range.start if node.HasField("parse_location_range") else None


def expression_type(expression: Any) -> str:
    """Return the name of the type of an expression, such as INT64."""
    return type_name(inherited(unwrapped(expression), "type"))


def output_columns(statement: Any) -> list[tuple[str, str]]:
    """Return name and type of each output column of a query, CREATE TABLE AS or CREATE VIEW."""
    columns = inherited(unwrapped(statement), "output_column_list")
    return [(column.name, type_name(column.column.type)) for column in columns]
