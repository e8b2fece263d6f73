"""What a query reads of tables, as BigQuery plans it: found in its text, for the sums of ``bench.scan``."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

#: Days before the opening, by column.
Bounds = dict[str, float]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, and the mean bytes of a row by column."""

    rows: float
    widths: dict[str, float]

    @property
    def size(self) -> float:
        """Logical bytes of the whole table."""
        return self.rows * sum(self.widths.values())


@dataclass(frozen=True, slots=True)
class Read:
    """One reading of columns of a table, over a share of its rows."""

    table: str
    columns: frozenset[str]
    share: float


@dataclass(frozen=True, slots=True)
class Reader:
    """Finds what a query reads of tables, through views and common table expressions.

    Each use of a table expression counts by itself, as BigQuery plans it: for the columns asked of it, and within the
    constant lower bounds that reach it. A subquery is no constant. A bound passes an aggregate or a window only by
    its keys. `partitions`: by table its partitioning column and the days of one partition.
    """

    views: dict[str, exp.Expression]
    tables: dict[str, Table]
    partitions: dict[str, tuple[str, float]]
    days: float

    def reads(
        self,
        query: exp.Expression,
        outer: dict[str, exp.Expression],
        needed: set[str] | None = None,
        bounds: Bounds | None = None,
    ) -> Iterator[Read]:
        """What is read for the columns `needed` (None: all) of the rows within `bounds`."""
        query, bounds = query.unnest(), bounds or {}
        ctes = outer | {cte.alias: cte.this for cte in query.ctes}
        if isinstance(query, exp.SetOperation):
            names = query.left.unnest().named_selects
            for side in (query.left, query.right):
                own = dict(zip(names, side.unnest().named_selects, strict=False))
                wanted = None if needed is None else {own.get(name, name) for name in needed}
                limits = {own.get(name, name): days for name, days in bounds.items()}
                yield from self.reads(side, ctes, wanted, limits)
            return
        terms = list(_terms(query))
        if (exp.false(), None) in terms:
            return
        first = [query.args["from_"]] if query.args.get("from_") else []
        sources = {
            part.this.alias_or_name: part.this for part in [*first, *query.args.get("joins", [])]
        }
        used = _used(query, sources, needed)
        limits_by_source = _limits(query, terms, list(sources), bounds)
        for alias, source in sources.items():
            wanted = None if source.args.get("pivots") else used[alias]
            limits = limits_by_source.get(alias, {})
            if isinstance(source, exp.Table):
                yield from self._table(source, ctes, wanted, limits)
            elif not isinstance(source, exp.Unnest):
                yield from self.reads(source, ctes, wanted, limits)
        for clause in _clauses(query, None):
            for nested in _own(clause, exp.Query):
                yield from self.reads(nested, ctes)

    def _table(
        self,
        source: exp.Table,
        ctes: dict[str, exp.Expression],
        needed: set[str] | None,
        bounds: Bounds,
    ) -> Iterator[Read]:
        name = source.name
        if name in ctes and not source.db:
            yield from self.reads(ctes[name], ctes, needed, bounds)
        elif name in self.views:
            yield from self.reads(self.views[name], {}, needed, bounds)
        elif name in self.tables:
            own = self.tables[name].widths.keys()
            column, length = self.partitions.get(name, ("", 0.0))
            share = 1.0
            if column in bounds:
                # The partition of the bound is read from its beginning, and the new day besides.
                share = min(1.0, (bounds[column] + max(1.0, length / 2) + 1) / self.days)
            yield Read(name, frozenset(own if needed is None else own & needed), share)
        else:
            raise SystemExit(f"{name} is not in the mart: build it again")


def _own(clause: exp.Expression, kind: type[exp.Expression]) -> Iterator[Any]:
    """Nodes of a kind in a clause, without those of the queries nested in it."""
    for node in clause.walk(prune=lambda node: isinstance(node, exp.Query)):
        if isinstance(node, kind):
            yield node


