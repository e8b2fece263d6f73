"""Estimate from the text of a query which columns and rows BigQuery would read, for ``bench.scan``."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

#: Maps the name of a timestamp column to the lower bound of its values, in days before the watermark (`opened_at`).
Bounds = dict[str, float]


@dataclass(frozen=True, slots=True)
class Table:
    """The number of rows of a table, and for each column the mean size of a value in bytes."""

    rows: float
    widths: dict[str, float]

    @property
    def size(self) -> float:
        """Return the logical bytes of the whole table."""
        return self.rows * sum(self.widths.values())


@dataclass(frozen=True, slots=True)
class Read:
    """The columns of a table that a query reads, and the fraction of the table's rows (0 to 1)."""

    table: str
    columns: frozenset[str]
    share: float


@dataclass(frozen=True, slots=True)
class Reader:
    """Finds the columns and rows of tables that a query reads, through views and common table expressions.

    Each use of a table expression is counted separately, as BigQuery plans it. A use reads only the columns that are
    needed, within the constant lower bounds that can be pushed down. A subquery is not a constant. A bound is pushed
    down through an aggregate or a window only if the bounded column is one of the keys. `partitions` maps a
    table to its partitioning column and the length of a partition in days. `days` is the length of the history in days.
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
        """Yield the reads that return the columns ``needed`` of a query (None for all), for the rows within ``bounds``.

        ``outer`` has the common table expressions of the enclosing queries.
        """
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
                # Add the rows before the bound in the bound's partition (half a partition on average, at least a day)
                # and the new day.
                share = min(1.0, (bounds[column] + max(1.0, length / 2) + 1) / self.days)
            yield Read(name, frozenset(own if needed is None else own & needed), share)
        else:
            raise SystemExit(
                f"{name} is not in the mart: run `mart build`, then run the benchmark again"
            )


def _own(clause: exp.Expression, kind: type[exp.Expression]) -> Iterator[Any]:
    """Yield the nodes of a kind in a clause, without the nodes inside nested queries."""
    for node in clause.walk(prune=lambda node: isinstance(node, exp.Query)):
        if isinstance(node, kind):
            yield node


def _clauses(query: exp.Expression, needed: set[str] | None) -> Iterator[exp.Expression]:
    """Yield the parts of a SELECT that read columns: the needed projections, and all other clauses.

    ``needed`` has the names of the needed projections; None for all.
    """
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
    """Yield the terms of the conditions in WHERE and ON of a SELECT.

    Each term comes with the alias of the joined source if it is from an outer join, otherwise with None.
    """
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
    """Return, for each source of a SELECT, the columns that the SELECT uses; None stands for all columns."""
    used: dict[str, set[str] | None] = {alias: set() for alias in sources}

    def use(alias: str, names: set[str] | None) -> None:
        own = used[alias]
        used[alias] = None if own is None or names is None else own | names

    for clause in _clauses(query, needed):
        star = clause.text("table") if clause.is_star else None
        if star is not None and star in {"", *sources}:
            # A star over a source uses only the needed columns. A star over a struct uses the whole struct (see below).
            for alias in [star] if star else sources:
                use(alias, needed)
            continue
        for column in _own(clause, exp.Column):
            if column.table in sources:
                use(column.table, {column.name})
            elif column.name in sources and not column.table:
                # The name of a source, used as a value, stands for the whole row.
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
    """Return, for each source, the lower bounds from ``terms`` and those in ``outer`` that can be pushed down."""
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
        # A literal of the year 1970 is the watermark of a full build, which excludes no rows.
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
    """Return the number of days by which the timestamp of an expression is before the watermark.

    Only hours that are subtracted as a product of numbers are counted; the result is 0 for any other expression.
    """
    hours = 0.0
    for shift in value.find_all(exp.TimestampAdd):
        factors = re.findall(r"-?\s*\d+", shift.expression.sql())
        hours -= math.prod(float(factor.replace(" ", "")) for factor in factors)
    return max(hours / 24, 0.0)
