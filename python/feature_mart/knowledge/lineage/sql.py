"""Find what each column of a SELECT depends on, independent of the names of its CTEs, tables and aliases.

The term of a column is the column's expression, in which each reference to a column is replaced by that column's term,
through all CTEs. A CTE that only passes a column on does not change the term. The term of the rows has the sources,
joins, filters and groups, but not as-of joins and left joins to unique keys, which keep the set of rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from feature_mart.knowledge.lineage.sql_shapes import (
    REF,
    SOURCE,
    SPARSE,
    Facts,
    NotReadError,
    Relation,
    Scope,
    Source,
    Summary,
    branch,
    clause_of,
    conjuncts,
    equated_columns,
    is_opened,
    narrowed,
    numbered_keys,
    opaque,
    own_aggregates,
    renamed,
    sparse,
)
from feature_mart.knowledge.lineage.sql_sums import SUMS, read_apart
from feature_mart.knowledge.lineage.terms import Term, all_of, bag, column_of, op, rows_of

_READS = re.compile(rf"\b{REF}(\w+)")
_COMMUTE = {exp.EQ, exp.NEQ, exp.Add, exp.Mul, exp.And, exp.Or}
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


@lru_cache(maxsize=4096)
def reads(sql: str) -> tuple[str, ...]:
    """Return the distinct models and seeds that rendered SQL reads, sorted."""
    return tuple(sorted(set(_READS.findall(sql))))


@lru_cache(maxsize=4096)
def summarise(sql: str, facts: tuple[tuple[str, Facts], ...], names: tuple[str, ...]) -> Summary:
    """Return the lineage of a rendered model.

    Args:
        sql: The model's SQL, in which `ref('x')` is the table ``ref__x``.
        facts: Pairs of name and facts for the models and seeds that the model reads.
        names: The model's columns from its YAML. If the SQL cannot be parsed, each column depends on the whole SQL.
    """
    for dialect in ("duckdb", "bigquery"):
        try:
            tree = sqlglot.parse_one(sql, read=dialect)
            for name in tree.find_all(exp.Identifier):
                name.set("this", name.this.lower())
            reader = _Reader(dict(facts))
            found = reader.query(tree, Scope({}, None))
            if found.open is None:
                columns = sparse(found.columns, reader.compared)
                return Summary(columns, found.rows, found.unique)
        except (SqlglotError, NotReadError, RecursionError):
            continue
    text = " ".join(_COMMENT.sub(" ", sql).lower().split())
    whole = op(f"text:{text}", *(all_of(name) for name, _ in facts))
    return Summary(dict.fromkeys(names, whole), whole, is_read=False)


class _Reader:
    """Turns the syntax tree of a rendered model into terms."""

    def __init__(self, facts: Mapping[str, Facts]) -> None:
        self._facts = facts
        self.compared: set[str] = set()

    def query(self, node: exp.Expression, parent: Scope) -> Relation:
        """Return the relation of a query; `parent` is the scope of the enclosing query, with the CTEs visible there."""
        if isinstance(node, exp.Subquery):
            if any(node.args.get(each) for each in ("joins", "pivots", "laterals")):
                raise NotReadError
            scope = Scope(self._ctes(node, parent), parent.parent, parent.sources, parent.aliases)
            return self._ordered(node, self.query(node.this, scope), scope)
        if not isinstance(node, exp.Select | exp.SetOperation):
            raise NotReadError
        scope = Scope(self._ctes(node, parent), parent if parent.sources else parent.parent)
        if isinstance(node, exp.SetOperation):
            return self._ordered(node, self._union(node, scope), scope)
        return self._select(node, scope)

    def _ctes(self, node: exp.Expression, parent: Scope) -> dict[str, Relation]:
        ctes = dict(parent.ctes)
        clause = node.args.get("with_") or node.args.get("with")
        queries: dict[str, exp.Expression] = {}
        for cte in clause.expressions if clause else ():
            found = self.query(cte.this, Scope(ctes, None))
            queries[cte.alias] = cte.this
            if cte.alias == SUMS:
                read_apart(found, queries, ctes, lambda q, known: self.query(q, Scope(known, None)))
            ctes[cte.alias] = renamed(found, cte.args.get("alias"))
        return ctes

    def _union(self, node: exp.SetOperation, scope: Scope) -> Relation:
        label = f"{type(node).__name__} {node.args.get('distinct')} {node.args.get('by_name')}"
        sides = [self.query(side, scope) for side in (node.left, node.right)]
        if any(side.open for side in sides):
            raise NotReadError
        make = op if isinstance(node, exp.Except) else bag
        left, right = (list(side.columns.values()) for side in sides)
        if len(left) != len(right):
            raise NotReadError
        rows = make(label, *(branch(side.rows, label) for side in sides))
        columns = {
            name: make(
                label,
                branch(left[at], label, sides[0].rows),
                branch(right[at], label, sides[1].rows),
            )
            for at, name in enumerate(sides[0].columns)
        }
        return Relation(columns, rows)

    def _ordered(self, node: exp.Expression, found: Relation, scope: Scope) -> Relation:
        """Return a relation with LIMIT and OFFSET applied to its rows. Without them, ORDER BY is ignored."""
        cut = [node.args[each] for each in ("limit", "offset") if node.args.get(each)]
        if not cut:
            return found
        inner = Scope(scope.ctes, scope.parent, {"": Source(found)})
        order = [node.args["order"]] if node.args.get("order") else []
        found.rows = op("limit", found.rows, *(self.key(each, inner) for each in (*cut, *order)))
        return found

    def _select(self, node: exp.Select, scope: Scope) -> Relation:
        if node.args.get("pivots"):
            raise NotReadError
        where = clause_of(node, "where")
        kept, preserved, first = self._sources(node, scope, where)
        for window in node.args.get("windows") or ():
            scope.windows[window.name] = window
        plain, columns, open_columns = self._projections(node, scope)
        filters = [self.key(each, scope) for each in (conjuncts(where.this) if where else ())]
        rows = bag("rows", *kept, *filters) if (kept or filters) else op("one row")
        group = node.args.get("group")
        has_aggregate = any(own_aggregates(node, exp.AggFunc))
        unique = {
            frozenset(plain[key] for key in keys)
            for keys in (first if preserved else ())
            if all(key in plain for key in keys)
        }
        if group or has_aggregate:
            by, rows = self._grouped(node, scope, rows, columns)
            outs = {name for name, term in columns.items() if term in by}
            unique = {frozenset(outs)} if len({columns[o] for o in outs}) == len(by) else set()
            columns = {n: t if t in by else op("grouped", t, rows) for n, t in columns.items()}
        windowed = {
            each.alias_or_name for each in node.expressions if each.find(exp.Window) is not None
        }
        columns = {n: op("window", t, rows) if n in windowed else t for n, t in columns.items()}
        having, qualify = clause_of(node, "having"), clause_of(node, "qualify")
        if having:
            rows = bag("rows", rows, op("having", self.key(having.this, scope)))
        if qualify:
            rows = bag("rows", rows, op("qualify", rows, self.key(qualify.this, scope)))
            unique |= numbered_keys(qualify.this, plain)
        if node.args.get("distinct"):
            rows = op("distinct", rows, self.key(node.args["distinct"], scope), *columns.values())
        found = Relation(columns, rows, frozenset(unique), open_columns)
        return self._ordered(node, found, scope)

    def _grouped(
        self, node: exp.Select, scope: Scope, rows: Term, columns: dict[str, Term]
    ) -> tuple[set[Term], Term]:
        """Return the terms of the grouping keys, and the term of the rows after grouping."""
        group = node.args.get("group")
        keys = []
        for each in group.expressions if group else ():
            if isinstance(each, exp.Literal) and not each.is_string:
                keys.append(list(columns.values())[int(each.this) - 1])
            else:
                keys.append(self.key(each, scope))
        more = [
            self.key(value, scope) if isinstance(value, exp.Expression) else op(f"{name}={value}")
            for name, values in sorted((group.args if group else {}).items())
            if name != "expressions" and values
            for value in (values if isinstance(values, list) else [values])
        ]
        return set(keys), op("group", rows, bag("by", *keys, op("keys")), *more)

    def _sources(
        self, node: exp.Select, scope: Scope, where: exp.Expression | None
    ) -> tuple[list[Term], bool, list[frozenset[tuple[str, str]]]]:
        """Add sources to `scope`. Return the row terms, True if the first source's keys stay unique, and these keys."""
        clause = node.args.get("from_") or node.args.get("from")
        if clause is None:
            return [], False, []
        joins = [*(node.args.get("joins") or ()), *(node.args.get("laterals") or ())]
        alias, relation = self._source(clause.this, scope)
        relation = narrowed(relation, alias, where)
        # Give the first source no tag, so that a new join that adds no rows does not change the terms of its columns.
        scope.sources[alias] = Source(relation)
        kept, preserved = [relation.rows], True
        for join in joins:
            is_lateral = not isinstance(join, exp.Join)
            name, other = self._source(join if is_lateral else join.this, scope)
            other = narrowed(other, name, where)
            again = sum(1 for each in scope.sources.values() if each.relation.rows is other.rows)
            source = scope.sources[name] = Source(other, op(f"from {again or ''}", other.rows))
            if is_lateral:
                kept.append(other.rows)
                preserved = False
                continue
            kind = f"{join.args.get('method') or ''} {join.side} {join.kind}".upper().split()
            on, using = join.args.get("on"), join.args.get("using") or ()
            conditions = [self.key(each, scope) for each in (conjuncts(on) if on else ())]
            conditions += [op(f"using {each.name}") for each in using]
            equated = equated_columns(on, name, other) | {each.name for each in using}
            is_one = any(each <= equated for each in other.unique) or "ASOF" in kind
            if {"LEFT", "RIGHT", "FULL"} & set(kind):
                condition = op(" ".join(kind), bag("on", *conditions, op("all")))
                outer = [source] if "LEFT" in kind else list(scope.sources.values())
                for each in outer:
                    each.outer.append(condition)
                if not (is_one and "LEFT" in kind):
                    kept.append(op("joined", other.rows, condition))
            elif kind and set(kind) - {"INNER", "CROSS"}:
                kept.append(op(" ".join(kind), other.rows, *conditions))
            else:
                kept += [other.rows, *conditions]
            preserved = preserved and is_one and not {"RIGHT", "FULL"} & set(kind)
        first = [frozenset((alias, each) for each in keys) for keys in relation.unique]
        return kept, preserved, first

    def _projections(
        self, node: exp.Select, scope: Scope
    ) -> tuple[dict[tuple[str, str], str], dict[str, Term], Callable[[str], Term] | None]:
        """Return the output names of unchanged columns, all columns' terms, and the function for unlisted columns."""
        plain: dict[tuple[str, str], str] = {}
        columns: dict[str, Term] = {}
        open_columns: Callable[[str], Term] | None = None
        for each in node.expressions:
            if not each.is_star or each.find(exp.AggFunc) is not None:
                name = each.alias_or_name
                inner = each.unalias()
                columns[name] = scope.aliases[name] = self.key(inner, scope)
                owner = self._owner(inner, scope) if isinstance(inner, exp.Column) else None
                if owner is not None:
                    plain[owner, inner.name] = name
                continue
            star = each.this if isinstance(each, exp.Column) else each
            gone = {
                one.name
                for part in ("except_", "except", "exclude")
                for one in star.args.get(part) or ()
            }
            replaced = {
                one.alias: one.this
                for part in ("replace_", "replace")
                for one in star.args.get(part) or ()
            }
            if star.args.get("rename") or star.args.get("rename_"):
                raise NotReadError
            table = each.table if isinstance(each, exp.Column) else ""
            if table and table not in scope.sources:
                raise NotReadError
            for alias in [table] if table else list(scope.sources):
                source = scope.sources[alias]
                for name in source.relation.columns:
                    if name in replaced:
                        columns[name] = self.key(replaced[name], scope)
                    elif name not in gone and (term := source.column(name)) is not None:
                        columns[name] = term
                        plain[alias, name] = name
                if source.relation.open is not None:
                    if open_columns is not None or len(scope.sources) > 1:
                        raise NotReadError
                    open_columns = source.relation.open
        return plain, columns, open_columns

    def _owner(self, column: exp.Column, scope: Scope) -> str | None:
        if column.table:
            return column.table if column.table in scope.sources else None
        having = [
            a for a, source in scope.sources.items() if column.name in source.relation.columns
        ]
        return having[0] if len(having) == 1 else None

    def _source(self, node: exp.Expression, scope: Scope) -> tuple[str, Relation]:
        """Return the alias and the relation of a source in FROM or a join."""
        if isinstance(node, exp.Subquery):
            inner = Scope(scope.ctes, scope.parent)
            return node.alias, renamed(self.query(node, inner), node.args.get("alias"))
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            if node.args.get("pivots") or node.args.get("joins"):
                raise NotReadError
            name = node.name
            if not node.db and name in scope.ctes:
                known = scope.ctes[name]
                relation = Relation(dict(known.columns), known.rows, known.unique, known.open)
            elif name.startswith(REF):
                relation = self._model(name.removeprefix(REF))
            elif name.startswith(SOURCE):
                relation = self._model(name)
            else:
                relation = opaque(op(f"table:{node.db}.{name}"))
            if node.args.get("sample"):
                relation.rows = op("sample", relation.rows, self.key(node.args["sample"], scope))
            return node.alias_or_name, renamed(relation, node.args.get("alias"))
        named = node.args.get("alias")
        bare = node.copy()
        bare.set("alias", None)
        base = self._parts(bare, scope)
        columns = {each.name: op("field", base) for each in (named.columns if named else ())}
        return node.alias, Relation(columns, base, open=lambda name: op(f"field {name}", base))

    def _model(self, name: str) -> Relation:
        facts = self._facts.get(name, Facts(None))
        if facts.columns is None:
            return Relation({}, rows_of(name), open=lambda column: column_of(name, column))
        columns = {column: column_of(name, column) for column in facts.columns}
        return Relation(columns, rows_of(name), facts.unique, lines=facts.lines, seed=name)

    def key(self, node: exp.Expression, scope: Scope) -> Term:
        """Return the term of an expression, in which each column is replaced by the column's term."""
        node = node.unnest() if isinstance(node, exp.Paren) else node
        if isinstance(node, exp.Alias):
            return self.key(node.this, scope)
        if isinstance(node, exp.Column):
            return self._column(node, scope)
        if isinstance(node, exp.Query):
            found = self.query(node, Scope(scope.ctes, scope))
            return op("query", found.rows, *found.columns.values())
        if isinstance(node, exp.Anonymous) and node.name.startswith(SPARSE):
            self.compared |= {each.name for each in node.expressions}
            return op(node.name)
        if isinstance(node, exp.Literal):
            return op(f"literal {node.is_string} {node.this}")
        if isinstance(node, exp.DataType):
            return op(f"type {node.sql(dialect='duckdb').lower()}")
        if isinstance(node, exp.GT) and isinstance(node.left, exp.Column) and is_opened(node.right):
            return op(f"appended by {node.left.name}", self.key(node.right, scope))
        if type(node) in _COMMUTE:
            label = type(node).__name__
            return bag(label, self.key(node.left, scope), self.key(node.right, scope), op(label))
        return self._parts(node, scope)

    def _parts(self, node: exp.Expression, scope: Scope) -> Term:
        parts = []
        for name, value in sorted(node.args.items()):
            if isinstance(node, exp.Window) and name == "alias" and value is not None:
                window = scope.windows.get(value.name)
                parts += [self._parts(window, scope)] if window is not None else []
                continue
            if isinstance(node, exp.Window) and node.name in scope.windows and name == "this":
                continue
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, exp.Expression):
                    parts.append(op(name, self.key(each, scope)))
                elif each is not None and each is not False:
                    parts.append(op(f"{name}={str(each).lower()}"))
        label = (
            f"id {node.name.lower()}" if isinstance(node, exp.Identifier) else type(node).__name__
        )
        return op(label, *parts)

    def _column(self, column: exp.Column, scope: Scope) -> Term:
        at: Scope | None = scope
        while at is not None:
            found = self._within(column, at)
            if found is not None:
                return found
            at = at.parent
        return op(f"free {column.sql(comments=False).lower()}")

    def _within(self, column: exp.Column, scope: Scope) -> Term | None:
        name = column.name
        if column.table:
            source = scope.sources.get(column.table)
            if source is None:
                return None
            return source.column(name) or op(f"missing {name}", source.relation.rows)
        having = [each for each in scope.sources.values() if name in each.relation.columns]
        if not having and name in scope.aliases:
            return scope.aliases[name]
        if not having and name in scope.sources:
            row = scope.sources[name].relation
            return op("row", row.rows, bag("of", *row.columns.values(), op("row")))
        having = having or [each for each in scope.sources.values() if each.relation.open]
        terms = [term for each in having if (term := each.column(name)) is not None]
        return bag("either", *terms) if terms else None
