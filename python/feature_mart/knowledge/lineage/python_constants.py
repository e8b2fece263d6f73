"""Evaluate constants of a Python module without running it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

_VIEWS: dict[str, Callable[[dict[Any, Any]], Any]] = {
    "items": lambda value: list(value.items()),
    "keys": list,
    "values": lambda value: list(value.values()),
}
_MOST = 10_000


class _NotConstantError(Exception):
    """Raised if the value of an expression does not follow from the module's text."""


def looped_over(tree: ast.Module, source: ast.expr) -> list[Any] | None:
    """Return the values that a loop iterates over, or None if they are not a constant of the module."""
    inner = (
        source.func.value
        if isinstance(source, ast.Call) and isinstance(source.func, ast.Attribute)
        else source
    )
    if not isinstance(inner, ast.Name) or inner.id not in _assigned(tree):
        return None
    try:
        value = _value(source, tree, {}, frozenset())
    except (_NotConstantError, TypeError, ValueError, LookupError, RecursionError):
        return None
    return list(value) if isinstance(value, list | tuple | dict) else None


@lru_cache(maxsize=64)
def _assigned(tree: ast.Module) -> dict[str, ast.expr]:
    """Return the expression that is assigned to each module-level name, for names that are assigned exactly once."""
    found: dict[str, list[ast.expr]] = {}
    for statement in tree.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(statement.value)
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _value(node: ast.expr, tree: ast.Module, names: Mapping[str, Any], busy: frozenset[str]) -> Any:
    def of(each: ast.expr) -> Any:
        return _value(each, tree, names, busy)

    match node:
        case ast.Constant():
            return node.value
        case ast.Name() if node.id in names:
            return names[node.id]
        case ast.Name() if node.id in _assigned(tree) and node.id not in busy:
            return _value(_assigned(tree)[node.id], tree, {}, busy | {node.id})
        case ast.JoinedStr():
            return "".join(str(of(each)) for each in node.values)
        case ast.FormattedValue() if node.format_spec is None and node.conversion == -1:
            return of(node.value)
        case ast.Tuple() | ast.List():
            found: list[Any] = []
            for each in node.elts:
                found += of(each.value) if isinstance(each, ast.Starred) else [of(each)]
            return tuple(found)
        case ast.Dict():
            made: dict[Any, Any] = {}
            for key, value in zip(node.keys, node.values, strict=True):
                made |= of(value) if key is None else {of(key): of(value)}
            return made
        case ast.DictComp(generators=[one]) if isinstance(one.target, ast.Name) and not one.ifs:
            rows = [{**names, one.target.id: each} for each in list(of(one.iter))[:_MOST]]
            return {
                _value(node.key, tree, row, busy): _value(node.value, tree, row, busy)
                for row in rows
            }
        case ast.Call(func=ast.Attribute(attr=attr)) if attr in _VIEWS and not node.args:
            return _VIEWS[attr](of(node.func.value))  # type: ignore[attr-defined]
        case ast.Call(func=ast.Attribute(value=ast.Name(id="dict"), attr="fromkeys")):
            return dict.fromkeys(*(of(each) for each in node.args))
    raise _NotConstantError
