"""Find the names in a Python function: parameters, arguments of calls, and local variables."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

Function = ast.FunctionDef | ast.AsyncFunctionDef
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


def is_text(statement: ast.stmt) -> bool:
    """Return True if a statement is only a constant, such as a docstring."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def parameters_of(function: Function | ast.Lambda) -> list[str]:
    """Return the names of a function's parameters; ``*args`` and ``**kwargs`` are last."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [each.arg for each in (*named, arguments.vararg, arguments.kwarg) if each is not None]


def defaults_of(arguments: ast.arguments) -> list[tuple[str, ast.expr]]:
    """Return pairs of name and default value for the parameters that have one."""
    places = [*arguments.posonlyargs, *arguments.args]
    last = places[len(places) - len(arguments.defaults) :]
    found = [(each.arg, value) for each, value in zip(last, arguments.defaults, strict=True)]
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return found + [(each.arg, value) for each, value in pairs if value is not None]


def arguments_by_name(node: ast.Call, names: list[str]) -> dict[str, ast.expr] | None:
    """Return a call's arguments by parameter name, or None if they cannot be matched, for example because of ``*``."""
    if any(isinstance(each, ast.Starred) for each in node.args) or len(node.args) > len(names):
        return None
    found = dict(zip(names, node.args, strict=False))
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg not in names:
            return None
        found[keyword.arg] = keyword.value
    return found


@lru_cache(maxsize=1024)
def local_names(function: Function) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the names of a function's local variables in two groups.

    The first group has the variables that are assigned once and never mutated, so that each use can be replaced by the
    value. The second group has all others, in order of assignment.
    """
    count: dict[str, int] = dict.fromkeys(parameters_of(function), 1)
    changed: set[str] = set()
    order: list[str] = []
    for node in own_nodes(function.body):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            count[node.id] = count.get(node.id, 0) + 1
            order.append(node.id)
        elif isinstance(
            node, ast.AugAssign | ast.For | ast.AsyncFor | ast.withitem | ast.NamedExpr
        ):
            target = node.optional_vars if isinstance(node, ast.withitem) else node.target
            changed |= (
                {each.id for each in ast.walk(target) if isinstance(each, ast.Name)}
                if target
                else set()
            )
        elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(
            node.ctx, ast.Store | ast.Del
        ):
            changed |= {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            # A call whose result is not used may mutate its object and its arguments.
            changed |= {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
    own = list(dict.fromkeys(order))
    names = set(parameters_of(function))
    once = frozenset(each for each in own if count[each] == 1 and each not in changed | names)
    return once, tuple(each for each in own if each not in once)


def own_nodes(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the nodes of statements in source order, but not those inside comprehensions, functions and classes."""
    stack: list[ast.AST] = list(reversed(statements))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (*SCOPES, *COMPREHENSIONS)):
            stack += reversed(list(ast.iter_child_nodes(node)))
