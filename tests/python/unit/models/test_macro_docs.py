"""Test that the macros' YAML, which dbt's site shows, describes each macro and each argument of the macro."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest
import yaml
from jinja2 import nodes

from compiled_mart import PROJECT

FOLDERS = sorted(path for path in (PROJECT / "macros").iterdir() if path.is_dir())
_VARIANT = re.compile(r"(?:default|duckdb|bigquery)__(\w+)")


def read_arguments(folder: Path) -> dict[str, list[str]]:
    """Return the argument names of each macro in a folder's SQL files, by macro name."""
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    return {
        macro.name: [argument.name for argument in macro.args]
        for path in sorted(folder.glob("*.sql"))
        for macro in environment.parse(path.read_text(encoding="utf-8")).find_all(nodes.Macro)
    }


def written_macros(folder: Path) -> dict[str, list[str]]:
    """Return the macros of a folder with their arguments, without the variants of a macro that dispatches to them.

    A variant of one of dbt's own macros replaces dbt's macro, so the variant counts as a macro.
    """
    found = read_arguments(folder)
    return {
        name: arguments
        for name, arguments in found.items()
        if not ((variant := _VARIANT.match(name)) and variant[1] in found)
    }


def described_macros(folder: Path) -> dict[str, list[str]]:
    """Return the described argument names of each macro in a folder's YAML files, by macro name.

    Check that each macro has a description that ends with a period.
    """
    described = [
        macro
        for path in sorted(folder.glob("*.yml"))
        for macro in yaml.safe_load(path.read_text(encoding="utf-8"))["macros"]
    ]
    for macro in described:
        assert macro["description"].endswith("."), macro["name"]
    return {
        macro["name"]: [argument["name"] for argument in macro.get("arguments", ())]
        for macro in described
    }


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_macro_is_described_with_its_arguments(folder: Path) -> None:
    assert described_macros(folder) == written_macros(folder)
