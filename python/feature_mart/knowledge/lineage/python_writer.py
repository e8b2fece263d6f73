"""Turn a Python function into a term: the function's statements, in which names are replaced by terms."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from feature_mart.knowledge.lineage.python_names import (
    COMPREHENSIONS,
    SCOPES,
    Function,
    arguments_by_name,
    defaults_of,
    is_text,
    local_names,
    parameters_of,
)
from feature_mart.knowledge.lineage.terms import Term, op

if TYPE_CHECKING:
    from feature_mart.knowledge.lineage.python_code import Module

#: AST fields that do not affect the result of the code.
_IDLE = {"ctx", "type_comment", "returns", "annotation", "kind", "type_params", "type_ignores"}
Known = dict[str, Callable[[], Term]]


class Writer:
    """Writes one function, or one module-level definition if `function` is None, as a term.

    Args:
        module: The module, in which names that are not local are looked up.
        function: The function to write.
        arguments: The term of each parameter, by name.
        live: The names that the function reads. Assignments to other local variables are left out.
    """

    def __init__(
        self,
        module: Module,
        function: Function | None,
        arguments: Mapping[str, Term],
        live: frozenset[str],
    ) -> None:
        self._module = module
        self._function = function
        self._live = live
        self.loaded: set[str] = set()
        self._known: Known = {}
        self._once, self._many = local_names(function) if function else (frozenset(), ())
        for at, name in enumerate(self._many):
            self._known[name] = _constant(op(f"local {at}"))
        for name, term in arguments.items():
            if name not in self._many:
                self._known[name] = _constant(term)
        self._rebound = [
            op(f"start {self._many.index(n)}", t) for n, t in arguments.items() if n in self._many
        ]

    def function(self) -> Term:
        """Return the function's term."""
        assert self._function is not None
        decorators = [op("decorator", self.key(each)) for each in self._function.decorator_list]
        names, arguments = parameters_of(self._function), self._function.args
        defaults = [
            op(f"default {names.index(name)}", self.key(value))
            for name, value in defaults_of(arguments)
            if name in self._live
        ]
        return op("body", *decorators, *defaults, *self._rebound, *self._block(self._function.body))

    def definition(self, statement: ast.stmt) -> Term:
        """Return the term of a module-level assignment or class."""
        if isinstance(statement, ast.ClassDef):
            return self._generic(statement, {"name"})
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if all(isinstance(each, ast.Name) for each in targets):
                return self.key(statement.value) if statement.value else op("declared")
        return self.key(statement)

    def _block(self, statements: list[ast.stmt]) -> Iterator[Term]:
        for statement in statements:
            yield from self._statement(statement)

    def _statement(self, statement: ast.stmt) -> Iterator[Term]:
        if is_text(statement) or isinstance(statement, ast.Pass):
            return
        if isinstance(statement, ast.AnnAssign):
            if statement.value is None:
                return
            statement = ast.Assign([statement.target], statement.value)
        if isinstance(statement, ast.Assign):
            yield from self._assigned(statement)
            return
        blocks = [
            (name, value)
            for name, value in ast.iter_fields(statement)
            if name in {"body", "orelse", "finalbody"} and not isinstance(statement, SCOPES)
        ]
        if not blocks:
            yield self.key(statement)
            return
        # Write the blocks first: if all of them are empty, leave out the condition or iterator as well.
        saved = set(self.loaded)
        written = [op(name, *self._block(value)) for name, value in blocks]
        is_idle = isinstance(statement, ast.If | ast.For) and not any(w.children for w in written)
        if is_idle:
            self.loaded = saved
            return
        head = self._generic(statement, {name for name, _ in blocks})
        yield op(type(statement).__name__, head, *written)

    def _assigned(self, statement: ast.Assign) -> Iterator[Term]:
        target, value = statement.targets[0], statement.value
        if len(statement.targets) == 1 and isinstance(target, ast.Tuple):
            pairs = value.elts if isinstance(value, ast.Tuple) else ()
            is_plain = not any(isinstance(each, ast.Starred) for each in (*target.elts, *pairs))
            if is_plain and len(pairs) == len(target.elts):
                for left, right in zip(target.elts, pairs, strict=True):
                    yield from self._assigned(ast.Assign([left], right))
                return
            if is_plain and all(
                isinstance(e, ast.Name) and e.id in self._once for e in target.elts
            ):
                for at, each in enumerate(target.elts):
                    assert isinstance(each, ast.Name)
                    self._known[each.id] = self._later(value, f"item {at}")
                return
        if len(statement.targets) == 1 and isinstance(target, ast.Name):
            if target.id in self._once:
                self._known[target.id] = self._later(value)
                return
            if target.id in self._many and target.id not in self._live:
                return
        if isinstance(target, ast.Subscript) and self._module.is_left_out(target.slice):
            return
        yield op("Assign", *(self.key(each) for each in statement.targets), self.key(value))

    def _later(self, value: ast.expr, label: str | None = None) -> Callable[[], Term]:
        """Return a function that writes an expression's term later, with the names that are known at this point."""
        known = dict(self._known)

        def write() -> Term:
            outer, self._known = self._known, known
            try:
                term = self.key(value)
            finally:
                self._known = outer
            return op(label, term) if label else term

        return write

    def key(self, node: ast.AST | None) -> Term:
        """Return the term of an expression or a simple statement."""
        if node is None:
            return op("none")
        if isinstance(node, ast.Name):
            self.loaded.add(node.id)
            if node.id in self._known:
                return self._known[node.id]()
            return self._module.name(node.id)
        if isinstance(node, ast.Constant):
            return op(f"constant {node.value!r}")
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Dict):
            return self._dict(node)
        if isinstance(node, ast.Lambda):
            return self._lambda(node)
        if isinstance(node, COMPREHENSIONS):
            return self._comprehension(node)
        if isinstance(node, SCOPES):
            names = parameters_of(node) if isinstance(node, Function) else []
            return self._bound(names, lambda: self._generic(node, {"name"}))
        return self._generic(node, set())

    def _generic(self, node: ast.AST, skipped: set[str]) -> Term:
        parts = []
        for name, value in ast.iter_fields(node):
            if name in _IDLE or name in skipped:
                continue
            for each in value if isinstance(value, list) else [value]:
                looped = name == "iter" and self._module.entries(each)
                if looped:
                    parts.append(op(name, looped))
                elif isinstance(each, ast.AST):
                    if not (isinstance(each, ast.stmt) and is_text(each)):
                        parts.append(op(name, self.key(each)))
                elif each is not None:
                    parts.append(op(f"{name}={each!r}"))
        return op(type(node).__name__, *parts)

    def _dict(self, node: ast.Dict) -> Term:
        return op(
            "Dict",
            *(
                op("item", self.key(key), self.key(value))
                for key, value in zip(node.keys, node.values, strict=True)
                if key is None or not self._module.is_left_out(key)
            ),
        )

    def _call(self, node: ast.Call) -> Term:
        if isinstance(node.func, ast.Attribute) and node.func.attr == "ref" and node.args:
            last = node.args[-1]
            if isinstance(last, ast.Constant):
                return self._module.frame(str(last.value))
        if isinstance(node.func, ast.Attribute) and node.func.attr == "config":
            return op("config")
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        function = self._module.function(name) if name not in self._known else None
        keywords = [
            k for k in node.keywords if k.arg is None or not self._module.is_left_out(k.arg)
        ]
        if function is None:
            places = [self.key(each) for each in node.args]
            named = sorted(keywords, key=lambda each: each.arg or "")
            pairs = [op(f"keyword {each.arg}", self.key(each.value)) for each in named]
            return op("Call", self.key(node.func), *places, *pairs)
        body = self._module.body(name)
        names = parameters_of(function)
        slots = arguments_by_name(node, names)
        if slots is not None and self._module.is_expression(name):
            given = {each: self.key(value) for each, value in slots.items() if each in body.needed}
            rest = dict(defaults_of(function.args))
            given |= {
                each: self.key(rest[each])
                for each in body.needed
                if each not in given and each in rest
            }
            if set(given) >= body.needed:
                return (
                    self._module.with_arguments(function, given)
                    .term.children[0]
                    .children[0]
                    .children[0]
                )
        if slots is not None:
            written = [
                op(f"argument {names.index(each)}", self.key(value))
                for each, value in sorted(slots.items(), key=lambda item: names.index(item[0]))
                if each in body.needed
            ]
            return op("Call", body.term, *written)
        return op("Call", body.term, *self._starred(node, names, body.needed))

    def _starred(self, node: ast.Call, names: list[str], needed: frozenset[str]) -> Iterator[Term]:
        """Yield the needed arguments of a call whose arguments cannot be matched by name, such as a call with ``*``.

        Arguments before the first ``*`` belong to the first parameters, and those after the last ``*`` to the last.
        """
        stars = [at for at, each in enumerate(node.args) if isinstance(each, ast.Starred)]
        for at, each in enumerate(node.args):
            behind = len(node.args) - at
            is_last = stars and at > stars[-1] and behind <= len(names)
            place = names[-behind] if is_last else names[at] if stars and at < stars[0] else None
            if place is None or place in needed:
                yield op("argument", self.key(each))
        for keyword in node.keywords:
            if keyword.arg is None or keyword.arg in needed or keyword.arg not in names:
                label = names.index(keyword.arg) if keyword.arg in names else keyword.arg
                yield op(f"argument {label}", self.key(keyword.value))

    def _lambda(self, node: ast.Lambda) -> Term:
        return self._bound(parameters_of(node), lambda: op("Lambda", self.key(node.body)))

    def _comprehension(self, node: ast.expr) -> Term:
        names = [
            each.id
            for generator in node.generators  # type: ignore[attr-defined]
            for each in ast.walk(generator.target)
            if isinstance(each, ast.Name)
        ]
        return self._bound(names, lambda: self._generic(node, set()))

    def _bound(self, names: list[str], write: Callable[[], Term]) -> Term:
        """Return the term that `write` returns, with the given names replaced by numbered placeholders.

        The names belong to an inner scope, so reading them does not count as reading the function's variables.
        """
        outer, loaded = self._known, set(self.loaded)
        self._known = {**outer, **{n: _constant(op(f"bound {at}")) for at, n in enumerate(names)}}
        try:
            return write()
        finally:
            self._known = outer
            self.loaded = loaded | {each for each in self.loaded if each not in names}


def _constant(term: Term) -> Callable[[], Term]:
    return lambda: term
