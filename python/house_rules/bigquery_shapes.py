"""Find query constructs that DuckDB runs and that BigQuery refuses or runs with another result.

Each construct is described in BigQuery's documentation, or was reported with the text of BigQuery's error.
docs/bigquery.md has a table of all constructs.
"""

from collections.abc import Iterator

from sqlglot import exp

from house_rules.query_names import Block, Problem, Reading, own

# The reserved keywords of GoogleSQL, from the page "Lexical structure" of BigQuery's documentation.
_RESERVED = """
all and any array as asc assert_rows_modified at between by case cast collate contains create cross cube current
default define desc distinct else end enum escape except exclude exists extract false fetch following for from full
group grouping groups hash having if ignore in inner intersect interval into is join lateral left like limit lookup
merge natural new no not null nulls of on or order outer over partition preceding proto qualify range recursive
respect right rollup rows select set some struct tablesample then to treat true unbounded union unnest using when
where window with within
"""
RESERVED = frozenset(_RESERVED.split())

# The window functions that take no frame: the numbering functions and two of the navigation functions.
FRAMELESS = (
    *(exp.RowNumber, exp.Rank, exp.DenseRank, exp.Ntile, exp.PercentRank, exp.CumeDist),
    *(exp.Lag, exp.Lead),
)


def shape_problems(reading: Reading) -> Iterator[Problem]:
    """Yield the violations in a query that can be found without the types of columns."""
    for node in reading.tree.walk():
        yield from _reserved(node)
    for block in reading.blocks:
        yield from _outer_joins(reading, block)
        yield from _join_subqueries(block)
        yield from _correlated(reading, block)
        for node in own(block.select):
            if isinstance(node, exp.Window):
                yield from _window(block.select, node)
            elif isinstance(node, exp.Ordered):
                yield from _aggregate_order(node)
            elif isinstance(node, (exp.Div, exp.IntDiv, exp.Mod)):
                yield from _divisor(node)


def conjuncts(condition: exp.Expression | None) -> list[exp.Expression]:
    """Return the terms of a condition that are joined by AND; none if ``condition`` is None."""
    if condition is None:
        return []
    if isinstance(condition, exp.Paren):
        return conjuncts(condition.this)
    if isinstance(condition, exp.And):
        return [*conjuncts(condition.left), *conjuncts(condition.right)]
    return [condition]


def _sides(reading: Reading, node: exp.Expression) -> set[tuple[int, str]]:
    """Return, for each column in an expression, the ``id()`` of its block and its source; ``(0, "")`` if unknown."""
    return {
        (id(origin[0]), origin[1]) if origin is not None else (0, "")
        for column in node.find_all(exp.Column)
        for origin in [reading.origins.get(id(column))]
    }


def _outer_joins(reading: Reading, block: Block) -> Iterator[Problem]:
    select = block.select
    begin = select.args.get("from_")
    before = {begin.this.alias_or_name.lower()} if begin is not None else set()
    for join in select.args.get("joins") or []:
        name = join.this.alias_or_name.lower()
        left = {(id(block), source) for source in before}
        right = {(id(block), name)}
        before.add(name)
        if not join.side or isinstance(join.this, exp.Unnest):
            continue
        conditions = conjuncts(join.args.get("on"))
        if not any(_is_equality(reading, condition, left, right) for condition in conditions):
            yield Problem(
                join,
                "outer-join",
                f"BigQuery rejects a {join.side.lower()} join without an equality between both sides (`is not "
                "distinct from` does not count): group first and join on the key, or use an inner join and a union "
                "of the unmatched rows",
            )


def _is_equality(
    reading: Reading,
    condition: exp.Expression,
    left: set[tuple[int, str]],
    right: set[tuple[int, str]],
) -> bool:
    if not isinstance(condition, exp.EQ):
        return False
    one, other = _sides(reading, condition.left), _sides(reading, condition.right)
    if not one or not other:
        return False
    return (one <= left and other <= right) or (one <= right and other <= left)


def _join_subqueries(block: Block) -> Iterator[Problem]:
    for join in block.select.args.get("joins") or []:
        condition = join.args.get("on")
        for query in condition.find_all(exp.Query) if condition is not None else ():
            if query.find(exp.Table):
                yield Problem(
                    query,
                    "join-subquery",
                    "BigQuery rejects a subquery on a table in ON: cross join the subquery first, or move the "
                    "condition to WHERE",
                )
                break


def _correlated(reading: Reading, block: Block) -> Iterator[Problem]:
    """Yield a violation if ``block`` is a correlated subquery that BigQuery cannot turn into a join."""
    if block.owner is None or block.outer is None or block.select.find(exp.Table) is None:
        return
    selects = {id(select) for select in block.select.find_all(exp.Select)}
    inside = {id(other) for other in reading.blocks if id(other.select) in selects}
    outside = [
        column
        for column in block.select.find_all(exp.Column)
        for origin in [reading.origins.get(id(column))]
        if origin is not None and id(origin[0]) not in inside
    ]
    if not outside:
        return
    where = block.select.args.get("where")
    equal = isinstance(block.owner, exp.In)
    for condition in conjuncts(where.this if where is not None else None):
        if isinstance(condition, exp.EQ):
            sides = [_sides(reading, condition.left), _sides(reading, condition.right)]
            own_sides = [all(place in inside for place, _ in side) for side in sides if side]
            equal = equal or (len(own_sides) == 2 and own_sides[0] != own_sides[1])
    ends = any(block.select.args.get(part) for part in ("limit", "offset", "order", "qualify"))
    deep = any(
        where is None or column.find_ancestor(exp.Where, exp.Select) is not where
        for column in outside
    )
    if not equal or ends or deep or isinstance(block.select.parent, exp.SetOperation):
        yield Problem(
            block.select,
            "correlated",
            "BigQuery rejects a correlated subquery unless its WHERE joins on an equality, without LIMIT or ORDER "
            "BY: aggregate in a CTE, then join",
        )


