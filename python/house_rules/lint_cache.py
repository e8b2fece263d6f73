"""Cache results of ``make lint``: the checks that passed, and the files in which a check by file found nothing.

Only passed results are kept, with a hash of everything that the result depends on. The folder ``.lint_cache`` may be
deleted at any time.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from feature_mart.core.files import write_whole
from house_rules.lint_checks import Check, Outcome
from house_rules.project_files import hash_files, imported_files, inputs_key, project_files
from house_rules.sql_inputs import SqlInputs
from house_rules.sqlfluff import LINTED

FOLDER = Path(".lint_cache")
_LINTED = tuple(f"{folder}/" for folder in LINTED)
#: The files and folders that declare the columns and tests of several SQL files, or of a table that has no SQL file.
_DECLARING = ("models/", "seeds/", "tests/fixtures/", "python/feature_mart/core/raw_contract.py")


class Kept:
    """The cached results of earlier runs on the project in the working folder."""

    def __init__(self) -> None:
        files = project_files()
        inputs = SqlInputs.read(files)
        self._hashes = hash_files(files)
        self._sql = {
            path: inputs.key(path)
            for path in files
            if path.endswith(".sql") and path.startswith((*_LINTED, "tests/generic/"))
        }

    def holds(self, check: Check) -> bool:
        """Return True if a check has passed on the present content of the files."""
        if check.by_file:
            return not self.unread(check)
        key = self._key(check)
        return key is not None and _read("passed").get(check.name) == key

    def unread(self, check: Check) -> list[str]:
        """Return the SQL files that a check has to read: the files whose present content has not passed yet.

        For a check that is not by file, return all SQL files.
        """
        clean = _read(check.name) if check.by_file else {}
        return [path for path, key in self._file_keys(check).items() if clean.get(path) != key]

    def keep(self, outcome: Outcome, paths: Sequence[str]) -> None:
        """Cache that a check passed or, for a check by file, in which of the files ``paths`` it found nothing.

        ``paths`` are the SQL files that a check by file was given. Files with findings are removed from the cache, even
        if they are not in ``paths``, because a changed file may break the files that depend on it. Nothing is cached if
        the check failed without a finding in a SQL file. A check that is not by file must have read all its inputs.
        """
        check = outcome.check
        if check.by_file and outcome.code in (0, 1):
            keys = self._file_keys(check)
            found = {line.partition(":")[0] for line in outcome.output.splitlines()}
            others = keys.keys() - found
            if outcome.code == 0 or found & keys.keys():
                clean = _read(check.name) | {path: keys[path] for path in paths}
                _write(check.name, {path: clean[path] for path in clean.keys() & others})
        elif outcome.code == 0 and (key := self._key(check)) is not None:
            _write("passed", _read("passed") | {check.name: key})

    def _file_keys(self, check: Check) -> dict[str, str]:
        """Return, by path, a hash of everything that the check's result for the file depends on."""
        if not check.reads_parents:
            return {path: key for path, key in self._sql.items() if path.startswith(_LINTED)}
        others = [
            path
            for path in self._hashes
            if path.startswith(_DECLARING) and not path.endswith((".sql", ".md"))
            if path.removesuffix("yml") + "sql" not in self._sql
        ]
        shared = inputs_key(others, self._hashes)
        return {
            path: key + shared + self._hashes.get(path.removesuffix("sql") + "yml", "")
            for path, key in self._sql.items()
        }

    def _key(self, check: Check) -> str | None:
        if not check.inputs:
            return None
        patterns = [one for one in check.inputs if not one.startswith("module:")]
        for module in set(check.inputs) - set(patterns):
            patterns += imported_files(module.removeprefix("module:"))
        return inputs_key(patterns, self._hashes)


def _read(name: str) -> dict[str, str]:
    try:
        found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(name: str, keys: Mapping[str, str]) -> None:
    content = json.dumps(dict(sorted(keys.items())), indent=0)
    write_whole(FOLDER / f"{name}.json", content.encode())
