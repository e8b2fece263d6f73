"""Read the vars of dbt_project.yml and check them before dbt starts."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from feature_mart.core.errors import UsageError
from feature_mart.core.raw_contract import CONTRACT
from feature_mart.core.zones import load_zone

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "business_timezone": "Asia/Tokyo",
        "refresh_hour": 3,
        "publish_lag_minutes": 60,
        "as_of": "",
        "warehouse": "sample",
        "overwritten_sources": (),
        "snapshot_at": "",
        "currency": "JPY",
        "history_start": "",
        "price_label_lag_days": 0,
        "hire_label_lag_days": 0,
        "term_prior_count": 20,
        "lift_prior_count": 5,
        "profile_days": 28,
        "profile_rows": 100,
        "share_days": 393,
    }
)
_TEN_YEARS = 3650
#: Folders and suffixes of the files in which a var may be read.
_READERS = ("models", "macros", "tests", "analyses", "seeds", "snapshots")
_ENDINGS = frozenset({".sql", ".yml", ".yaml", ".py", ".md"})
#: Folders and suffixes of the files whose vars may decide a value of the mart.
_MAKERS = ("models", "macros", "seeds", "snapshots")
_MAKER_ENDINGS = frozenset({".sql", ".yml", ".yaml"})
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_JINJA_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_VAR = re.compile(r"(?<![\w.])var\s*\(\s*(?:(['\"])(?P<name>\w+)\1\s*(?P<end>[,)]))?")


@dataclass(frozen=True, slots=True)
class OwnVar:
    """A var that the project reads and that is not in `DEFAULTS`.

    `path` is a file that reads the var. `name` is empty if the file computes the name of the var. `value` is None
    and `is_set` False if dbt_project.yml does not set the var. `reason` is the comment beside the var in
    dbt_project.yml, empty if there is none.
    """

    name: str
    path: str
    value: Any
    is_set: bool
    reason: str


def read_vars(project: Path) -> dict[str, Any]:
    """Return the value of every var in `DEFAULTS`, from dbt_project.yml or by default.

    ``project`` is the folder of dbt_project.yml.

    Raises:
        UsageError: dbt_project.yml is not valid YAML or has no settings, a value is not valid, dbt_project.yml sets a
            var that no file of the project reads, or it does not set a var of `DEFAULTS` that a file reads without a
            default.
    """
    path = project / "dbt_project.yml"
    given = _given(path)
    absent = [name for name in DEFAULTS if name not in given]
    unknown = [
        name
        for name, value in given.items()
        # A mapping holds the vars of a dbt package, under the package's name.
        if name not in DEFAULTS and not isinstance(value, Mapping)
    ]
    if absent or unknown:
        _check_names(path, absent, unknown)
    found = {**DEFAULTS, **{name: given[name] for name in DEFAULTS if name in given}}
    for name, (is_good, wanted) in _CHECKS.items():
        if not is_good(found[name]):
            raise UsageError(f"dbt var {name} in {path} is {found[name]!r}: {wanted}.")
    found["overwritten_sources"] = tuple(dict.fromkeys(found["overwritten_sources"]))
    for name in ("as_of", "history_start", "snapshot_at"):
        found[name] = str(found[name] or "")
    return found


def _given(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} is not YAML: {reason}") from None
    if not isinstance(document, dict):
        raise UsageError(f"{path} has no settings: use the dbt_project.yml of the mart.")
    variables = document.get("vars") or {}
    if not isinstance(variables, dict):
        raise UsageError(
            f"vars in {path} is {variables!r}: write one line per var, as name: value."
        )
    # dbt also accepts a project's own vars under the project's name.
    own = variables.get(str(document.get("name")))
    return {**variables, **(own if isinstance(own, dict) else {})}


def _check_names(path: Path, absent: list[str], unknown: list[str]) -> None:
    read = _read_by(path.parent)
    for name in unknown:
        if name not in read:
            near = difflib.get_close_matches(str(name), DEFAULTS, n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"dbt var {name} in {path} is not used: {meant}Correct the name, or remove the var."
            )
    for name in absent:
        if read.get(name):
            default = DEFAULTS[name] or ("[]" if name == "overwritten_sources" else '""')
            raise UsageError(
                f"dbt var {name} is not set in {path}, but the models read it: add `{name}: {default}` under vars."
            )


def _read_by(project: Path) -> dict[str, bool]:
    """Return, by name, the vars that the project's files read: True if a file reads the var without a default."""
    found: dict[str, bool] = {}
    for folder in _READERS:
        for path in (project / folder).rglob("*"):
            if path.suffix in _ENDINGS and path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                for each in _VAR.finditer(text):
                    if each["name"]:
                        found[each["name"]] = found.get(each["name"], False) or each["end"] == ")"
    return found


def read_own_vars(project: Path) -> tuple[OwnVar, ...]:
    """Return the vars that dbt_project.yml, models, macros, seeds and snapshots read, without those in `DEFAULTS`.

    The vars are sorted by name.

    Raises:
        UsageError: dbt_project.yml cannot be read.
    """
    path = project / "dbt_project.yml"
    given, text = _given(path), path.read_text(encoding="utf-8")
    readers: dict[str, str] = {}
    for reader in (path, *_makers(project)):
        read = reader.read_text(encoding="utf-8", errors="replace")
        for block in _JINJA.findall(_JINJA_COMMENT.sub("", read)):
            for each in _VAR.finditer(block):
                where = reader.relative_to(project).as_posix()
                readers.setdefault(each["name"] or "", where)
    return tuple(
        OwnVar(name, where, given.get(name), name in given, _reason(text, name))
        for name, where in sorted(readers.items())
        if name not in DEFAULTS
    )