def _window(select: exp.Select, window: exp.Window) -> Iterator[Problem]:
    if isinstance(window.this, exp.Identifier):
        return  # The definition of a named window is checked where it is used.
    function = window.this
    while isinstance(function, (exp.IgnoreNulls, exp.RespectNulls)):
        function = function.this
    definition = _definition(select, window)
    order = window.args.get("order") or definition.args.get("order")
    terms = order.expressions if order is not None else []
    spec = window.args.get("spec") or definition.args.get("spec") or exp.WindowSpec()
    kind = str(spec.args.get("kind") or "").lower()
    if kind and isinstance(function, FRAMELESS):
        name = function.sql_name().lower()
        yield Problem(
            window, "window-frame", f"BigQuery allows no frame for {name}(): remove the frame"
        )
    if kind == "groups" or spec.args.get("exclude"):
        yield Problem(
            window, "window-frame", "BigQuery has only ROWS and RANGE frames: use ROWS or RANGE"
        )
    if terms and isinstance(function, exp.AggFunc) and function.find(exp.Distinct):
        yield Problem(
            window,
            "window-distinct",
            "BigQuery allows no ORDER BY with DISTINCT in a window: aggregate in two levels, as in "
            "feat_category__prices",
        )
    is_range = kind == "range" or (not kind and _is_aggregate(function))
    if is_range and any(_is_unusual(term) for term in terms):
        yield Problem(
            window,
            "frame-nulls",
            "BigQuery rejects asc nulls last and desc nulls first in a RANGE frame, the default of an aggregate with "
            "ORDER BY: add `rows between unbounded preceding and current row`",
        )
    bounds = (spec.args.get("start"), spec.args.get("end"))
    offsets = [bound for bound in bounds if isinstance(bound, exp.Expression)]
    is_odd = len(terms) != 1 or any(offset.find(exp.Interval) for offset in offsets)
    if kind == "range" and offsets and is_odd:
        yield Problem(
            window,
            "range-frame",
            "BigQuery's RANGE needs one whole number: order by to_epoch_us(…)",
        )


def _definition(select: exp.Select, window: exp.Window) -> exp.Expression:
    """Return the definition of a window in the WINDOW clause; an empty window if ``window`` names no definition."""
    name = window.args.get("alias")
    for definition in select.args.get("windows") or []:
        if name is not None and definition.this.name.lower() == name.name.lower():
            found: exp.Expression = definition
            return found
    return exp.Window()


def _is_aggregate(function: exp.Expression) -> bool:
    # Exclude pure window functions, which sqlglot also classifies as aggregates.
    alone = (*FRAMELESS, exp.FirstValue, exp.LastValue, exp.NthValue)
    return isinstance(function, exp.AggFunc) and not isinstance(function, alone)


def _is_unusual(term: exp.Ordered) -> bool:
    """Return True for ``asc nulls last`` and ``desc nulls first``."""
    return bool(term.args.get("desc")) == bool(term.args.get("nulls_first"))


def _aggregate_order(term: exp.Ordered) -> Iterator[Problem]:
    holder = term.find_ancestor(exp.AggFunc, exp.Window, exp.Select)
    if isinstance(holder, exp.AggFunc) and _is_unusual(term):
        yield Problem(
            term,
            "frame-nulls",
            "BigQuery rejects asc nulls last and desc nulls first inside an aggregate: filter out the NULLs, and "
            "omit the order of NULLs",
        )


def _divisor(node: exp.Expression) -> Iterator[Problem]:
    divisor = node.expression
    while isinstance(divisor, (exp.Paren, exp.Cast, exp.Neg)):
        divisor = divisor.this
    is_number = isinstance(divisor, exp.Literal) and not divisor.is_string
    if not (is_number and float(str(divisor.this))) and not isinstance(divisor, exp.Nullif):
        yield Problem(
            node,
            "divisor",
            "division by 0 is an error on BigQuery, and gives inf or NULL on DuckDB: use ratio(), or nullif(…, 0) "
            "around the divisor",
        )


def _reserved(node: exp.Expression) -> Iterator[Problem]:
    names = []
    if isinstance(node, (exp.Alias, exp.CTE, exp.Table)):
        alias = node.args.get("alias")
        names = [alias.this if isinstance(alias, exp.TableAlias) else alias]
    elif isinstance(node, exp.Column) and not node.table:
        names = [node.this]
    for name in names:
        if isinstance(name, exp.Identifier) and not name.quoted and name.name.lower() in RESERVED:
            yield Problem(
                name,
                "reserved",
                f"`{name.name}` is a keyword on BigQuery: rename it, or use adapter.quote()",
            )
