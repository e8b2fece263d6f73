"""Find SQL that GoogleSQL accepts, and that BigQuery's engine refuses or computes differently from DuckDB.

The rules read the resolved syntax tree, in which each expression has its type and each column its origin.
docs/bigquery.md has the table of the rules with their sources.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from feature_mart.bigquery.resolved_tree import (
    expression_type,
    inherited,
    kind,
    nodes,
    start,
    unwrapped,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: what to write instead, and where BigQuery's behavior is stated."""

    remedy: str
    source: str


RULES = {
    "correlated": Rule(
        "BigQuery rejects a correlated subquery unless its WHERE joins on an equality, without LIMIT, window or "
        "UNION: aggregate in a CTE, then join",
        "error: Correlated subqueries that reference other tables are not supported unless they can be de-correlated",
    ),
    "decimal-literal": Rule(
        "0.1 is exact on DuckDB and a float on BigQuery: write 1e-1, or cast it to type_double()",
        "BigQuery documentation, Lexical structure: Floating point literals",
    ),
    "divisor": Rule(
        "division by 0 is an error on BigQuery, inf or NULL on DuckDB: use ratio(), or nullif(…, 0) around the divisor",
        "BigQuery documentation, Functions: Operators, division",
    ),
    "float-cast": Rule(
        "2.5 becomes 3 on BigQuery and 2 on DuckDB: use cast(round(…) as bigint)",
        "BigQuery documentation, Conversion rules: CAST AS INT64",
    ),
    "float-sum": Rule(
        "the last bit of the result depends on the order of rows: sum whole numbers, with fixed_point(…)",
        "BigQuery documentation, Functions: SUM",
    ),
    "frame-nulls": Rule(
        "BigQuery rejects asc nulls last and desc nulls first in a RANGE frame, the default of an aggregate with ORDER "
        "BY, and inside an aggregate: add `rows between unbounded preceding and current row`, or filter out the NULLs",
        "error: NULLS LAST not supported with ascending sort order in RANGE clauses",
    ),
    "group-alias": Rule(
        "the name is the alias on BigQuery and the column on DuckDB: rename the alias, or qualify the column",
        "BigQuery documentation, Query syntax: Ambiguity between column names and aliases",
    ),
    "join-subquery": Rule(
        "BigQuery rejects a subquery on a table in ON: cross join its row first, or move the condition to WHERE",
        "error: Unsupported subquery with table in join predicate",
    ),
    "number-text": Rule(
        "1.0 becomes '1' on BigQuery and '1.0' on DuckDB: convert only whole numbers to text",
        "BigQuery documentation, Conversion rules: CAST AS STRING",
    ),
    "outer-join": Rule(
        "BigQuery rejects an outer join without an equality between both sides (`is not distinct from` does not "
        "count): group first and join on the key, or use an inner join and a union of the unmatched rows",
        "error: LEFT OUTER JOIN cannot be used without a condition that is an equality of fields from both sides",
    ),
    "row-name": Rule(
        "the name is a relation and its column, and BigQuery returns the whole row: write name.name",
        "BigQuery documentation, Query syntax: Range variables",
    ),
    "text-number": Rule(
        "'1.5' cast to bigint is 2 on DuckDB and an error on BigQuery: use a macro of macros/dialect",
        "BigQuery documentation, Conversion rules: CAST AS INT64",
    ),
}

_TABLES = {"TableScan", "WithRefScan"}
_CUTS = {"LimitOffsetScan", "AnalyticScan", "SetOperationScan"}
_EXACT = frozenset({"INT64", "NUMERIC", "BIGNUMERIC"})
_DECIMALS = frozenset({"FLOAT64", "NUMERIC", "BIGNUMERIC"})
#: _WHOLE: functions that return a whole number if they have one argument. _CHOICES: functions that return one of their
#: arguments.
_WHOLE = frozenset({"round", "ceil", "floor", "trunc"})
_CHOICES = frozenset({"coalesce", "if", "ifnull", "nullif", "$case_no_value", "$case_with_value"})
_ARITHMETIC = frozenset({"$add", "$subtract", "$multiply"})
_COMPARED = frozenset(
    {"$equal", "$not_equal", "$less", "$less_or_equal", "$greater", "$greater_or_equal"}
)
#: The window functions with a frame that are not aggregates. The rule `frame-nulls` applies to aggregates only.
_NAVIGATION = frozenset({"first_value", "last_value", "nth_value"})


def violations(tree: Any, sql: bytes) -> Iterator[tuple[str, int]]:
    """Yield the rule and the byte offset of each violation in a resolved statement.

    ``sql`` is the text of the statement to which the tree's positions refer.
    """
    for node in nodes(tree):
        if (check := _CHECKS.get(kind(node))) is not None:
            for rule, place in check(node, sql):
                # A node without a position is at the nearest node with one.
                yield rule, _position(place, node)


