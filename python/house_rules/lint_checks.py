"""Define the checks of ``make lint``."""

import sys
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
PYTHON = sys.executable
WORKFLOWS = sorted(str(path) for path in Path(".github/workflows").glob("*.y*ml"))
CIRCLECI = ".circleci/config.yml"

#: Patterns of the files from which dbt renders SQL, without the documentation beside the models.
RENDERED = (
    *("models/*.sql", "models/*.yml", "models/*.py", "macros/*"),
    *("analyses/*.sql", "analyses/*.yml"),
    *("seeds/*", "tests/generic/*", "tests/singular/*", "dbt_project.yml", "profiles/*"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """A check of ``make lint``.

    Attributes:
        name: the name of the check on the command line, as in ``make lint ONLY=…``.
        about: a description of the check.
        commands: the commands to run, in order; none for a check of rendered SQL.
        inputs: patterns of the files that the result depends on. ``module:<name>`` stands for the files that a module
            imports. Without patterns, the check always runs, unless ``by_file`` is True.
        dialect: the dialect of the rendered SQL that the check reads, empty for other checks. Checks of one dialect
            share a parse of the project.
        by_file: True if only changed files need to be checked, because the result for a file depends on its rendered
            SQL and, with ``reads_parents``, on the tables that it reads.
        reads_parents: True if the result for a file also depends on its YAML and on the columns of the tables that it
            reads. Then the files that depend on a changed file are checked too.
    """

    name: str
    about: str
    commands: tuple[tuple[str, ...], ...] = ()
    inputs: tuple[str, ...] = ()
    dialect: str = ""
    by_file: bool = False
    reads_parents: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a check.

    Attributes:
        check: the check.
        code: the exit code: 0 if the check passed, 1 if it found something; any other code may be a crash.
        seconds: the duration; None if it was not measured.
        output: the text that the check printed.
    """

    check: Check
    code: int
    seconds: float | None = None
    output: str = ""


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    """Return a command line for a program of the virtualenv in which this process runs."""
    return (str(BIN / name), *arguments)


#: All checks, slow ones first.
CHECKS = (
    Check(
        "portable",
        "the statements that dbt sends to BigQuery, by GoogleSQL's analyzer",
        dialect="bigquery",
        by_file=True,
        reads_parents=True,
    ),
    Check("sqlfluff", "style of the SQL that dbt renders", dialect="duckdb", by_file=True),
    Check(
        "reach",
        "builds access only their inputs, and models read no later layer",
        inputs=(*RENDERED, "module:house_rules.reach"),
        dialect="duckdb",
    ),
    Check("types", "mypy, strict", (tool("mypy"),), ("python/*",)),
    Check("reasons", "mart knowledge check", (tool("mart", "knowledge", "check"),), ("*",)),
    Check("house", "house rules of SQL, names and files", ((PYTHON, "-m", "house_rules"),), ("*",)),
    Check(
        "yaml",
        "yamllint",
        (tool("yamllint", "--strict", "."),),
        ("*.yml", "*.yaml", ".yamllint", ".gitignore"),
    ),
    Check(
        "imports",
        "import-linter, imports from lower layers only",
        (tool("lint-imports", "--no-cache"),),
    ),
    Check(
        "workflows",
        "GitHub and CircleCI definitions",
        (
            tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS),
            tool("check-jsonschema", "--builtin-schema", "vendor.circle-ci", CIRCLECI),
        ),
        (".github/*", ".circleci/*"),
    ),
    Check("ruff", "ruff check", (tool("ruff", "check"),)),
    Check("format", "ruff format", (tool("ruff", "format", "--check", "--diff"),)),
)
