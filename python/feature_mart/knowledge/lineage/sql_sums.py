"""Find the facts on which a column of a history depends, among the facts that the macro `running_sums` adds up.

The macro makes a union of all facts, in which a column is 0 for the facts of other columns. A fact with 0 changes no
sum, so a column depends only on its own facts. A history has rows only for refreshes at which a column changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sqlglot import exp

from feature_mart.knowledge.lineage.sql_shapes import Relation, clause_of, conjuncts
from feature_mart.knowledge.lineage.terms import op

#: The CTEs that the macro `running_sums` writes: the union of the facts, the sums per refresh, and the result.
FACTS, DELTAS, SUMS = "facts", "deltas", "running_sums"

Queries = dict[str, exp.Expression]


def read_apart(
    found: Relation,
    queries: Mapping[str, exp.Expression],
    ctes: Mapping[str, Relation],
    read: Callable[[exp.Expression, dict[str, Relation]], Relation],
) -> None:
    """Make each sum of a relation depend only on the facts of this sum, and the other columns and the rows on no fact.

    Args:
        found: the relation of the CTE `running_sums`, changed in place.
        queries: the queries of `running_sums` and of the CTEs before it in the same WITH, by name, in order.
        ctes: the relations of the CTEs before `running_sums`, by name.
        read: returns the relation of a query, given the relations of the CTEs before the query.
    """
    summed = summed_columns(queries)
    if not summed:
        return
    for name in found.columns:
        if name not in summed:
            found.columns[name] = op(f"as-of {name}")
            continue
        known = dict(ctes)
        for each, query in queries_of(name, queries).items():
            known[each] = read(query, known)
        found.columns[name] = known[SUMS].columns[name]
    found.rows = op("as-of rows")


def summed_columns(queries: Mapping[str, exp.Expression]) -> list[str]:
    """Return the names of the columns that the macro sums; none if the queries are not those of the macro."""
    if not {FACTS, DELTAS} <= queries.keys():
        return []
    group = queries[DELTAS].args.get("group")
    keys = {each.name for each in (group.expressions if group else ())}
    first = next(_sides(queries[FACTS]))
    times = {"enters_at", "leaves_at"}
    return [name for name in first.named_selects if name not in keys | times]


def queries_of(column: str, queries: Mapping[str, exp.Expression]) -> Queries:
    """Return the queries to analyse again for a column of the sums, reduced to what the column depends on.

    Facts for which the column is 0 or NULL are left out. A fact whose column is ``case when a then …`` gets the filter
    ``a``, so that a wider filter of the fact, such as ``a or b``, has no effect on the term.
    """
    found: Queries = {}
    sides = [side for side in _sides(queries[FACTS]) if not _is_nothing(_projection(side, column))]
    if not sides:
        return {SUMS: queries[SUMS]}
    for side in sides:
        source = clause_of(side, "from_") or clause_of(side, "from")
        name = source.this.name if source is not None else ""
        if isinstance(queries.get(name), exp.Select):
            query = _filtered(queries[name], column)
            found |= {name: query} if query is not queries[name] else {}
    whole: exp.Expression = sides[0].copy()
    for side in sides[1:]:
        whole = exp.Union(this=whole, expression=side.copy(), distinct=False)
    found[FACTS] = whole
    others = set(next(_sides(queries[FACTS])).named_selects) - {column}
    names = list(queries)
    for name in names[names.index(FACTS) + 1 :]:
        found[name] = _without_null_checks(queries[name], others)
    return found


def _sides(query: exp.Expression) -> Iterator[exp.Select]:
    """Yield the SELECTs of a UNION ALL, or the query itself if it is a single SELECT."""
    if isinstance(query, exp.Union) and not query.args.get("distinct"):
        yield from _sides(query.left)
        yield from _sides(query.right)
    elif isinstance(query, exp.Select):
        yield query


def _projection(select: exp.Expression, column: str) -> exp.Expression | None:
    found = [each for each in select.expressions if each.alias_or_name == column]
    return found[0].unalias() if found else None


def _is_nothing(node: exp.Expression | None) -> bool:
    """Return True for 0, NULL, and a cast of 0 or NULL."""
    while isinstance(node, exp.Cast | exp.Paren):
        node = node.this
    return isinstance(node, exp.Null) or (
        isinstance(node, exp.Literal) and not node.is_string and node.this == "0"
    )


def _filtered(select: exp.Expression, column: str) -> exp.Expression:
    case = _projection(select, column)
    if not isinstance(case, exp.Case) or case.this or len(case.args["ifs"]) != 1:
        return select
    default = case.args.get("default")
    if default is not None and not _is_nothing(default):
        return select
    condition = case.args["ifs"][0].this.unnest()
    where = clause_of(select, "where")
    kept = [
        each
        for each in (conjuncts(where.this) if where is not None else ())
        if each != condition and condition not in _disjuncts(each)
    ]
    found = select.copy()
    found.set("where", exp.Where(this=exp.and_(*kept, condition, copy=True)))
    return found


def _without_null_checks(query: exp.Expression, columns: set[str]) -> exp.Expression:
    """Return a query without the terms of ``a is not null or b is not null`` that check the given columns."""
    if not any(_null_checks(select) for select in query.find_all(exp.Select)):
        return query
    found = query.copy()
    for select in found.find_all(exp.Select):
        parts = _null_checks(select)
        kept = [each for each in parts if _checked(each) not in columns]
        if kept and len(kept) < len(parts):
            select.set("where", exp.Where(this=exp.or_(*kept, copy=True)))
    return found


def _null_checks(select: exp.Select) -> list[exp.Expression]:
    """Return the terms of a WHERE such as ``a is not null or b is not null``; none if the WHERE has another form."""
    where = clause_of(select, "where")
    parts = _disjuncts(where.this) if where is not None else []
    return parts if len(parts) > 1 and all(map(_checked, parts)) else []


def _disjuncts(node: exp.Expression) -> list[exp.Expression]:
    node = node.unnest()
    if isinstance(node, exp.Or):
        return [*_disjuncts(node.left), *_disjuncts(node.right)]
    return [node]


def _checked(node: exp.Expression) -> str | None:
    """Return the name of the column in ``column is not null``; None for any other expression."""
    inner = node.this if isinstance(node, exp.Not) else None
    if not isinstance(inner, exp.Is) or not isinstance(inner.expression, exp.Null):
        return None
    return inner.this.name if isinstance(inner.this, exp.Column) else None
