"""The checks of ``make lint``."""

import sys
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
PYTHON = sys.executable
WORKFLOWS = sorted(str(path) for path in Path(".github/workflows").glob("*.y*ml"))
CIRCLECI = ".circleci/config.yml"

#: What dbt renders SQL from; documentation beside the models is not part of it.
RENDERED = (
    *(
        "models/*.sql",
        "models/*.yml",
        "models/*.py",
        "macros/*",
        "analyses/*.sql",
        "analyses/*.yml",
    ),
    *("seeds/*", "tests/generic/*", "tests/singular/*", "dbt_project.yml", "profiles/*"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """A linter.

    Attributes:
        name: its name in ONLY=….
        about: what it checks.
        commands: its commands, run in order; none for a check of rendered SQL.
        inputs: patterns of the files that its result depends on; ``module:`` and a name stands for the files that this
            module imports. Without any, it runs each time.
        dialect: the dialect of the rendered SQL that it reads. Checks of one dialect share a parse of the project.
        by_file: True if it judges each file by that file's rendered SQL alone, and so needs only those that changed.
    """

    name: str
    about: str
    commands: tuple[tuple[str, ...], ...] = ()
    inputs: tuple[str, ...] = ()
    dialect: str = ""
    by_file: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a check.

    Attributes:
        check: the check.
        code: its exit code: 0 passed, 1 found something; anything else may be a crash.
        seconds: how long it took; None if it did not run.
        output: what it printed.
    """

    check: Check
    code: int
    seconds: float | None = None
    output: str = ""


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    """Return a command of the virtualenv that runs this program."""
    return (str(BIN / name), *arguments)


#: Those that take long come first.
CHECKS = (
    Check("duckdb", "sqlfluff, the models compiled for DuckDB", dialect="duckdb", by_file=True),
    Check(
        "reach",
        "what a build accesses besides its inputs; models read no later layer",
        inputs=(*RENDERED, "module:house_rules.reach"),
        dialect="duckdb",
    ),
    Check(
        "bigquery",
        "sqlfluff, the models compiled for BigQuery, offline",
        dialect="bigquery",
        by_file=True,
    ),
    Check(
        "portable",
        "compiled SQL that DuckDB runs and BigQuery rejects",
        inputs=RENDERED,
        dialect="bigquery",
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
    Check("imports", "import-linter, layers downward only", (tool("lint-imports", "--no-cache"),)),
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
