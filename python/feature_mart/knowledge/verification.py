"""Read which columns are verified by unit tests alone, without the oracle, and check that such tests exist.

The tests compare every column with the oracle in tests/oracle, unless the column, or its model for all columns, has
`verified_by: "unit tests"` in ``config.meta``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from feature_mart.knowledge.rationale import (
    UNIT_TESTS,
    VERIFIED_BY,
    Missing,
    meta_of,
    read_project,
    read_yaml,
)

#: The text on the site about a column that unit tests alone verify.
VERIFIED_ALONE = "by unit tests and generic tests, not by the oracle"
FIXTURES = "tests/fixtures"
#: The names of files with the expected rows of Python models, which dbt unit tests cannot run, end with this text.
_GOLDEN = "__expect"
_REF = re.compile(r"\bref\(\s*['\"](\w+)['\"]\s*\)")


class Verification:
    """The `verified_by` statements and unit tests of a project, and the references from each model to others.

    Args:
        files: the text of the project's models, by path.
        fixtures: the text of the CSV files of unit tests, by name without suffix.
    """

    def __init__(self, files: Mapping[str, str], fixtures: Mapping[str, str]) -> None:
        self._fixtures = fixtures
        self._reads: dict[str, frozenset[str]] = {}
        self._python: set[str] = set()
        self._paths: dict[str, str] = {}
        self._entries: dict[str, Mapping[str, Any]] = {}
        self._tests: dict[str, list[Mapping[str, Any]]] = {}
        for path, text in sorted(files.items()):
            pure = PurePosixPath(path)
            if pure.parts[0] != "models":
                continue
            if pure.suffix in {".sql", ".py"}:
                self._reads[pure.stem] = frozenset(_REF.findall(text))
                self._python |= {pure.stem} if pure.suffix == ".py" else set()
            elif pure.suffix == ".yml":
                document = read_yaml(text)
                for entry in _items(document, "models"):
                    self._entries[str(entry.get("name"))] = entry
                    self._paths[str(entry.get("name"))] = path
                for test in _items(document, "unit_tests"):
                    self._tests.setdefault(str(test.get("model")), []).append(test)

    def reads(self, model: str) -> frozenset[str]:
        """Return the models and seeds that a model reads, directly or through others."""
        found: set[str] = set()
        waiting = [model]
        while waiting:
            new = self._reads.get(waiting.pop(), frozenset()) - found
            found |= new
            waiting += new
        return frozenset(found)

    def alone(self, model: str) -> frozenset[str]:
        """Return the columns that unit tests alone verify, as stated by a model or by the models that it reads."""
        return frozenset(
            column for each in (model, *self.reads(model)) for column in self._stated(each)
        )

    def check(self) -> Iterator[Missing]:
        """Yield a finding for each `verified_by` that is not valid or that no unit test supports."""
        for model in sorted(self._entries):
            entry = self._entries[model]
            for column, value in ((None, _statement(entry)), *_columns(entry)):
                if value not in {None, UNIT_TESTS}:
                    what = f"meta.{VERIFIED_BY} is {value!r}: write {UNIT_TESTS!r}, or remove the key to use the oracle"
                    yield Missing(self._paths[model], column, what)
            for column in sorted(self._stated(model)):
                homes = (model, *self.reads(model))
                if not any(self._is_expected(home, column) for home in homes):
                    yield Missing(self._paths[model], column, self._unsupported(model))

    def _stated(self, model: str) -> frozenset[str]:
        entry = self._entries.get(model, {})
        columns = dict(_columns(entry))
        if _statement(entry) == UNIT_TESTS:
            # Leave out columns with a role, such as keys, because the statement of a model is about its features.
            has_role = {
                str(c.get("name")) for c in _items(entry, "columns") if "role" in meta_of(c)
            }
            return frozenset(columns.keys() - has_role)
        return frozenset(name for name, value in columns.items() if value == UNIT_TESTS)

    def _is_expected(self, model: str, column: str) -> bool:
        if model in self._python:
            golden = (text for name, text in self._fixtures.items() if name.endswith(_GOLDEN))
            return any(_has_value(_csv_rows(text), column) for text in golden)
        return any(self._gives(test, column) for test in self._tests.get(model, ()))

    def _gives(self, test: Mapping[str, Any], column: str) -> bool:
        expect = test.get("expect")
        expect = expect if isinstance(expect, dict) else {}
        rows = expect.get("rows")
        if expect.get("format") == "sql":
            return re.search(rf"\b{column}\b", str(rows)) is not None
        if expect.get("format") == "csv":
            text = self._fixtures.get(str(expect.get("fixture")), "") if rows is None else rows
            return _has_value(_csv_rows(str(text)), column)
        return _has_value([r for r in rows or () if isinstance(r, dict)], column)

    def _unsupported(self, model: str) -> str:
        said = f"meta.{VERIFIED_BY} says {UNIT_TESTS!r}, but"
        if model in self._python:
            return (
                f"{said} no file {FIXTURES}/*{_GOLDEN}.csv has a value for the column: add one, or remove the key and "
                "define the column in tests/oracle"
            )
        return (
            f"{said} no unit test of {model} gives the column a value in `expect` (dbt compares only the columns of "
            "the first row): write such a test, or remove the key and define the column in tests/oracle"
        )


def read_verification(project: Path) -> Verification:
    """Return the `verified_by` statements and the unit tests in a project's working tree."""
    fixtures = {
        path.stem: path.read_text(encoding="utf-8", errors="replace")
        for path in sorted((project / FIXTURES).glob("*.csv"))
    }
    return Verification(read_project(project), fixtures)


def _items(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = document.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _statement(entry: Mapping[str, Any]) -> Any:
    return meta_of(entry).get(VERIFIED_BY)


def _columns(entry: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(str(each.get("name")), _statement(each)) for each in _items(entry, "columns")]


def _csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.strip()), skipinitialspace=True))


def _has_value(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Return True if a row has a value in the column and the first row has the column.

    dbt compares only the columns of the first row.
    """
    return (
        bool(rows) and column in rows[0] and any(row.get(column) not in {None, ""} for row in rows)
    )
