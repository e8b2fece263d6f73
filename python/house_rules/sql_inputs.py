"""Find the files on which the rendered SQL of a file depends, without dbt."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Self

import yaml

#: The folders whose files may affect rendered SQL.
SQL_FOLDERS = ("models/", "macros/", "analyses/", "seeds/", "tests/generic/", "tests/singular/")
SETTINGS = (
    "dbt_project.yml",
    "profiles/",
    ".sqlfluff",
    "python/house_rules/",
    "python/feature_mart/bigquery/",
    "python/feature_mart/runner/offline_bigquery.py",
    "requirements",
    "pyproject.toml",
)
NAMED = ("models/", "seeds/", "analyses/", "tests/singular/")

_WORD = re.compile(r"\w+")
_DEFINED = re.compile(r"\{%-?\s*(?:macro|test|materialization)\s+(\w+)")
_DIALECT = re.compile(r"^(?:default|duckdb|bigquery)__")
_CONFIG = re.compile(r"\{\{-?\s*config\s*\(.*?\)\s*-?\}\}", re.DOTALL)
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
# Patterns of SQL that reads properties in YAML: _READS_ALL those of all models, _READS_OWN those of the model itself.
_READS_ALL = re.compile(r"\bgraph\b")
_READS_OWN = re.compile(r"\bmodel\s*[.\[]|\bconfig\s*\.")


class SqlInputs:
    """The texts of the project's files, with which :meth:`key` finds out what a rendered file depends on.

    A file depends on the macros that it mentions by name, and on the macros that those macros mention. It also depends
    on the names and settings of all models, because ``ref`` renders them, on the project's settings, and on the YAML of
    the models whose properties the SQL reads. A macro that no file mentions overrides a macro of dbt, so every file
    depends on it.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    @classmethod
    def read(cls, paths: Iterable[str]) -> Self:
        """Return the inputs of the project in the working folder.

        Args:
            paths: the project's files. Files that no SQL depends on are ignored.
        """
        return cls(
            {
                path: Path(path).read_text(encoding="utf-8", errors="replace")
                for path in paths
                if path.startswith((*SQL_FOLDERS, *SETTINGS)) and not path.endswith((".md", ".csv"))
            }
        )

    def key(self, path: str) -> str:
        """Return a hash that changes whenever the rendered SQL of a file may change."""
        reached = self._reached(self._texts[path])
        parts = [path, self._texts[path], self._shared, *(self._texts[file] for file in reached)]
        sql = "\n".join(_COMMENT.sub("", part) for part in (self._texts[path], *parts[3:]))
        if _READS_ALL.search(sql):
            parts.append(self._everything)
        elif _READS_OWN.search(sql):
            parts.append(self._texts.get(PurePosixPath(path).with_suffix(".yml").as_posix(), ""))
        return _digest(parts)

    def _reached(self, text: str) -> list[str]:
        found: set[str] = set()
        waiting = set(_WORD.findall(text))
        while waiting:
            files = {file for word in waiting for file in self._homes.get(word, ())} - found
            found |= files
            waiting = set().union(*(self._words[file] for file in files))
        return sorted(found)

    @cached_property
    def _words(self) -> dict[str, set[str]]:
        return {
            path: set(_WORD.findall(text))
            for path, text in self._texts.items()
            if path.startswith("macros/")
        }

    @cached_property
    def _homes(self) -> dict[str, set[str]]:
        """Return the files that define each macro, by the name by which the macro is called."""
        homes: dict[str, set[str]] = {}
        for path in self._words:
            for name in _DEFINED.findall(self._texts[path]):
                homes.setdefault(_DIALECT.sub("", name), set()).add(path)
        return homes

    @cached_property
    def _shared(self) -> str:
        called: set[str] = set()
        for path, text in self._texts.items():
            if path.endswith((".sql", ".yml")):
                called.update(_WORD.findall(_DEFINED.sub("", text)))
        implicit = {
            file for name, files in self._homes.items() if name not in called for file in files
        }
        always = [path for path in self._texts if path.startswith(SETTINGS) or path in implicit]
        return _digest(
            [*(f"{path}\n{self._texts[path]}" for path in sorted(always)), *self._settings()]
        )

    @cached_property
    def _everything(self) -> str:
        return _digest(f"{path}\n{text}" for path, text in sorted(self._texts.items()))

    def _settings(self) -> Iterator[str]:
        """Yield a text for each file with nodes: the nodes' names, and the settings that decide their relations."""
        for path, text in sorted(self._texts.items()):
            if not path.startswith(NAMED):
                continue
            if path.endswith(".yml"):
                yield f"{path} {_configured(text)}"
            else:
                configs = " ".join(_CONFIG.findall(text))
                # The SQL of an ephemeral model is rendered inside the models that read it.
                body = text if "ephemeral" in configs else ""
                yield f"{PurePosixPath(path).name} {configs} {body}"


def _configured(text: str) -> list[Any]:
    """Return the settings of the nodes in a YAML file, without documentation and tests."""
    document = yaml.load(text, Loader=yaml.CSafeLoader) or {}
    found = []
    for kind, nodes in sorted(document.items()):
        for node in nodes if isinstance(nodes, list) and kind != "unit_tests" else ():
            config = {**(node.get("config") or {})}
            config.pop("meta", None)
            found.append(
                (kind, node.get("name"), sorted(config.items(), key=str), node.get("versions"))
            )
    return found


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
