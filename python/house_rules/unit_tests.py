"""Check the house rule of dbt unit tests: a unit test must set exactly the dbt vars that its model reads.

If a var is not set, the result of the unit test depends on dbt_project.yml, and the test fails in a project with other
values.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

from house_rules.sql import Finding

_MACRO = re.compile(r"\{%-?\s*macro\s+(\w+)\s*\(.*?\{%-?\s*endmacro\s*-?%\}", re.DOTALL)
_DIALECT = re.compile(r"^(?:default|duckdb|bigquery)__")
_CALL = re.compile(r"(?<![\w.])(\w+)\s*\(")
_VAR = re.compile(r"(?<!\w)var\s*\(\s*['\"](\w+)['\"]")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)


def check_unit_tests(files: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each unit test that does not set a var that its model reads, or sets another var.

    Args:
        files: the texts of the project's SQL and YAML files, by relative path with forward slashes.
    """
    reads = vars_by_model(files)
    for path, text in sorted(files.items()):
        if not (path.startswith("models/") and path.endswith(".yml") and "unit_tests:" in text):
            continue
        for test in (yaml.safe_load(text) or {}).get("unit_tests") or ():
            yield from _findings(path, text, test, reads.get(str(test.get("model")), frozenset()))


def vars_by_model(files: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return the dbt vars that each SQL model reads, directly or through macros, by name of the model."""
    macros: dict[str, str] = {}
    models: dict[str, str] = {}
    for path, text in files.items():
        plain = _COMMENT.sub("", text)
        if path.startswith("macros/"):
            for macro in _MACRO.finditer(plain):
                # A dispatched macro is called by its name without the dialect's prefix.
                name = _DIALECT.sub("", macro[1])
                macros[name] = macros.get(name, "") + macro[0]
        elif path.startswith("models/") and path.endswith(".sql"):
            models[PurePosixPath(path).stem] = plain
    return {name: frozenset(_vars(text, macros)) for name, text in models.items()}


def _vars(text: str, macros: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [text]
    while waiting:
        one = waiting.pop()
        found.update(_VAR.findall(one))
        called = {name for name in _CALL.findall(one) if name in macros} - seen
        seen |= called
        waiting += [macros[name] for name in called]
    return found


def _findings(
    path: str, text: str, test: Mapping[str, Any], wanted: frozenset[str]
) -> Iterator[Finding]:
    name = str(test.get("name"))
    stated = set((test.get("overrides") or {}).get("vars") or {})
    line = next(
        (number for number, row in enumerate(text.splitlines(), 1) if row.endswith(f": {name}")), 0
    )
    if wanted - stated:
        missing = ", ".join(sorted(wanted - stated))
        remedy = f"{name} depends on the vars {missing}: set these vars under overrides: vars:"
        yield Finding(path, line, "unit-test-vars", remedy)
    if stated - wanted:
        unread = ", ".join(sorted(stated - wanted))
        yield Finding(
            path,
            line,
            "unit-test-vars",
            f"{name} sets the vars {unread}, which the model does not read: remove these vars",
        )