def _clauses(query: exp.Expression, needed: set[str] | None) -> Iterator[exp.Expression]:
    """The parts of a select that read columns: those of its projections that are needed, and all others."""
    for projection in query.expressions:
        if needed is None or projection.alias_or_name in needed or projection.is_star:
            yield projection
    for part in ("where", "group", "having", "qualify", "order"):
        if query.args.get(part):
            yield query.args[part]
    yield from query.args.get("windows") or ()
    for join in query.args.get("joins", []):
        if join.args.get("on"):
            yield join.args["on"]
        if isinstance(join.this, exp.Unnest):
            yield join.this


def _terms(query: exp.Expression) -> Iterator[tuple[exp.Expression, str | None]]:
    """What must all be true of a select's rows, and of which source alone: of a left join's the joined one."""
    where = [(query.args["where"].this, None)] if query.args.get("where") else []
    joined = [
        (join.args["on"], join.this.alias_or_name if join.side else None)
        for join in query.args.get("joins", [])
        if join.args.get("on")
    ]
    for clause, of_source in where + joined:
        for term in clause.flatten() if isinstance(clause, exp.And) else [clause]:
            yield term.unnest(), of_source


def _used(
    query: exp.Expression, sources: dict[str, exp.Expression], needed: set[str] | None
) -> dict[str, set[str] | None]:
    """The columns used of each source; None: all."""
    used: dict[str, set[str] | None] = {alias: set() for alias in sources}

    def use(alias: str, names: set[str] | None) -> None:
        own = used[alias]
        used[alias] = None if own is None or names is None else own | names

    for clause in _clauses(query, needed):
        star = clause.text("table") if clause.is_star else None
        if star is not None and star in {"", *sources}:
            # Of a source's rows only what is needed; of a struct, below, all of it.
            for alias in [star] if star else sources:
                use(alias, needed)
            continue
        for column in _own(clause, exp.Column):
            if column.table in sources:
                use(column.table, {column.name})
            elif column.name in sources and not column.table:
                # A row as one value.
                use(column.name, None)
            else:
                for alias in sources:
                    use(alias, {column.table or column.name})
    return used


def _limits(
    query: exp.Expression,
    terms: Iterable[tuple[exp.Expression, str | None]],
    aliases: list[str],
    outer: Bounds,
) -> dict[str, Bounds]:
    """Lower bounds by source: the select's own, and those of what reads it that pass into it."""
    found: dict[str, Bounds] = defaultdict(dict)

    def limit(column: exp.Expression, days: float) -> None:
        own = found[column.text("table") or aliases[0]]
        own[column.name] = min(own.get(column.name, days), days)

    for term, of_source in terms:
        lower, value = term.args.get("this"), term.args.get("expression")
        if isinstance(term, (exp.LT, exp.LTE)):
            lower, value = value, lower
        elif not isinstance(term, (exp.GT, exp.GTE, exp.EQ)):
            continue
        is_constant = not any(_own(value, exp.Column)) and not any(_own(value, exp.Query))
        # The epoch, written out, is the opening of a build in full.
        is_constant = is_constant and not any(
            "1970-" in text.name for text in _own(value, exp.Literal)
        )
        if is_constant and isinstance(lower, exp.Column) and of_source in (None, lower.table):
            limit(lower, _days_back(value))
    windows = [window for clause in _clauses(query, None) for window in _own(clause, exp.Window)]
    keys = [{part.name for part in window.args.get("partition_by") or ()} for window in windows]
    if query.args.get("group"):
        keys.append({part.name for part in query.args["group"].expressions})
    for projection in query.expressions:
        plain = projection.unalias()
        plain = plain.this if isinstance(plain, exp.Cast) else plain
        passed = outer.keys() if isinstance(projection, exp.Star) else {projection.alias_or_name}
        for name in passed & outer.keys():
            column = exp.column(name) if isinstance(projection, exp.Star) else plain
            if isinstance(column, exp.Column) and all(column.name in own for own in keys):
                limit(column, outer[name])
    return found


def _days_back(value: exp.Expression) -> float:
    """Days that an instant lies before the opening: the hours that are taken from it, a product of numbers."""
    hours = 0.0
    for shift in value.find_all(exp.TimestampAdd):
        factors = re.findall(r"-?\s*\d+", shift.expression.sql())
        hours -= math.prod(float(factor.replace(" ", "")) for factor in factors)
    return max(hours / 24, 0.0)
