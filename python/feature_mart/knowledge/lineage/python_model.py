"""Find what each column of a dbt Python model depends on, by removing the parts that the column does not need."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from feature_mart.knowledge.lineage.python_code import Module
from feature_mart.knowledge.lineage.python_constants import looped_over
from feature_mart.knowledge.lineage.sql_shapes import Facts, Summary
from feature_mart.knowledge.lineage.terms import Term, all_of, column_of, op, rows_of


@lru_cache(maxsize=512)
def summarise_python(
    code: str,
    facts: tuple[tuple[str, Facts], ...],
    names: tuple[str, ...],
    same_keys: tuple[str, str] | None,
) -> Summary:
    """Return the lineage of a Python model.

    Args:
        code: The module's source.
        facts: Pairs of name and facts for the models and seeds that the model reads.
        names: The model's columns from its YAML.
        same_keys: The other model and the key column of a test `same_keys_as`; None if there is no such test.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        whole = op(f"text {code}", *(all_of(name) for name, _ in facts))
        return Summary(dict.fromkeys(names, whole), whole, is_read=False)
    model = _Model(tree, dict(facts), names)
    columns = {name: model.column(name) for name in names}
    if same_keys is None:
        return Summary(columns, model.whole())
    target, key = same_keys
    return Summary({**columns, key: column_of(target, key)}, rows_of(target))


@lru_cache(maxsize=512)
def python_reads(code: str) -> tuple[str, ...]:
    """Return the distinct models and seeds that a Python model reads, sorted; none if the code does not parse."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return ()
    return tuple(sorted(set(_refs(tree))))


@lru_cache(maxsize=512)
def python_config(code: str) -> dict[str, object]:
    """Return the arguments of ``dbt.config`` in a Python model. A value that is not a literal becomes an AST dump."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return {}
    return {
        each.arg: each.value.value if isinstance(each.value, ast.Constant) else ast.dump(each.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "config"
        for each in node.keywords
        if each.arg is not None
    }


def _refs(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            last = node.args[-1] if node.func.attr == "ref" and node.args else None
            if isinstance(last, ast.Constant):
                yield str(last.value)


class _Model:
    """A Python model, which can be reduced to the parts that one column needs."""

    def __init__(self, tree: ast.Module, facts: dict[str, Facts], names: Sequence[str]) -> None:
        self._tree = tree
        self._facts = facts
        self._names = names
        self._loops = dict(_loops(tree))
        self._keys: dict[str | int, frozenset[str]] = {}
        self._plain = Module(tree, lambda _: False, self._frame)
        self._words = {word for text in _texts(tree) for word in re.findall(r"\w+", text)}
        self._words |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        self._sets = [(self._named(part), value) for part, value in _parts(tree)]
        self._differing = self._differs()

    def whole(self) -> Term:
        """Return the term of the whole module."""
        return self._plain.entry()

    def column(self, name: str) -> Term:
        """Return the term of the module without the parts that set only columns on which ``name`` does not depend."""
        kept, size = {name}, 0
        while size < len(kept):
            size = len(kept)
            for named, value in self._sets:
                if named & kept:
                    kept |= set(_texts(value)) & set(self._names)

        def is_left_out(part: ast.expr | str) -> bool:
            named = self._named(part)
            return bool(named) and not named & kept

        def entries(source: ast.expr) -> Term | None:
            found = looped_over(self._tree, source)
            named = [(each, _strings(each) & set(self._names)) for each in found or ()]
            if not any(names for _, names in named):
                return None
            left = [repr(each) for each, names in named if not names or names & kept]
            return op(f"entries {left}")

        # Include the name, because two columns that one loop sets would otherwise have equal terms.
        plain = self._plain, self._differing
        module = Module(self._tree, is_left_out, self._frame, entries, plain)
        return op(f"column {name}", module.entry())

    def _differs(self) -> frozenset[str]:
        """Return the names of definitions from which a part may be left out, and of definitions that use one."""
        uses: dict[str, set[str]] = {}
        found: set[str] = set()
        for statement in self._tree.body:
            names = [getattr(statement, "name", "")]
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                names = [each.id for each in ast.walk(statement) if isinstance(each, ast.Name)]
            used = {each.id for each in ast.walk(statement) if isinstance(each, ast.Name)}
            loops = [
                each.iter
                for each in ast.walk(statement)
                if isinstance(each, ast.For | ast.comprehension)
            ]
            is_cut = any(self._named(part) for part, _ in _parts(statement)) or any(
                _strings(looped_over(self._tree, each)) & set(self._names) for each in loops
            )
            for name in filter(None, names):
                uses.setdefault(name, set()).update(used)
                found |= {name} if is_cut else set()
        while more := {name for name, used in uses.items() if used & found} - found:
            found |= more
        return frozenset(found)

    def _frame(self, name: str) -> Term:
        """Return the term of a model that the module reads.

        The term has the columns whose names occur in the module, or all columns if none of the names occurs.
        """
        columns = self._facts.get(name, Facts(None)).columns
        read = [each for each in columns or () if each in self._words]
        if not read:
            return op("frame", all_of(name))
        return op("frame", rows_of(name), *(column_of(name, each) for each in read))

    def _named(self, part: ast.expr | str) -> frozenset[str]:
        """Return the columns that a key may name; empty if no column fits or the key's value is unknown."""
        key = part if isinstance(part, str) else id(part)
        if key not in self._keys:
            patterns = [part] if isinstance(part, str) else list(self._patterns(part))
            self._keys[key] = frozenset(
                name for name in self._names if any(re.fullmatch(each, name) for each in patterns)
            )
        return self._keys[key]

    def _patterns(self, part: ast.expr) -> Iterator[str]:
        if isinstance(part, ast.Constant):
            yield re.escape(str(part.value))
        elif isinstance(part, ast.JoinedStr):
            texts = [
                re.escape(str(each.value)) if isinstance(each, ast.Constant) else ".*"
                for each in part.values
            ]
            if any(each != ".*" for each in texts):
                yield "".join(texts)
        elif isinstance(part, ast.Name):
            for text in self._plain.texts(self._loops.get(id(part), "")):
                yield from self._patterns(text)


def _loops(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the uses of loop variables that iterate over a constant: ``id()`` of the node, and the constant's name."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.Module):
            continue
        inner = [each for child in _children(function) for each in child]
        constants: dict[str, str] = {}
        for node in inner:
            if not isinstance(node, ast.For | ast.comprehension):
                continue
            source = node.iter
            if isinstance(source, ast.Call) and isinstance(source.func, ast.Attribute):
                source = source.func.value
            if isinstance(source, ast.Name):
                for each in ast.walk(node.target):
                    if isinstance(each, ast.Name):
                        constants[each.id] = source.id
        for node in inner:
            if isinstance(node, ast.Name) and node.id in constants:
                yield id(node), constants[node.id]


def _children(function: ast.FunctionDef | ast.Module) -> Iterator[list[ast.AST]]:
    """Yield the nodes of each statement of a function or module, without the functions and classes defined there."""
    for statement in function.body:
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield list(ast.walk(statement))


def _strings(value: object) -> set[str]:
    if isinstance(value, tuple | list):
        return {text for each in value for text in _strings(each)}
    return {value} if isinstance(value, str) else set()


def _parts(tree: ast.AST) -> Iterator[tuple[ast.expr | str, ast.AST]]:
    """Yield the name and value of each assignment to an item, each dict entry and each keyword argument."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript):
                    yield target.slice, node.value
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is not None:
                    yield key, value
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg, node.value


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
