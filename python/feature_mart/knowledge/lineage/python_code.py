"""Turn a Python module into terms that do not depend on the layout of the module or on the names that it defines."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from feature_mart.knowledge.lineage.python_names import (
    Function,
    is_text,
    own_nodes,
    parameters_of,
)
from feature_mart.knowledge.lineage.python_writer import Writer
from feature_mart.knowledge.lineage.terms import Term, op

#: The key of module-level statements that define no name.
_EFFECT = "module statement"


@dataclass(frozen=True, slots=True)
class Body:
    """A function's term, and the names of the parameters that the function reads (`needed`)."""

    term: Term
    needed: frozenset[str]


class Module:
    """The functions, classes and constants that a module defines, as terms.

    Args:
        tree: The syntax tree of the module.
        is_left_out: Called with the name of each assignment (``x["name"] = …``), dict entry (``{"name": …}``) and
            keyword argument (``f(name=…)``): an expression, or a str for a keyword. Returns True to leave the item out.
        frame: Called with the name of a model or seed; returns the term of ``dbt.ref(name)``.
        entries: Called with the iterable of a loop. If the iterable is a constant of which only some entries are
            needed, returns the term of these entries, else None.
        plain: The complete module, and the names of the definitions that differ in this one. The terms of all other
            definitions are reused from the complete module. None if this is the complete module.
    """

    def __init__(
        self,
        tree: ast.Module,
        is_left_out: Callable[[ast.expr | str], bool],
        frame: Callable[[str], Term],
        entries: Callable[[ast.expr], Term | None] = lambda _: None,
        plain: tuple[Module, frozenset[str]] | None = None,
    ) -> None:
        self._plain = plain
        self.is_left_out = is_left_out
        self.entries = entries
        self._frame = frame
        self._functions: dict[str, Function] = {}
        self._others: dict[str, list[ast.stmt]] = {}
        self._imports: dict[str, str] = {}
        self._bodies: dict[str, Body] = {}
        self._terms: dict[str, Term] = {}
        self._busy: set[str] = set()
        for statement in tree.body:
            self._define(statement)

    def _define(self, statement: ast.stmt) -> None:
        if isinstance(statement, Function):
            self._functions[statement.name] = statement
        elif isinstance(statement, ast.ClassDef):
            self._others.setdefault(statement.name, []).append(statement)
        elif isinstance(statement, ast.Import):
            for each in statement.names:
                self._imports[each.asname or each.name.split(".")[0]] = each.name
        elif isinstance(statement, ast.ImportFrom):
            for each in statement.names:
                self._imports[each.asname or each.name] = f"{statement.module}.{each.name}"
        elif not is_text(statement):
            names = [
                node.id
                for node in own_nodes([statement])
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            ]
            for name in names or [_EFFECT]:
                self._others.setdefault(name, []).append(statement)

    def entry(self) -> Term:
        """Return the term of the function ``model``, with the module-level statements that define no name."""
        made = self.body("model").term if "model" in self._functions else op("no model")
        return op("module", made, self.other(_EFFECT)) if _EFFECT in self._others else made

    def function(self, name: str) -> Function | None:
        """Return the function ``name`` of the module, or None if there is no such function."""
        return self._functions.get(name)

    def body(self, name: str) -> Body:
        """Return a function's term and the parameters that it reads. A recursive call becomes the term ``itself``."""
        if self._plain is not None and name not in self._plain[1]:
            return self._plain[0].body(name)
        if name in self._busy:
            return Body(op("itself"), frozenset(parameters_of(self._functions[name])))
        if name not in self._bodies:
            self._busy.add(name)
            function = self._functions[name]
            names = parameters_of(function)
            arguments = {each: op(f"parameter {at}") for at, each in enumerate(names)}
            self._bodies[name] = self.with_arguments(function, arguments)
            self._busy.discard(name)
        return self._bodies[name]

    def with_arguments(self, function: Function, arguments: Mapping[str, Term]) -> Body:
        """Return a function's term with the given terms in place of the parameters.

        Assignments to names that nothing reads are left out. Which names are read depends on the assignments that are
        left out, so the term is computed repeatedly until the set of names does not change.
        """
        live: frozenset[str] = frozenset()
        while True:
            writer = Writer(self, function, arguments, live)
            term = writer.function()
            if writer.loaded <= live:
                return Body(term, frozenset(writer.loaded & set(parameters_of(function))))
            live |= writer.loaded

    def is_expression(self, name: str) -> bool:
        """Return True if a function only returns an expression and has no decorators, ``*args`` or ``**kwargs``."""
        arguments = self._functions[name].args
        if arguments.vararg or arguments.kwarg or self._functions[name].decorator_list:
            return False
        term = self.body(name).term
        return len(term.children) == 1 and term.children[0].label == "Return"

    def other(self, name: str) -> Term:
        """Return the term of a constant or class of the module."""
        if self._plain is not None and name not in self._plain[1]:
            return self._plain[0].other(name)
        if name not in self._terms:
            if name in self._busy:
                return op("itself")
            self._busy.add(name)
            writer = Writer(self, None, {}, frozenset())
            self._terms[name] = op("defined", *map(writer.definition, self._others[name]))
            self._busy.discard(name)
        return self._terms[name]

    def name(self, name: str) -> Term:
        """Return the term of a module-level, imported or built-in name."""
        if name in self._functions:
            return op("function", self.body(name).term)
        if name in self._others:
            return self.other(name)
        if name in self._imports:
            return op(f"import {self._imports[name]}")
        return op(f"{'built in' if hasattr(builtins, name) else 'name'} {name}")

    def frame(self, name: str) -> Term:
        """Return the term of ``dbt.ref(name)``."""
        return self._frame(name)

    def texts(self, name: str, seen: frozenset[str] = frozenset()) -> list[ast.expr]:
        """Return the string expressions in a constant and in the constants to which it refers."""
        found: list[ast.expr] = []
        seen |= {name}
        for statement in self._others.get(name, ()):
            for node in ast.walk(statement):
                if isinstance(node, ast.JoinedStr) or (
                    isinstance(node, ast.Constant) and isinstance(node.value, str)
                ):
                    found.append(node)
                elif isinstance(node, ast.Name) and node.id in self._others.keys() - seen:
                    found += self.texts(node.id, seen)
        return found
