"""Render the mart's pure SQL macros without dbt, for tests that run the SQL on tables of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

PROJECT = Path(__file__).resolve().parents[2]


class _Adapter:
    """A stand-in for dbt's adapter. It dispatches a macro to the first dialect that implements the macro."""

    def __init__(self, macros: dict[str, Any], dialects: tuple[str, ...]) -> None:
        self._macros = macros
        self._dialects = dialects

    def dispatch(self, name: str) -> Callable[..., str]:
        for dialect in self._dialects:
            if f"{dialect}__{name}" in self._macros:
                found: Callable[..., str] = self._macros[f"{dialect}__{name}"]
                return found
        raise LookupError(name)


def load_macros(
    *dialects: str, given: Mapping[str, object] | None = None, **context: object
) -> dict[str, Callable[..., str]]:
    """Return the macros in the folders dialect, expressions, point_in_time and quality, by name.

    Args:
        dialects: names of dialects in order of preference, before ``default``.
        given: dbt vars, in place of those of the project.
        context: names that dbt would define in the Jinja context, such as ``is_incremental`` or ``run_query``.
    """
    variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    variables |= given or {}
    macros: dict[str, Any] = {}
    environment = jinja2.Environment(
        extensions=["jinja2.ext.do"], undefined=jinja2.StrictUndefined, trim_blocks=False
    )
    environment.globals.update(
        adapter=_Adapter(macros, (*dialects, "default")),
        var=lambda name: variables[name],
        ref=str,
        **{"return": lambda value: value},
        **context,
    )
    # Read the files twice, because the macros of a file see only macros that existed when the file was read.
    for _ in range(2):
        for folder in ("dialect", "expressions", "point_in_time", "quality"):
            for path in sorted((PROJECT / "macros" / folder).glob("*.sql")):
                environment.globals.update(macros)
                module = environment.from_string(path.read_text()).module
                for name in dir(module):
                    if not name.startswith("_"):
                        macros[name] = _stripped(getattr(module, name))
    return macros


def _stripped(macro: Callable[..., Any]) -> Callable[..., str]:
    return lambda *args, **kwargs: str(macro(*args, **kwargs)).strip()
