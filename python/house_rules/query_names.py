"""Resolve the names and types in a BigQuery query.

BigQuery and DuckDB resolve names differently. On DuckDB, an expression can use an alias of its own SELECT. If a column
and an alias have the same name, DuckDB groups by the column. If a column and a relation have the same name, DuckDB uses
the column. BigQuery does none of these.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sqlglot import exp

from house_rules.column_types import INT64, NULL, STRING, UNKNOWN, Type, infer, merged

# The names of all rules for compiled SQL. The tests have a failing case of each rule.
Rule = Literal[
    "alias-reuse",
    "argument",
    "correlated",
    "decimal-literal",
    "divisor",
    "duplicate-name",
    "float-cast",
    "float-sum",
    "frame-nulls",
    "group-alias",
    "join-subquery",
    "number-text",
    "outer-join",
    "parse",
    "partition",
    "range-frame",
    "refused-cast",
    "reserved",
    "row-name",
    "text-number",
    "type-mix",
    "unknown-name",
    "untyped",
    "wide-sum",
    "window-distinct",
    "window-frame",
]

# The types of a relation's columns, by lower-case name; None if the columns are unknown.
Columns = Mapping[str, Type] | None

# The prefix of the name that `unnest(…) as n` gets in `Block.sources`. The column `n` is used without a qualifier, and
# no qualifier can equal the name, because of the blank.
VALUE = "unnest "

ALIASED_CLAUSES = ("group", "having", "qualify", "order")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A SELECT with the relations in its FROM, by name and in order.

    ``outer`` is the enclosing SELECT, None if there is none. ``owner`` is the expression that contains the subquery:
    IN, EXISTS or the Subquery itself. ``owner`` is None for a CTE and for a relation in FROM, which cannot use names of
    the enclosing SELECT.
    """

    select: exp.Select
    sources: dict[str, Columns]
    outer: "Block | None"
    owner: exp.Expression | None


@dataclass(frozen=True, slots=True)
class Problem:
    """A violation of a rule at a node, with the text of what to write instead."""

    node: exp.Expression
    rule: Rule
    remedy: str


