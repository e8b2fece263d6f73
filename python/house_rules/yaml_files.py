"""Check the house rules of models' YAML: type names, no repeated descriptions, unit tests beside their model."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import yaml

from house_rules.sql import Finding

#: The types that macros/dialect/column_types.sql translates for each engine.
TYPES = ("string", "int64", "float64", "timestamp")


def check_models_yaml(files: Mapping[str, str]) -> Iterator[Finding]:
    """Yield findings for columns with a wrong type name or a repeated description, and for misplaced unit tests.

    The YAML of marts may repeat descriptions, because `mart knowledge check --fix` writes it.

    Args:
        files: the texts of the project's files, by relative path with forward slashes.
    """
    said: dict[tuple[str, str], str] = {}
    for path, text in sorted(files.items()):
        if not (path.startswith("models/") and path.endswith(".yml")):
            continue
        document = yaml.safe_load(text) or {}
        for model in document.get("models") or ():
            for column in model.get("columns") or ():
                yield from _types(path, text, column)
                if not path.startswith("models/marts/"):
                    yield from _repeated(path, text, str(model.get("name")), column, said)
        yield from _unit_tests(path, text, document.get("unit_tests") or ())


def _types(path: str, text: str, column: Mapping[str, Any]) -> Iterator[Finding]:
    stated = column.get("data_type")
    if stated is not None and stated not in TYPES:
        remedy = f"{column['name']}: {stated!r} is a type of one engine only; use one of {', '.join(TYPES)}"
        yield Finding(path, _line(text, str(column["name"])), "column-type", remedy)


def _repeated(
    path: str,
    text: str,
    model: str,
    column: Mapping[str, Any],
    said: dict[tuple[str, str], str],
) -> Iterator[Finding]:
    name, description = str(column.get("name")), str(column.get("description") or "")
    if not description or "doc(" in description:
        return
    home = said.setdefault((name, description), model)
    if home != model:
        remedy = (
            f"{name} has the same description in {home}: pass the column on (config.meta.passes_on), or write a docs "
            "block in models/columns.md"
        )
        yield Finding(path, _line(text, name), "said-twice", remedy)


def _unit_tests(path: str, text: str, tests: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for test in tests:
        model = str(test.get("model"))
        if PurePosixPath(path).parent.name != model:
            remedy = (
                f"{test.get('name')} tests {model}: move the test to the YAML in the model's folder"
            )
            yield Finding(path, _line(text, str(test.get("name"))), "unit-test-place", remedy)


def _line(text: str, name: str) -> int:
    """Return the number of the line with the entry ``name``; 0 if there is no such entry."""
    found = re.compile(rf"(?:- |\{{)name: {re.escape(name)}\b")
    return next((n for n, line in enumerate(text.splitlines(), 1) if found.search(line)), 0)
