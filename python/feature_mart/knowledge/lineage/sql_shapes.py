"""Define the types for the lineage of a SELECT, and recognise the SQL patterns that decide the rows of a SELECT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from sqlglot import exp

from feature_mart.knowledge.lineage.terms import Term, column_of, op

#: The prefixes of the tables that `ref()` and `source()` become in rendered SQL.
REF = "ref__"
SOURCE = "source__"
#: The prefix of the condition that replaces `is_changed` or `is_moved`, which drop unchanged rows of an as-of table.
#: Which rows are left depends on every compared column, but the value of a column at a given time does not. The
#: condition therefore hides the compared columns.
SPARSE = "sparse_"
#: The function that is rendered around `opened_at`. A filter on `opened_at` selects the rows that a run appends; the
#: final table does not depend on such a filter.
OPENED = "opened_since"
#: The name of a made-up column that stands for a seed's configuration.
CONFIGURATION = "its configuration"

Unique = frozenset[frozenset[str]]

_numbers = count()


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts about a model or seed that are needed to analyse the models that read it.

    `columns` is None if the columns are unknown. `unique` has the sets of columns that are unique together. `lines` has
    the lines of a seed, each as pairs of column and cell; None for a model.
    """

    columns: tuple[str, ...] | None
    unique: Unique = frozenset()
    lines: tuple[tuple[tuple[str, str], ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The lineage of a model: the term of each column, and the term that decides its rows.

    `is_read` is False if the code could not be parsed. `number` identifies the summary in cache keys.
    """

    columns: Mapping[str, Term]
    rows: Term
    unique: Unique = frozenset()
    is_read: bool = True
    number: int = field(default_factory=_numbers.__next__)


@dataclass(slots=True)
class Relation:
    """A table, CTE or subquery.

    `open` returns the term of a column that `columns` does not list; it is None if all columns are listed. `lines` and
    `seed` are the lines and the name of a seed; None and empty for any other relation.
    """

    columns: dict[str, Term]
    rows: Term
    unique: Unique = frozenset()
    open: Callable[[str], Term] | None = None
    lines: tuple[tuple[tuple[str, str], ...], ...] | None = None
    seed: str = ""

    def column(self, name: str) -> Term | None:
        """Return the term of a column, or None if the relation does not have it."""
        if name in self.columns:
            return self.columns[name]
        return self.open(name) if self.open else None


@dataclass(slots=True)
class Source:
    """A relation in FROM or a join.

    `tag` is the term of the joined rows, None for the first source. `outer` has the terms of the outer joins that can
    make the source's columns NULL.
    """

    relation: Relation
    tag: Term | None = None
    outer: list[Term] = field(default_factory=list)

    def column(self, name: str) -> Term | None:
        """Return the term of a column after the joins, or None if the relation does not have it."""
        term = self.relation.column(name)
        if term is None:
            return None
        if self.tag is not None:
            term = op("of", self.tag, term)
        for condition in self.outer:
            term = op("outer", condition, term)
        return term


@dataclass(slots=True)
class Scope:
    """The names visible in a SELECT: CTEs, sources, column aliases and windows. `parent` is the enclosing scope."""

    ctes: dict[str, Relation]
    parent: Scope | None
    sources: dict[str, Source] = field(default_factory=dict)
    aliases: dict[str, Term] = field(default_factory=dict)
    windows: dict[str, exp.Expression] = field(default_factory=dict)


class NotReadError(Exception):
    """Raised if the SQL has a form that the analysis does not support."""


def sparse(columns: Mapping[str, Term], compared: set[str]) -> dict[str, Term]:
    """Return a model's columns, in which the terms of columns that are not in ``compared`` are marked.

    ``compared`` has the columns that `is_changed` and `is_moved` compare. These macros drop a row in which only other
    columns changed. If ``compared`` is empty, no column is marked.
    """
    if not compared:
        return dict(columns)
    return {n: t if n in compared else op("not compared", t) for n, t in columns.items()}


def conjuncts(node: exp.Expression) -> Iterator[exp.Expression]:
    """Yield the parts of a condition that are joined by AND."""
    node = node.unnest()
    if isinstance(node, exp.And):
        yield from conjuncts(node.left)
        yield from conjuncts(node.right)
    else:
        yield node


def is_opened(node: exp.Expression) -> bool:
    """Return True if an expression is the rendered `opened_at`."""
    return isinstance(node, exp.Anonymous) and node.name == OPENED


def branch(term: Term, label: str, rows: Term | None = None) -> Term:
    """Return the term of one side of a union. The term of a nested union of the same kind is returned unchanged."""
    if term.kind == "bag" and term.label == label:
        return term
    return op("branch", term, rows) if rows is not None else op("branch", term)


def opaque(base: Term) -> Relation:
    """Return a relation of unknown columns, all of which depend on `base`."""
    return Relation({}, base, open=lambda name: op(f"column {name.lower()}", base))


def clause_of(node: exp.Expression, name: str) -> exp.Expression | None:
    """Return a clause of a query, such as ``where``, or None if the query does not have the clause."""
    found = node.args.get(name)
    return found if isinstance(found, exp.Expression) else None


def own_aggregates(node: exp.Select, kind: type[exp.Expression]) -> Iterator[exp.Expression]:
    """Yield the aggregates of a SELECT, without window functions and without the aggregates of subqueries."""
    for projection in node.expressions:
        for found in projection.find_all(kind):
            window = found.find_ancestor(exp.Window, exp.Select)
            if found.parent_select is node and not isinstance(window, exp.Window):
                yield found


def renamed(relation: Relation, alias: exp.Expression | None) -> Relation:
    """Return a relation with the column names of ``as name (a, b)``.

    Raises:
        NotReadError: there are more names than columns.
    """
    names = [each.name for each in alias.args.get("columns") or ()] if alias is not None else []
    if not names:
        return relation
    if len(names) > len(relation.columns):
        raise NotReadError
    old = list(relation.columns)
    new = dict(zip(old, [*names, *old[len(names) :]], strict=True))
    unique = frozenset(frozenset(new[each] for each in keys) for keys in relation.unique)
    return Relation({new[n]: t for n, t in relation.columns.items()}, relation.rows, unique)


def narrowed(relation: Relation, alias: str, where: exp.Expression | None) -> Relation:
    """Return a seed with only the lines that match conditions such as ``seed.table = 'jobs'`` in WHERE.

    Any other relation is returned unchanged.
    """
    if relation.lines is None or where is None:
        return relation
    wanted = {}
    for each in conjuncts(where.this):
        if isinstance(each, exp.EQ) and isinstance(each.left, exp.Column):
            is_its = each.left.table == alias and isinstance(each.right, exp.Literal)
            if is_its and each.right.is_string:
                wanted[each.left.name] = each.right.this
    lines = tuple(
        line for line in relation.lines if all(dict(line).get(k) == v for k, v in wanted.items())
    )
    if not wanted:
        return relation
    rows = op(f"lines {lines!r}", column_of(relation.seed, CONFIGURATION))
    columns = {name: op(f"column {name}", rows) for name in relation.columns}
    return Relation(columns, rows, relation.unique)


def equated_columns(on: exp.Expression | None, alias: str, relation: Relation) -> set[str]:
    """Return the columns of a joined relation that the join condition compares with something else by ``=``."""
    found = set()
    for each in conjuncts(on) if on is not None else ():
        if not isinstance(each, exp.EQ):
            continue
        sides = [each.left.unnest(), each.right.unnest()]
        own = [
            isinstance(side, exp.Column) and side.table == alias and side.name in relation.columns
            for side in sides
        ]
        if own[0] != own[1]:
            found.add(sides[0].name if own[0] else sides[1].name)
    return found


def numbered_keys(
    condition: exp.Expression, plain: Mapping[tuple[str, str], str]
) -> set[frozenset[str]]:
    """Return the keys that ``row_number() over (partition by …) = 1`` makes unique, as output columns."""
    found = set()
    by_name = {name: out for (_, name), out in plain.items()}
    for each in conjuncts(condition):
        if not isinstance(each, exp.EQ) or each.right.sql() != "1":
            continue
        window = each.left
        if isinstance(window, exp.Window) and isinstance(window.this, exp.RowNumber):
            keys = [key.name for key in window.args.get("partition_by") or ()]
            if keys and all(key in by_name for key in keys):
                found.add(frozenset(by_name[key] for key in keys))
    return found
