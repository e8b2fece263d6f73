"""Represent the dependencies of a column as a graph of terms, in which equal subgraphs are one object."""

from __future__ import annotations

import hashlib
from collections.abc import Callable


class Term:
    """A node of the graph.

    `kind` is ``op`` (ordered children), ``bag`` (unordered children) or one of three leaves that refer to the model
    `model`: ``col`` (the column `label`), ``rows`` (the set of the model's rows) and ``all`` (the whole model).
    """

    __slots__ = ("children", "kind", "label", "model")

    def __init__(self, kind: str, label: str, model: str, children: tuple[Term, ...]) -> None:
        self.kind = kind
        self.label = label
        self.model = model
        self.children = children


_known: dict[tuple[object, ...], Term] = {}


def _term(kind: str, label: str, model: str, children: tuple[Term, ...]) -> Term:
    """Return the term with these parts. Equal terms are one object, so that each term is hashed only once."""
    key = (kind, label, model, *map(id, children))
    found = _known.get(key)
    if found is None:
        found = _known[key] = Term(kind, label, model, children)
    return found


def op(label: str, *children: Term) -> Term:
    """Return a term with ordered children."""
    return _term("op", label, "", children)


def bag(label: str, *children: Term) -> Term:
    """Return a term with unordered children. Children that are bags with the same label are replaced by their children.

    If there is only one child, return this child.
    """
    flat: list[Term] = []
    for child in children:
        is_same = child.kind == "bag" and child.label == label
        flat += child.children if is_same else (child,)
    return flat[0] if len(flat) == 1 else _term("bag", label, "", tuple(sorted(flat, key=id)))


def column_of(model: str, name: str) -> Term:
    """Return the leaf that refers to a model's column."""
    return _term("col", name, model, ())


def rows_of(model: str) -> Term:
    """Return the leaf that refers to the set of a model's rows."""
    return _term("rows", "", model, ())


def all_of(model: str) -> Term:
    """Return the leaf that refers to a whole model: its columns and its rows."""
    return _term("all", "", model, ())


def text_digest(text: str) -> str:
    """Return a short hash of a text."""
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


class Digests:
    """Computes and caches digests of terms. `leaf` is a function that returns the digest of a leaf."""

    def __init__(self, leaf: Callable[[Term], str]) -> None:
        self._leaf = leaf
        self._known: dict[Term, str] = {}

    def of(self, term: Term) -> str:
        """Return the digest of a term. The code is not recursive, because terms can exceed Python's recursion limit."""
        known = self._known
        stack = [term]
        while stack:
            at = stack[-1]
            if at in known:
                stack.pop()
                continue
            if at.kind not in {"op", "bag"}:
                known[at] = self._leaf(at)
                stack.pop()
                continue
            open_children = [child for child in at.children if child not in known]
            if open_children:
                stack += open_children
                continue
            below = [known[child] for child in at.children]
            if at.kind == "bag":
                below.sort()
            known[at] = text_digest("|".join((at.kind, at.label, *below)))
            stack.pop()
        return known[term]
