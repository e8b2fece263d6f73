"""Infer the BigQuery type of an expression. A type that is not certain is `UNKNOWN`.

Three types exist only in this module. ``INT128`` is the type of a sum of whole numbers: INT64 on BigQuery, and 128 bits
on DuckDB until the sum is cast. ``POINT`` is the type of a literal such as 0.5: FLOAT64 on BigQuery, and an exact
decimal on DuckDB until the literal is combined with a float. ``NULL`` is the type of an untyped NULL.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp


@dataclass(frozen=True, slots=True)
class Type:
    """A type of BigQuery, or one of the three types that exist only in this module.

    `fields` has pairs of name and type: the fields of a STRUCT, or the element of an ARRAY with an empty name.
    """

    name: str
    fields: tuple[tuple[str, "Type"], ...] = ()


UNKNOWN = Type("?")
NULL = Type("NULL")
BOOL, STRING, TIMESTAMP, DATETIME = (
    Type("BOOL"),
    Type("STRING"),
    Type("TIMESTAMP"),
    Type("DATETIME"),
)
INT64, INT128, NUMERIC = Type("INT64"), Type("INT128"), Type("NUMERIC")
POINT, FLOAT64 = Type("POINT"), Type("FLOAT64")

# The numeric types from narrow to wide. Numbers of two types are converted to the wider one.
NUMBERS = ("INT64", "INT128", "NUMERIC", "BIGNUMERIC", "POINT", "FLOAT64")

_ALIASES = {
    **dict.fromkeys(("BIGINT", "INT", "INTEGER", "SMALLINT", "TINYINT", "BYTEINT"), "INT64"),
    **dict.fromkeys(("DOUBLE", "FLOAT"), "FLOAT64"),
    **dict.fromkeys(("DECIMAL",), "NUMERIC"),
    **dict.fromkeys(("BIGDECIMAL",), "BIGNUMERIC"),
    **dict.fromkeys(("VARCHAR", "TEXT"), "STRING"),
    "BOOLEAN": "BOOL",
    "TIMESTAMPTZ": "TIMESTAMP",
}


def named(text: str | None) -> Type:
    """Return the type with a name of BigQuery, DuckDB or dbt; `UNKNOWN` for None or an empty text."""
    if not text:
        return UNKNOWN
    name = text.upper().split("(")[0].strip()
    return Type(_ALIASES.get(name, name)) if "<" not in name else Type(name.split("<")[0])


def merged(types: list[Type]) -> Type | None:
    """Return the common type of several expressions in one column; None if BigQuery refuses the combination."""
    known = [one for one in types if one.name not in ("?", "NULL")]
    if not known:
        return UNKNOWN if UNKNOWN in types else NULL
    names = {one.name for one in known}
    if names <= set(NUMBERS):
        return Type(max(names, key=NUMBERS.index)) if UNKNOWN not in types else UNKNOWN
    if len(names) == 1:
        return known[0]
    return None


_OF_FIRST = (
    *(exp.Max, exp.Min, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.AnyValue, exp.Nullif),
    *(exp.Paren, exp.Neg, exp.Abs, exp.Window, exp.IgnoreNulls, exp.RespectNulls, exp.Order),
    *(exp.Limit, exp.Distinct, exp.Alias, exp.Ceil, exp.Floor),
)
_FIXED: dict[type, Type] = {
    **dict.fromkeys((exp.Count, exp.RowNumber, exp.Rank, exp.DenseRank, exp.Length), INT64),
    **dict.fromkeys((exp.UnixMicros, exp.Extract, exp.FarmFingerprint, exp.BitwiseXorAgg), INT64),
    **dict.fromkeys((exp.Ln, exp.Log, exp.Exp, exp.Sqrt, exp.Pow, exp.Avg), FLOAT64),
    **dict.fromkeys((exp.Lower, exp.Upper, exp.Trim, exp.Concat, exp.DPipe), STRING),
    **dict.fromkeys((exp.Substring, exp.Format, exp.JSONFormat, exp.Replace), STRING),
    **dict.fromkeys((exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between, exp.Exists), BOOL),
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like), BOOL),
    **dict.fromkeys((exp.NullSafeEQ, exp.NullSafeNEQ, exp.StartsWith, exp.Boolean), BOOL),
    **dict.fromkeys((exp.Timestamp, exp.TimestampAdd, exp.TimestampSub), TIMESTAMP),
    **dict.fromkeys((exp.CurrentTimestamp, exp.UnixToTime), TIMESTAMP),
    **dict.fromkeys((exp.Datetime, exp.DatetimeAdd, exp.DatetimeSub, exp.DatetimeTrunc), DATETIME),
    exp.Null: NULL,
}


def infer(node: exp.Expression, of: Callable[[exp.Expression], Type]) -> Type:
    """Return the type of an expression that is not a column or subquery. ``of`` returns the type of a subexpression."""
    if (fixed := _FIXED.get(type(node))) is not None:
        return fixed
    if isinstance(node, _OF_FIRST):
        return of(node.this)
    if isinstance(node, exp.Literal):
        return _literal(node)
    if isinstance(node, exp.Cast):
        return named(node.to.sql("bigquery"))
    if isinstance(node, exp.Sum):
        summed = of(node.this)
        return INT128 if summed.name == "INT64" else summed
    if isinstance(node, (exp.Case, exp.Coalesce, exp.If)):
        return merged([of(branch) for branch in branches(node)]) or UNKNOWN
    if isinstance(node, exp.Div):
        types = {of(node.left).name, of(node.right).name}
        return NUMERIC if "NUMERIC" in types and types <= {"INT64", "NUMERIC"} else FLOAT64
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.IntDiv)):
        left, right = of(node.left), of(node.right)
        return merged([left, right]) or UNKNOWN if _are_numbers(left, right) else UNKNOWN
    if isinstance(node, exp.Round):
        rounded = of(node.this)
        return FLOAT64 if rounded.name in ("INT64", "INT128", "POINT") else rounded
    if isinstance(node, exp.ArrayAgg):
        return Type("ARRAY", (("", of(node.this)),))
    if isinstance(node, exp.GenerateSeries):
        return Type("ARRAY", (("", INT64),))
    if isinstance(node, exp.Bracket):
        array = of(node.this)
        return array.fields[0][1] if array.name == "ARRAY" and array.fields else UNKNOWN
    if isinstance(node, exp.Struct):
        return Type("STRUCT", tuple((part.name, of(part.expression)) for part in node.expressions))
    return UNKNOWN


def branches(node: exp.Expression) -> list[exp.Expression]:
    """Return the expressions that a CASE, an IF or a COALESCE may return."""
    if isinstance(node, exp.Case):
        results = [branch.args["true"] for branch in node.args["ifs"]]
        return [*results, *filter(None, [node.args.get("default")])]
    if isinstance(node, exp.If):
        return [node.args["true"], *filter(None, [node.args.get("false")])]
    return [node.this, *node.expressions]


def _literal(node: exp.Literal) -> Type:
    text = str(node.this)
    if node.is_string:
        return STRING
    if "e" in text.lower():
        return FLOAT64
    return POINT if "." in text else INT64


def _are_numbers(left: Type, right: Type) -> bool:
    return {left.name, right.name} <= {*NUMBERS, "NULL"}