Found = Iterator[tuple[str, Any]]


def _position(*places: Any) -> int:
    found = (start(node) for place in places for node in nodes(place))
    return next((at for at in found if at is not None), 0)


def _name(call: Any) -> str:
    return str(inherited(call, "function").name).rpartition(":")[2]


def _arguments(call: Any) -> list[Any]:
    return [unwrapped(argument) for argument in inherited(call, "argument_list")]


def _terms(condition: Any) -> Iterator[Any]:
    """Yield the terms of a condition that are joined by AND."""
    condition = unwrapped(condition)
    if kind(condition) == "FunctionCall" and _name(condition) == "$and":
        for argument in _arguments(condition):
            yield from _terms(argument)
    else:
        yield condition


def _columns(expression: Any) -> set[int]:
    """Return the ids of the columns that an expression reads."""
    return {node.column.column_id for node in nodes(expression) if kind(node) == "ColumnRef"}


def _scanned(scan: Any) -> set[int]:
    return {column.column_id for column in inherited(unwrapped(scan), "column_list")}


def _equates(condition: Any, left: set[int], right: set[int]) -> bool:
    """Return True if a condition is an equality between columns of ``left`` alone and columns of ``right`` alone."""
    if kind(condition) != "FunctionCall" or _name(condition) != "$equal":
        return False
    one, other = (_columns(argument) for argument in _arguments(condition))
    if not one or not other:
        return False
    return (one <= left and other <= right) or (one <= right and other <= left)


def _join(join: Any, _: bytes) -> Found:
    if not join.HasField("join_expr"):
        return
    for node in nodes(join.join_expr):
        if kind(node) == "SubqueryExpr" and any(kind(part) in _TABLES for part in nodes(node)):
            yield "join-subquery", node
    left, right = _scanned(join.left_scan), _scanned(join.right_scan)
    if join.join_type and not any(_equates(term, left, right) for term in _terms(join.join_expr)):
        yield "outer-join", join.join_expr


def _subquery(subquery: Any, _: bytes) -> Found:
    """Find a correlated subquery on a table that BigQuery cannot turn into a join."""
    outer = {parameter.column.column_id for parameter in subquery.parameter_list}
    inside = list(nodes(subquery.subquery))
    kinds = {kind(node) for node in inside}
    if not outer or not kinds & _TABLES:
        return
    filters = [node.filter_expr for node in inside if kind(node) == "FilterScan"]
    within = _columns(subquery.subquery) - outer
    terms = [term for filter_ in filters for term in _terms(filter_)]
    is_equal = any(_equates(term, outer, within) for term in terms) or subquery.HasField("in_expr")
    is_filter = _uses(inside, outer) == sum(_uses(nodes(filter_), outer) for filter_ in filters)
    if not is_equal or not is_filter or kinds & _CUTS:
        yield "correlated", subquery.subquery


def _uses(those: Iterable[Any], columns: set[int]) -> int:
    return sum(kind(node) == "ColumnRef" and node.column.column_id in columns for node in those)


def _is_unusual(item: Any) -> bool:
    """Return True for `asc nulls last` and `desc nulls first`."""
    return bool(item.null_order) and (item.null_order == 1) == item.is_descending


def _windows(group: Any, _: bytes) -> Found:
    if not any(_is_unusual(item) for item in group.order_by.order_by_item_list):
        return
    for call in nodes(group):
        is_call = kind(call) == "AnalyticFunctionCall" and _name(call) not in _NAVIGATION
        if is_call and call.window_frame.frame_unit:
            yield "frame-nulls", call


def _aggregate(call: Any, sql: bytes) -> Found:
    if any(_is_unusual(item) for item in call.order_by_item_list):
        yield "frame-nulls", call
    yield from _float_sum(call, sql)


def _float_sum(call: Any, _: bytes) -> Found:
    if _name(call) == "sum" and expression_type(_arguments(call)[0]) == "FLOAT64":
        yield "float-sum", call


def _function(call: Any, sql: bytes) -> Found:
    name = _name(call)
    if name in ("$divide", "div", "mod") and not _is_divisor(_arguments(call)[1]):
        yield "divisor", call
    if name in _ARITHMETIC | _COMPARED:
        arguments = _arguments(call)
        points = [_is_point(argument, sql) for argument in arguments]
        if any(points) and all(
            point or expression_type(_uncast(argument, sql)) in _EXACT
            for point, argument in zip(points, arguments, strict=True)
        ):
            yield "decimal-literal", call


