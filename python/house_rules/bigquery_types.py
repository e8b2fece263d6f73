"""Find combinations of types that BigQuery refuses and DuckDB accepts, or that give different values on the engines."""

from collections.abc import Iterator

from sqlglot import exp

from house_rules.column_types import NUMBERS, Type, branches, merged
from house_rules.query_names import Block, Problem, Reading, own

# The types to which GoogleSQL can cast each type. Numbers can be cast to text and to each other.
_NUMBER_CASTS = frozenset({*NUMBERS, "STRING"})
_TIME_CASTS = frozenset({"STRING", "DATE", "DATETIME", "TIMESTAMP", "TIME"})
CASTS = {
    "INT64": _NUMBER_CASTS | {"BOOL"},
    "INT128": _NUMBER_CASTS | {"BOOL"},
    "NUMERIC": _NUMBER_CASTS,
    "BIGNUMERIC": _NUMBER_CASTS,
    "POINT": _NUMBER_CASTS,
    "FLOAT64": _NUMBER_CASTS,
    "BOOL": frozenset({"BOOL", "INT64", "STRING"}),
    "STRING": _NUMBER_CASTS | _TIME_CASTS | {"BOOL", "BYTES"},
    "BYTES": frozenset({"BYTES", "STRING"}),
    "DATE": _TIME_CASTS - {"TIME"},
    "DATETIME": _TIME_CASTS,
    "TIMESTAMP": _TIME_CASTS,
}
TIMES = frozenset({"DATE", "DATETIME", "TIMESTAMP", "TIME"})
WHOLE = (exp.Round, exp.Ceil, exp.Floor, exp.Trunc)
COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)


def type_problems(reading: Reading) -> Iterator[Problem]:
    """Yield the violations that depend on the types of columns. Expressions of unknown type are not checked."""
    for node, types in reading.unions:
        if merged(types) is None:
            yield Problem(
                node, "type-mix", f"{_names(types)} in one column of a union: cast one of them"
            )
    for block in reading.blocks:
        for node in own(block.select):
            yield from _node(reading, node)


def output_problems(reading: Reading) -> Iterator[Problem]:
    """Yield a violation for each output column whose type would differ between DuckDB and BigQuery."""
    last: Block | None = next(iter(reading.blocks), None)
    for name, type_ in (reading.columns or {}).items():
        if last is None:
            return
        if type_.name == "INT128":
            yield Problem(
                last.select,
                "wide-sum",
                f"`{name}` is a sum, with 128 bits on DuckDB: use cast(sum(…) as bigint)",
            )
        elif type_.name == "NULL":
            yield Problem(
                last.select,
                "untyped",
                f"`{name}` is an untyped NULL: use cast(null as …) with its type",
            )
        elif type_.name == "POINT":
            yield Problem(
                last.select,
                "decimal-literal",
                f"`{name}` is a decimal on DuckDB and a float on BigQuery: use cast(… as {{{{ type_double() }}}})",
            )


def _node(reading: Reading, node: exp.Expression) -> Iterator[Problem]:
    of = reading.type_of
    if isinstance(node, exp.Cast):
        yield from _cast(node, of(node.this), of(node))
    elif isinstance(node, exp.Sum):
        yield from _sum(node, of(node.this))
    elif isinstance(node, (exp.Mod, exp.IntDiv)):
        if "FLOAT64" in {of(node.left).name, of(node.right).name}:
            yield Problem(
                node,
                "argument",
                "BigQuery has it only for whole numbers and decimals: cast the argument",
            )
    elif isinstance(node, exp.DPipe):
        for part in (node.left, node.right):
            if of(part).name not in ("STRING", "BYTES", "ARRAY", "NULL", "?"):
                yield Problem(
                    part, "argument", "BigQuery concatenates only text: use cast(… as string)"
                )
    elif isinstance(node, exp.Window):
        yield from _partition(reading, node)
    elif isinstance(node, COMPARED):
        yield from _mixed(reading, node, [node.left, node.right])
    elif isinstance(node, exp.Between):
        yield from _mixed(reading, node, [node.this, node.args["low"], node.args["high"]])
    elif isinstance(node, exp.In):
        query = node.args.get("query")
        yield from _mixed(
            reading, node, [node.this, *node.expressions, *([query] if query else [])]
        )
    elif isinstance(node, exp.Nullif):
        yield from _mixed(reading, node, [node.this, node.expression])
    elif isinstance(node, (exp.Case, exp.Coalesce)):
        yield from _mixed(reading, node, branches(node))
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul, *COMPARED)):
        yield from _decimal(node, of(node.left), of(node.right))