def _makers(project: Path) -> Iterator[Path]:
    for folder in _MAKERS:
        for path in sorted((project / folder).rglob("*")):
            if path.suffix in _MAKER_ENDINGS and path.is_file():
                yield path


def _reason(text: str, name: str) -> str:
    """Return the comments beside a var. A comment above a var of `DEFAULTS` does not apply to the vars below it."""
    block = re.search(r"^vars\s*:.*?(?=^[^\s#]|\Z)", text, re.MULTILINE | re.DOTALL)
    if block is None or not name:
        return ""
    said = [*comments_of(block[0], name, apart_from=DEFAULTS), *_comments_within(block[0], name)]
    return " ".join(each for each in said if re.search(r"\w", each))


def _comments_within(text: str, name: str) -> list[str]:
    """Return the comment above a var's value, or the comments at the ends of the value's lines if each line has one.

    ``text`` is the YAML block of the vars. The value starts on the line after the var's name.
    """
    below = re.search(
        rf"^( +){re.escape(name)}\s*:[^\n]*\n((?:(?:\1 +[^\n]*|\s*)\n?)*)", text, re.MULTILINE
    )
    lines = [line.strip() for line in below[2].splitlines() if line.strip()] if below else []
    if lines and lines[0].startswith("#"):
        return [lines[0].strip("# ")]
    ends = [line.partition(" #")[2].strip() for line in lines]
    return ends if all(ends) else []


def comments_of(text: str, name: str, *, apart_from: Collection[str] = ()) -> Iterator[str]:
    """Yield the comment at the end of a setting's line, and the comment above the setting or its group of neighbours.

    ``text`` is YAML. A comment above a setting in ``apart_from`` applies only to that setting. If there is no comment
    above, an empty text is yielded.
    """
    lines = text.splitlines()
    spelled = re.escape(name).replace("_", "[-_]").replace(r"\-", "[-_]")
    setting = re.compile(rf"^\s*\+?{spelled}\s*:")
    for at, line in enumerate(lines):
        if not setting.match(line):
            continue
        _, mark, behind = line.partition(" #")
        if mark:
            yield behind.strip()
        top, depth = at - 1, _depth(line)
        while top >= 0 and lines[top].strip() and not lines[top].lstrip().startswith("#"):
            if _depth(lines[top]) == depth and lines[top].partition(":")[0].strip() in apart_from:
                break
            top -= 1
            if _depth(lines[top + 1]) < depth:
                # A comment above a key applies to the settings below the key.
                break
        above: list[str] = []
        while top >= 0 and lines[top].lstrip().startswith("#"):
            above.insert(0, lines[top].strip(" #"))
            top -= 1
        yield " ".join(above)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_zone(value: Any) -> bool:
    try:
        return isinstance(value, str) and load_zone(value) is not None
    except ValueError:
        return False


def _is_whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _is_instant(value: Any) -> bool:
    """Return True if a value is None, an empty text, or an ISO timestamp with an offset."""
    if value in (None, ""):
        return True
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        return at is not None and at.utcoffset() is not None
    except ValueError:
        return False


def _is_currency(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z]{1,20}", value) is not None


def _are_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(table, str) and table in CONTRACT for table in value
    )


_INSTANT = 'use a timestamp in quotes with its UTC offset, such as "2024-01-01T00:00:00+09:00", or "" for none'
_PRIOR = "use a whole number of observations from 0 (no shrinkage) to 1000000"
_DAYS = f"use a whole number of days from 0 to {_TEN_YEARS}"
_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "business_timezone": (_is_zone, "use a time zone of the IANA database, such as Asia/Tokyo"),
    "refresh_hour": (_is_whole(0, 23), "use a whole hour from 0 to 23"),
    "publish_lag_minutes": (_is_whole(0, 1439), "use a whole number of minutes from 0 to 1439"),
    "warehouse": (
        lambda value: isinstance(value, str) and bool(value),
        "use the warehouse's name in seeds/load_clock.csv, in quotes if it is a number",
    ),
    "overwritten_sources": (
        _are_tables,
        f"use a list of raw tables, such as [jobs]; the raw tables are {', '.join(CONTRACT)}",
    ),
    "snapshot_at": (_is_instant, _INSTANT),
    "currency": (
        _is_currency,
        "use a currency code such as JPY or CAD, in quotes if YAML would not read it as text",
    ),
    "history_start": (_is_instant, _INSTANT),
    "price_label_lag_days": (_is_whole(0, _TEN_YEARS), _DAYS),
    "hire_label_lag_days": (_is_whole(0, _TEN_YEARS), _DAYS),
    "term_prior_count": (_is_whole(0, 1_000_000), _PRIOR),
    "lift_prior_count": (_is_whole(0, 1_000_000), _PRIOR),
    "profile_days": (
        _is_whole(1, _TEN_YEARS),
        f"use a whole number of days from 1 to {_TEN_YEARS}",
    ),
    "profile_rows": (_is_whole(1, 1_000_000), "use a whole number of rows from 1 to 1,000,000"),
    "share_days": (
        _is_whole(1, _TEN_YEARS),
        f"use a whole number of days from 1 to {_TEN_YEARS}",
    ),
}
