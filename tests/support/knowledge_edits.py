"""Build edits of the project's files, for tests of the knowledge check."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from feature_mart.knowledge.rationale import read_project

BEFORE = read_project(Path(__file__).resolve().parents[2])

Files = dict[str, str]
Edit = Callable[[Files], None]


@dataclass(frozen=True, slots=True)
class Change:
    """A change for which the knowledge check demands a reason.

    `reaches` names features that the check must report, and `spares` features that the check must not report. `touched`
    is the edit that gives the reason, or the name of the model's Markdown file to which a section about all reported
    features is added.
    """

    name: str
    edits: tuple[Edit, ...]
    reaches: str
    spares: str
    touched: Edit | str


def path_of(files: Mapping[str, str], name: str) -> str:
    """Return the path of the only file with this name or path."""
    (path,) = [each for each in files if each == name or each.endswith(f"/{name}")]
    return path


def put(name: str, old: str, new: str, count: int = -1) -> Edit:
    """Return an edit that replaces the first ``count`` occurrences of a text in a file; -1 for all of them."""

    def edit(files: Files) -> None:
        path = path_of(files, name)
        assert old in files[path], f"{path} has no {old!r}"
        files[path] = files[path].replace(old, new, count)

    return edit


def add(path: str, text: str) -> Edit:
    """Return an edit that appends text to a file, which is created if necessary."""
    return lambda files: files.__setitem__(path, files.get(path, "") + text)


def why(*columns: str) -> Edit:
    """Return an edit that adds a sentence to `why` in the YAML of each column."""

    def edit(files: Files) -> None:
        for column in columns:
            start = rf'(- name: {column}\n(?:(?!      - name: ).*\n)*? +why: ")'
            paths = [
                path for path in files if path.endswith(".yml") and re.search(start, files[path])
            ]
            assert paths, f"{column} has no why"
            files[paths[0]] = re.sub(start, r"\1Measured anew this spring. ", files[paths[0]])

    return edit


def describe(name: str, column: str | None = None) -> Edit:
    """Return an edit that adds a sentence to the description of a model, or of ``column`` if given."""

    def edit(files: Files) -> None:
        path = path_of(files, name)
        named = column or name.removesuffix(".yml")
        start = rf'(- name: {named}\n(?:(?!      - name: ).*\n)*? +description: "?)'
        assert re.search(start, files[path]), f"{path} has no description of {column}"
        files[path] = re.sub(start, r"\1Counted anew this spring. ", files[path], count=1)

    return edit


def section(name: str, *columns: str) -> Edit:
    """Return an edit that adds, to a model's Markdown file, a section about the given columns."""
    named = ", ".join(f"`{each}`" for each in columns)
    return put(
        name, "## Rejected", f"## Since this spring\nOther values of {named}.\n\n## Rejected"
    )


def note(name: str, old: str, new: str) -> Edit:
    """Return an edit that replaces the first occurrence of a text in a file; meant for texts in comments."""
    return put(name, old, new, 1)


PROJECT = "dbt_project.yml"
POSTING = "feat_job__posting"
TEXT = "feat_job__text.py"
TERMS = "int_job__terms.py"
CLIENT = "feat_job__client_at_request"
FEATURES = "mart_price_estimation__features"
TRAINING = "mart_price_estimation__training"
HIRES = "mart_hire_within_14d__training"
MARKS = ("is_urgent", "is_continuous", "is_beginner_welcome")
QUANTITIES = tuple(f"job_text_{each}_quantity" for each in ("character", "item", "page", "hour"))
SCRIPTS = tuple(f"job_title_{each}_ratio" for each in ("kanji", "kana", "latin", "digit"))
