"""What a select reads and makes, and the shapes of SQL that say which rows there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from sqlglot import exp

from feature_mart.knowledge.lineage.terms import Term, column_of, op

#: What the tables that `ref()` and `source()` stand for begin with in rendered SQL.
REF = "ref__"
SOURCE = "source__"
#: What a condition begins with that leaves out the rows of an as-of table in which nothing changed: which rows are left
#: then depends on every column, and what a reader finds in one of them does not.
SPARSE = "sparse_"
#: The function that stands around the time from which on a table lacks rows. A filter on it says what a run appends;
#: which rows there are in the end does not depend on it.
OPENED = "opened_since"
#: A seed's configuration, as a column that no seed has.
CONFIGURATION = "its configuration"

Unique = frozenset[frozenset[str]]

_numbers = count()


@dataclass(frozen=True, slots=True)
class Facts:
    """What a reader has to know of a model or seed: its columns (None: unknown), and those that are unique together.

    `lines` are a seed's, each as pairs of column and cell.
    """

    columns: tuple[str, ...] | None
    unique: Unique = frozenset()
    lines: tuple[tuple[tuple[str, str], ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """A model: what each of its columns rests on, and which rows it has.

    `is_read` is False where it could not be followed; `number` tells summaries apart.
    """

    columns: Mapping[str, Term]
    rows: Term
    unique: Unique = frozenset()
    is_read: bool = True
    number: int = field(default_factory=_numbers.__next__)


@dataclass(slots=True)
class Relation:
    """What a select reads. `open` answers for columns that are not listed."""

    columns: dict[str, Term]
    rows: Term
    unique: Unique = frozenset()
    open: Callable[[str], Term] | None = None
    lines: tuple[tuple[tuple[str, str], ...], ...] | None = None
    seed: str = ""

    def column(self, name: str) -> Term | None:
        if name in self.columns:
            return self.columns[name]
        return self.open(name) if self.open else None


@dataclass(slots=True)
class Source:
    relation: Relation
    tag: Term | None = None
    outer: list[Term] = field(default_factory=list)

    def column(self, name: str) -> Term | None:
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
    ctes: dict[str, Relation]
    parent: Scope | None
    sources: dict[str, Source] = field(default_factory=dict)
    aliases: dict[str, Term] = field(default_factory=dict)
    windows: dict[str, exp.Expression] = field(default_factory=dict)


class NotReadError(Exception):
    """The SQL has a shape that this module does not follow."""


def conjuncts(node: exp.Expression) -> Iterator[exp.Expression]:
    """Yield the parts of a condition that are joined by AND."""
    node = node.unnest()
    if isinstance(node, exp.And):
        yield from conjuncts(node.left)
        yield from conjuncts(node.right)
    else:
        yield node


def is_opened(node: exp.Expression) -> bool:
    return isinstance(node, exp.Anonymous) and node.name == OPENED


def branch(term: Term, label: str, rows: Term | None = None) -> Term:
    """Return a side of a union; the sides of one within it stay sides."""
    if term.kind == "bag" and term.label == label:
        return term
    return op("branch", term, rows) if rows is not None else op("branch", term)


def opaque(base: Term) -> Relation:
    return Relation({}, base, open=lambda name: op(f"column {name.lower()}", base))


def clause_of(node: exp.Expression, name: str) -> exp.Expression | None:
    found = node.args.get(name)
    return found if isinstance(found, exp.Expression) else None


def own_aggregates(node: exp.Select, kind: type[exp.Expression]) -> Iterator[exp.Expression]:
    """Yield the aggregates of a select that are no window functions and stand in no query within it."""
    for projection in node.expressions:
        for found in projection.find_all(kind):
            window = found.find_ancestor(exp.Window, exp.Select)
            if found.parent_select is node and not isinstance(window, exp.Window):
                yield found


def renamed(relation: Relation, alias: exp.Expression | None) -> Relation:
    """Return a relation under the column names of ``as name (a, b)``."""
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
    """Return a seed with the lines only that the select's own conditions leave, such as ``seed.table = 'jobs'``."""
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
    """Return the columns of a joined relation that its condition sets equal to something else."""
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
    """Return the key that ``row_number() over (partition by …) = 1`` leaves unique."""
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
