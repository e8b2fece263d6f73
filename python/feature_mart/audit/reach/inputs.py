"""Check that a date or a reason is given for seeds and dbt vars, which are inputs without a load time.

The values of these inputs are in files of the project, and a cutoff can remove only seed rows with a date. This check
therefore requires a note that says since when the values were known, or why the file contains them. `audit.seed_labels`
then tests the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from feature_mart.core.dbt_vars import read_own_vars
from feature_mart.runner.seeds import (
    KNOWN_FROM,
    LOAD_CLOCK,
    seed_meta,
    seed_readers,
    unexplained_line,
)

_SETTINGS = "dbt_project.yml"


def input_faults(document: Mapping[str, Any], project: Path) -> Iterator[tuple[str, str, str]]:
    """Yield file, name and message for each seed and dbt var that the project reads without a date or a reason.

    A var that is not set in dbt_project.yml, or that a file names by an expression, is a fault too. ``document`` is the
    manifest.json of the project in the folder ``project``.
    """
    yield from _seed_faults(document, project)
    yield from _var_faults(project)


def _seed_faults(document: Mapping[str, Any], project: Path) -> Iterator[tuple[str, str, str]]:
    readers = seed_readers(document)
    for _, node in sorted(document["nodes"].items()):
        reader = readers.get(node["name"])
        if node["resource_type"] != "seed" or reader is None or node["name"] == LOAD_CLOCK:
            continue
        meta = seed_meta(node)
        if any(str(meta.get(name) or "").strip() for name in (KNOWN_FROM, "why")):
            continue
        line = unexplained_line(project, node)
        if line is not None:
            yield (
                node["original_file_path"],
                node["name"],
                f"is a seed that {reader} reads, but has neither a date nor a reason: set config.meta.known_from or "
                "config.meta.why in the seed's YAML, or fill the column known_from or a column with notes in every "
                f"row (line {line} has neither)",
            )


def _var_faults(project: Path) -> Iterator[tuple[str, str, str]]:
    for var in read_own_vars(project):
        if not var.name:
            what = "names a dbt var by an expression, so its reason cannot be looked up; use a literal name"
            yield var.path, "var()", what
        elif not var.is_set:
            what = (
                f"is a dbt var that {var.path} reads, but {_SETTINGS} does not set: add the var there under vars, "
                "with a comment that gives the reason for its value"
            )
            yield var.path, var.name, what
        elif not var.reason:
            what = (
                f"is a dbt var that {var.path} reads, but no reason for its value is given: write the reason in a "
                "comment above the var or at the end of its line"
            )
            yield _SETTINGS, var.name, what