def _is_divisor(divisor: Any) -> bool:
    """Return True if a divisor is a literal number other than 0, or an expression that is NULL instead of 0."""
    while kind(divisor) == "Cast":
        divisor = unwrapped(divisor.expr)
    if kind(divisor) == "Literal":
        value = divisor.value.value
        return bool(getattr(value, value.WhichOneof("value") or "int64_value"))
    if kind(divisor) != "FunctionCall":
        return False
    if _name(divisor) == "$unary_minus":
        return _is_divisor(_arguments(divisor)[0])
    return _name(divisor) == "nullif" and not _is_divisor(_arguments(divisor)[1])


def _text(node: Any, sql: bytes) -> str:
    at = start(node)
    return "" if at is None else sql[at : at + 40].decode(errors="replace").lower()


def _word(node: Any, sql: bytes) -> str:
    found = re.match(r"\w*", _text(node, sql))
    return found[0] if found else ""


def _is_point(expression: Any, sql: bytes) -> bool:
    """Return True for a literal such as 0.5, which is a decimal on DuckDB."""
    if kind(expression) != "Literal" or expression_type(expression) != "FLOAT64":
        return False
    return re.match(r"-?\d*\.\d*(?![\de])", _text(expression, sql)) is not None


def _uncast(expression: Any, sql: bytes) -> Any:
    """Return an expression without the casts that GoogleSQL added. A whole number as a literal counts as INT64."""
    while kind(expression) == "Cast" and not _is_written(expression, sql):
        expression = unwrapped(expression.expr)
    return expression


def _is_written(cast: Any, sql: bytes) -> bool:
    return _text(cast, sql).startswith(("cast", "safe_cast"))


def _cast(cast: Any, sql: bytes) -> Found:
    given, wanted = expression_type(cast.expr), expression_type(cast)
    if wanted == "STRING" and given in _DECIMALS:
        yield "number-text", cast
    elif not _is_written(cast, sql):
        return
    elif wanted == "INT64" and given == "FLOAT64" and not _is_whole(unwrapped(cast.expr)):
        yield "float-cast", cast
    elif given == "STRING" and wanted in _DECIMALS | {"INT64", "BOOL"}:
        yield "text-number", cast


def _is_whole(expression: Any) -> bool:
    """Return True if a float expression is always a whole number or NULL."""
    while kind(expression) == "Cast":
        expression = unwrapped(expression.expr)
    if kind(expression) == "Literal":
        return expression.value.value.WhichOneof("value") is None
    if kind(expression) != "FunctionCall":
        return False
    arguments = _arguments(expression)
    if _name(expression) in _WHOLE:
        return len(arguments) == 1
    if _name(expression) not in _CHOICES | {"$unary_minus"}:
        return False
    floats = [argument for argument in arguments if expression_type(argument) == "FLOAT64"]
    return all(_is_whole(argument) for argument in floats)


def _names_read(expression: Any) -> set[str]:
    return {node.column.name.lower() for node in nodes(expression) if kind(node) == "ColumnRef"}


def _groups(scan: Any, _: bytes) -> Found:
    """Find an alias in GROUP BY that hides a column of the same name."""
    for made in map(unwrapped, inherited(scan, "group_by_list")):
        expression = unwrapped(made.expr)
        name = made.column.name.lower()
        if kind(expression) != "ColumnRef" and name in _names_read(expression):
            yield "group-alias", expression


def _having(scan: Any, sql: bytes) -> Found:
    """Find an alias of an aggregate in HAVING that hides a column of the same name."""
    groups = unwrapped(scan.input_scan)
    if kind(groups) != "AggregateScan":
        return
    aggregates = map(unwrapped, inherited(groups, "aggregate_list"))
    read = {made.column.column_id: _names_read(made.expr) for made in aggregates}
    for node in nodes(scan.filter_expr):
        if kind(node) == "ColumnRef" and _word(node, sql) in read.get(node.column.column_id, ()):
            yield "group-alias", node


def _struct(struct: Any, sql: bytes) -> Found:
    name = _word(struct, sql)
    fields = {field.field_name.lower() for field in inherited(struct, "type").struct_type.field}
    if name and name in fields:
        yield "row-name", struct


_CHECKS: dict[str, Callable[[Any, bytes], Found]] = {
    "JoinScan": _join,
    "SubqueryExpr": _subquery,
    "AnalyticFunctionGroup": _windows,
    "AnalyticFunctionCall": _float_sum,
    "AggregateFunctionCall": _aggregate,
    "FunctionCall": _function,
    "Cast": _cast,
    "AggregateScan": _groups,
    "FilterScan": _having,
    "MakeStruct": _struct,
}