@dataclass(slots=True)
class Reading:
    """The resolved names and types of a query.

    Attributes:
        tree: the whole query.
        catalog: the columns of the tables that the query reads.
        blocks: the SELECTs of the query.
        unions: for each column of a set operation, the node of the operation and the types that are combined.
        problems: the violations found while resolving names.
        types: the type of each node whose type is known, by ``id()`` of the node.
        origins: the block and the source of each column whose origin is known, by ``id()`` of the node.
        columns: the output columns; None if they are unknown.
    """

    tree: exp.Expression
    catalog: Mapping[str, Columns]
    blocks: list[Block] = field(default_factory=list)
    unions: list[tuple[exp.Expression, list[Type]]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    types: dict[int, Type] = field(default_factory=dict)
    origins: dict[int, tuple[Block, str]] = field(default_factory=dict)
    columns: Columns = None

    def type_of(self, node: exp.Expression) -> Type:
        """Return the type of an expression of the query."""
        return self.types.get(id(node), UNKNOWN)


def read(tree: exp.Expression, catalog: Mapping[str, Columns]) -> Reading:
    """Resolve the names and types in a query.

    Args:
        tree: a query, parsed in BigQuery's dialect.
        catalog: the columns of the tables that the query reads, by ``dataset.name`` in lower case.
    """
    reading = Reading(tree, catalog)
    reading.columns = _query(reading, tree, None, None, {})
    return reading


def own(select: exp.Expression) -> Iterator[exp.Expression]:
    """Yield the nodes of a SELECT, including the roots of nested queries but not the nodes inside nested queries."""
    return iter(select.walk(prune=lambda node: node is not select and isinstance(node, exp.Query)))


def _query(
    reading: Reading,
    node: exp.Expression,
    outer: Block | None,
    owner: exp.Expression | None,
    ctes: Mapping[str, Columns],
) -> Columns:
    for cte in node.ctes:
        ctes = {**ctes, cte.alias.lower(): _kept(_query(reading, cte.this, None, None, ctes))}
    if isinstance(node, exp.Subquery):
        return _query(reading, node.this, outer, owner, ctes)
    if isinstance(node, exp.SetOperation):
        left = _query(reading, node.left, outer, owner, ctes)
        right = _query(reading, node.right, outer, owner, ctes)
        return _united(reading, node, left, right)
    if isinstance(node, exp.Select):
        return _select(reading, node, outer, owner, ctes)
    return None


def _kept(columns: Columns) -> Columns:
    # On BigQuery, an untyped NULL in the output of a SELECT has the type INT64.
    if columns is None:
        return None
    return {name: INT64 if type_ == NULL else type_ for name, type_ in columns.items()}


def _united(reading: Reading, node: exp.Expression, left: Columns, right: Columns) -> Columns:
    if left is None or right is None:
        return left or right
    together: dict[str, Type] = {}
    for (name, one), other in zip(left.items(), right.values(), strict=False):
        reading.unions.append((node, [one, other]))
        together[name] = merged([one, other]) or UNKNOWN
    return together


def _select(
    reading: Reading,
    select: exp.Select,
    outer: Block | None,
    owner: exp.Expression | None,
    ctes: Mapping[str, Columns],
) -> Columns:
    block = Block(select, {}, outer, owner)
    reading.blocks.append(block)
    relations = set()
    for relation in _relations(select):
        relations.add(id(relation))
        _source(reading, block, relation, ctes)
    inner: list[exp.Expression] = []
    nodes = [node for node in own(select) if node is not select]
    for node in nodes:
        if isinstance(node, exp.Column) and not _is_unpivoted(node):
            _resolve(reading, block, node)
        elif isinstance(node, exp.Query) and id(node) not in relations:
            inner.append(node)
    for node in inner:
        if isinstance(node.parent, exp.CTE):
            continue
        holder = node.parent if isinstance(node.parent, (exp.In, exp.Exists)) else node
        result = _query(reading, node, block, holder, ctes)
        reading.types[id(node)] = next(iter((result or {}).values()), UNKNOWN)
    # Infer the types of the deepest nodes first, because the type of an expression depends on its parts.
    for node in reversed(nodes):
        if id(node) not in reading.types:
            reading.types[id(node)] = infer(node, reading.type_of)
    return _output(reading, block)


def _relations(select: exp.Select) -> Iterator[exp.Expression]:
    if (begin := select.args.get("from_")) is not None:
        yield begin.this
    for join in select.args.get("joins") or []:
        yield join.this


def _is_unpivoted(column: exp.Column) -> bool:
    return column.find_ancestor(exp.Pivot, exp.Select).__class__ is exp.Pivot


def _source(
    reading: Reading, block: Block, relation: exp.Expression, ctes: Mapping[str, Columns]
) -> None:
    name = relation.alias_or_name.lower()
    if isinstance(relation, exp.Unnest):
        _unnest(block, relation)
        return
    columns: Columns = None
    if isinstance(relation, exp.Table):
        if relation.db:
            columns = reading.catalog.get(f"{relation.db}.{relation.name}".lower())
        elif relation.name.lower() in ctes:
            columns = ctes[relation.name.lower()]
    elif isinstance(relation, exp.Query):
        # BigQuery has no LATERAL, so a relation in FROM can use only names from outside the whole SELECT.
        columns = _kept(_query(reading, relation, block.outer, None, ctes))
    for pivot in relation.args.get("pivots") or []:
        columns = _unpivoted(columns, pivot)
        name = (pivot.alias or name).lower()
    block.sources[name] = columns


def _unnest(block: Block, unnest: exp.Unnest) -> None:
    alias = unnest.args.get("alias")
    names = [column.name.lower() for column in alias.columns] if alias else []
    arrays = [infer(array, lambda _: UNKNOWN) for array in unnest.expressions]
    element = arrays[0].fields[0][1] if arrays and arrays[0].fields else UNKNOWN
    value = dict.fromkeys(names, element)
    if (offset := unnest.args.get("offset")) is not None and hasattr(offset, "name"):
        value[offset.name.lower()] = INT64
    block.sources[f"{VALUE}{len(block.sources)}"] = value


def _unpivoted(columns: Columns, pivot: exp.Pivot) -> Columns:
    if columns is None or not pivot.args.get("unpivot"):
        return None
    left = dict(columns)
    for spread in pivot.args.get("fields") or []:
        gone = [left.pop(column.name.lower(), UNKNOWN) for column in spread.expressions]
        left[spread.this.name.lower()] = STRING
        for value in pivot.expressions:
            left[value.name.lower()] = merged(gone) or UNKNOWN
    return left


def _resolve(reading: Reading, block: Block, column: exp.Column) -> None:
    if isinstance(column.this, exp.Star):
        return
    found = _found(block, column)
    if found is not None:
        where, source, type_ = found
        reading.types[id(column)] = type_
        reading.origins[id(column)] = (where, source)
    problem = _problem(block, column, found is not None)
    if problem is not None:
        reading.problems.append(Problem(column, *problem))


def _found(block: Block | None, column: exp.Column) -> tuple[Block, str, Type] | None:
    """Return the block, source and type of a column, searched from the inner block outwards.

    A column that is not found is assumed to be in a relation with unknown columns. Return None if there is no such
    relation.
    """
    name, qualifier = column.name.lower(), column.table.lower()
    possible: tuple[Block, str, Type] | None = None
    while block is not None:
        if qualifier in block.sources:
            columns = block.sources[qualifier]
            if columns is None or name in columns:
                return block, qualifier, (columns or {}).get(name, UNKNOWN)
            return None
        # The qualifier may also be a STRUCT column of a relation.
        wanted = qualifier or name
        for source, columns in block.sources.items():
            if columns is None:
                possible = possible or (block, source, UNKNOWN)
            elif wanted in columns:
                found = columns[wanted]
                return block, source, _field(found, name) if qualifier else found
        if not qualifier and name in block.sources:
            return block, name, row_type(block.sources[name])
        block = block.outer
    return possible


def _field(struct: Type, name: str) -> Type:
    return dict(struct.fields).get(name, UNKNOWN)


def row_type(columns: Columns) -> Type:
    """Return the type of a whole row of a relation, a STRUCT of its columns."""
    return Type("STRUCT", tuple((columns or {}).items()))


def _problem(block: Block, column: exp.Column, is_found: bool) -> tuple[Rule, str] | None:
    name = column.name.lower()
    if column.table:
        if not is_found:
            text = f"{column.table}.{column.name}"
            return "unknown-name", f"`{text}`: on BigQuery, no relation in FROM has this name"
        return None
    meant = _aliases(block.select).get(name)
    clause = _clause(block.select, column)
    if name in block.sources and name in (block.sources[name] or {}):
        return (
            "row-name",
            f"`{name}` is a relation and its column, and BigQuery would return the whole row: write {name}.{name}",
        )
    if not is_found:
        if meant is None:
            return "unknown-name", f"`{name}`: no relation in FROM has this column"
        if clause not in ALIASED_CLAUSES:
            return (
                "alias-reuse",
                f"`{name}` is an alias of this SELECT: compute it in an earlier CTE",
            )
    elif (
        meant is not None
        and clause in ("group", "having")
        and not (isinstance(meant, exp.Column) and meant.name.lower() == name)
    ):
        return (
            "group-alias",
            f"`{name}` is the alias on BigQuery and the column on DuckDB: rename the alias, or qualify the column",
        )
    return None


def _aliases(select: exp.Select) -> dict[str, exp.Expression]:
    return {
        expression.alias.lower(): expression.this
        for expression in select.expressions
        if isinstance(expression, exp.Alias)
    }


def _clause(select: exp.Select, node: exp.Expression) -> str:
    while node.parent is not None and node.parent is not select:
        node = node.parent
    return str(node.arg_key or "")


def _output(reading: Reading, block: Block) -> Columns:
    output: dict[str, Type] = {}
    is_open = False
    for expression in block.select.expressions:
        columns = _starred(reading, block, expression)
        is_open = is_open or columns is None
        for name, type_ in (columns or {}).items():
            if name and name in output:
                remedy = f"`{name}` is twice in one SELECT, which BigQuery rejects and DuckDB renames: rename one"
                reading.problems.append(Problem(expression, "duplicate-name", remedy))
            output[name] = type_
    return None if is_open else output


def _starred(reading: Reading, block: Block, expression: exp.Expression) -> Columns:
    """Return the output columns of one expression of a SELECT list; None if they are unknown."""
    if isinstance(expression, exp.Star):
        every: dict[str, Type] = {}
        for columns in block.sources.values():
            if columns is None:
                return None
            every |= columns
        return every
    if isinstance(expression, exp.Column) and isinstance(expression.this, exp.Star):
        name = expression.table.lower()
        if name in block.sources:
            return block.sources[name]
        for columns in block.sources.values():
            if columns is not None and name in columns:
                struct = columns[name]
                return dict(struct.fields) if struct.fields else None
        return None
    return {expression.alias_or_name.lower(): reading.type_of(expression)}
