"""Check the house rules of files: the place of models, forbidden texts, and the length of Python files."""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from house_rules.sql import QUOTED_VAR, VAR_REMEDY, Finding

MAX_PYTHON_LINES = 400
# The patterns are written in pieces, because otherwise this file would break the rules.
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
MACHINE = re.compile(r"(?<![\w.~/-])/(?:ro" r"ot|wo" r"rk|home/\w+|Users/\w+)/")
INDEX = re.compile(
    r"py" r"pi\.org|python" r"hosted|--(?:extra-)?index" r"-url (?=\S*/)|--find" r"-links (?=\S*/)"
)

PREFIXES = {
    "staging": ("stg_", "snap_"),
    "intermediate": ("int_",),
    "features": ("feat_",),
    "marts": ("mart_",),
}


def check_text(path: str, text: str) -> Iterator[Finding]:
    """Yield findings for forbidden texts in any file, and for the length of a Python file."""
    for number, line in enumerate(text.splitlines(), 1):
        if UNFINISHED.search(line):
            remedy = "do the work now, or open an issue and remove the comment"
            yield Finding(path, number, "unfinished", remedy)
        if MACHINE.search(line):
            yield Finding(
                path,
                number,
                "machine-path",
                "this path exists on one machine only: use a relative path, or a path from the settings",
            )
        if INDEX.search(line):
            yield Finding(
                path,
                number,
                "index-host",
                "the address of a package index is a setting of the machine: remove the address from the file",
            )
        # SQL that YAML passes to a test cannot call macros, so the remedy is a generic test.
        if path.endswith(".yml") and "expression:" in line and QUOTED_VAR.search(line):
            remedy = f"{VAR_REMEDY}; because YAML cannot call macros, write a test in tests/generic"
            yield Finding(path, number, "var-literal", remedy)
    lines = text.count("\n")
    if path.endswith(".py") and lines > MAX_PYTHON_LINES:
        yield Finding(
            path, 0, "length", f"{lines} lines; the limit is {MAX_PYTHON_LINES}: split the file"
        )


def check_names(paths: Sequence[str]) -> Iterator[Finding]:
    """Yield findings for models with a wrong name or without their files, and for SQL files below tests/python.

    Each model has a SQL or Python file and a YAML file of the same name; features and marts also have a Markdown file.
    The marts of a consumer share one YAML file, ``models/marts/<consumer>/mart_<consumer>.yml``.

    Args:
        paths: all files of the project, relative, with forward slashes.
    """
    there = set(paths)
    for path in sorted(there):
        file = PurePosixPath(path)
        if path.startswith("tests/python/") and file.suffix == ".sql":
            yield Finding(
                path, 0, "test-sql", "dbt would run the file as a test: write the file to tmp_path"
            )
        if file.parts[0] != "models" or file.suffix not in (".sql", ".py"):
            continue
        layer, owner = (*file.parts[1:3], "", "")[:2]
        prefixes = PREFIXES.get(layer, ())
        if layer in ("intermediate", "features", "marts"):
            prefixes = tuple(f"{prefix}{owner}__" for prefix in prefixes)
        if not file.stem.startswith(prefixes) or "__" not in file.stem:
            yield Finding(
                path,
                0,
                "model-name",
                f"the name of a model in models/{layer}/{owner} must be {' or '.join(prefixes)}<what>",
            )
        wanted = [".yml", ".md"] if layer in ("features", "marts") else [".yml"]
        shared = file.parent.parent / f"mart_{owner}.yml"
        for suffix in wanted:
            is_shared = layer == "marts" and suffix == ".yml" and str(shared) in there
            if str(file.with_suffix(suffix)) not in there and not is_shared:
                yield Finding(
                    path,
                    0,
                    "model-files",
                    f"{file.stem}{suffix} is missing in the model's folder: add the file",
                )