def _cast(node: exp.Cast, given: Type, wanted: Type) -> Iterator[Problem]:
    allowed = CASTS.get(given.name)
    if allowed is not None and wanted.name != "?" and wanted.name not in allowed:
        yield Problem(
            node,
            "refused-cast",
            f"BigQuery cannot cast {given.name} to {wanted.name}: cast to bigint first, or use case when",
        )
    elif wanted.name == "INT64" and given.name in ("FLOAT64", "POINT") and not _is_whole(node.this):
        yield Problem(
            node,
            "float-cast",
            "2.5 becomes 3 on BigQuery and 2 on DuckDB: use cast(round(…) as bigint)",
        )
    elif wanted.name == "STRING" and given.name in ("FLOAT64", "NUMERIC", "BIGNUMERIC", "POINT"):
        yield Problem(
            node,
            "number-text",
            "1.0 becomes '1' on BigQuery and '1.0' on DuckDB: convert only whole numbers to text",
        )
    elif given.name == "STRING" and wanted.name in (*NUMBERS, "BOOL"):
        yield Problem(
            node,
            "text-number",
            "'1.5' cast to bigint is 2 on DuckDB and an error on BigQuery: use a macro of macros/dialect",
        )


def _is_whole(node: exp.Expression) -> bool:
    """Return True if a float expression is always a whole number."""
    if isinstance(node, WHOLE):
        return node.args.get("decimals") is None
    if isinstance(node, (exp.Paren, exp.Neg)):
        return _is_whole(node.this)
    if isinstance(node, (exp.Case, exp.Coalesce)):
        return all(isinstance(one, exp.Null) or _is_whole(one) for one in branches(node))
    return False


def _sum(node: exp.Sum, summed: Type) -> Iterator[Problem]:
    if summed.name == "FLOAT64":
        yield Problem(
            node,
            "float-sum",
            "the last bit of the result depends on the order of rows: sum whole numbers, with fixed_point(…)",
        )
    elif summed.name == "BOOL":
        yield Problem(
            node, "argument", "BigQuery cannot sum booleans: use case when … then 1 else 0 end"
        )


def _partition(reading: Reading, node: exp.Expression) -> Iterator[Problem]:
    for key in node.args.get("partition_by") or []:
        type_ = reading.type_of(key)
        if isinstance(key, exp.Literal) or type_.name in ("FLOAT64", "POINT", "JSON", "GEOGRAPHY"):
            kind = "a constant" if isinstance(key, exp.Literal) else type_.name
            yield Problem(
                key,
                "partition",
                f"BigQuery cannot partition a window by {kind}: use a whole number or text",
            )


def _mixed(
    reading: Reading, node: exp.Expression, parts: list[exp.Expression]
) -> Iterator[Problem]:
    types = [reading.type_of(part) for part in parts]
    if merged(types) is not None:
        return
    # Leave out text literals: BigQuery converts them to the type of the timestamp or date to which they are compared.
    others = [
        type_
        for part, type_ in zip(parts, types, strict=True)
        if not (isinstance(part, exp.Literal) and part.is_string)
    ]
    common = merged(others)
    if common is None or common.name not in TIMES:
        yield Problem(
            node,
            "type-mix",
            f"{_names(types)}: BigQuery does not convert them implicitly: cast one of them",
        )


def _decimal(node: exp.Expression, left: Type, right: Type) -> Iterator[Problem]:
    names = {left.name, right.name}
    if "POINT" in names and names <= {"POINT", "INT64", "INT128", "NUMERIC"}:
        yield Problem(
            node,
            "decimal-literal",
            "0.1 is exact on DuckDB and a float on BigQuery: write 1e-1, or cast it to type_double()",
        )


def _names(types: list[Type]) -> str:
    names = {"INT128": "INT64", "POINT": "FLOAT64"}
    return " and ".join(sorted({names.get(one.name, one.name) for one in types} - {"?", "NULL"}))
