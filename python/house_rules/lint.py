"""``make lint``: run every linter and print a line for each with its seconds, then the output of those that failed.

``python -m house_rules.lint [name …]`` runs the named ones, or all: two at a time, slow ones first. The exit code is 1
if any failed.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
PYTHON = sys.executable
WORKFLOWS = sorted(str(path) for path in Path(".github/workflows").glob("*.y*ml"))
CIRCLECI = ".circleci/config.yml"


@dataclass(frozen=True, slots=True)
class Check:
    """A linter: its name in ONLY=…, what it checks, and its commands, run in order."""

    name: str
    about: str
    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a check. ``output`` is what its commands printed."""

    check: Check
    failed: bool
    seconds: float
    output: str


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    """Return a command of the virtualenv that runs this program."""
    return (str(BIN / name), *arguments)


CHECKS = (
    Check(
        "duckdb",
        "sqlfluff, the models compiled for DuckDB",
        ((PYTHON, "-m", "house_rules.sqlfluff", "lint", "duckdb"),),
    ),
    Check(
        "bigquery",
        "sqlfluff, the models compiled for BigQuery, offline",
        ((PYTHON, "-m", "house_rules.sqlfluff", "lint", "bigquery"),),
    ),
    Check(
        "portable",
        "compiled SQL that DuckDB runs and BigQuery rejects",
        ((PYTHON, "-m", "house_rules.portability"),),
    ),
    Check(
        "reach",
        "what a build accesses besides its models' inputs; layers of models",
        ((PYTHON, "-m", "house_rules.reach"),),
    ),
    Check("reasons", "mart knowledge check", (tool("mart", "knowledge", "check"),)),
    Check("types", "mypy, strict", (tool("mypy"),)),
    Check("house", "house rules of SQL, names and files", ((PYTHON, "-m", "house_rules"),)),
    Check("imports", "import-linter, layers downward only", (tool("lint-imports", "--no-cache"),)),
    Check(
        "workflows",
        "GitHub and CircleCI definitions",
        (
            tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS),
            tool("check-jsonschema", "--builtin-schema", "vendor.circle-ci", CIRCLECI),
        ),
    ),
    Check("yaml", "yamllint", (tool("yamllint", "--strict", "."),)),
    Check("ruff", "ruff check", (tool("ruff", "check"),)),
    Check("format", "ruff format", (tool("ruff", "format", "--check", "--diff"),)),
)


def run(check: Check) -> Outcome:
    """Run all commands of a check; it fails if any of them fails."""
    started = time.monotonic()
    # The house rules are not installed with the package.
    environment = os.environ | {"PYTHONPATH": "python", "NO_COLOR": "1"}
    output = ""
    code = 0
    for command in check.commands:
        done = subprocess.run(
            command,
            check=False,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        output += done.stdout + done.stderr
        code = code or done.returncode
    return Outcome(check, code != 0, time.monotonic() - started, output.strip())


def main(argv: list[str]) -> int:
    """Run the named checks, or all, and return the exit code."""
    unknown = set(argv) - {check.name for check in CHECKS}
    if unknown:
        names = " ".join(check.name for check in CHECKS)
        print(
            f"there is no check {' or '.join(sorted(unknown))}: use one of {names}",
            file=sys.stderr,
        )
        return 2
    checks = [check for check in CHECKS if not argv or check.name in argv]
    started = time.monotonic()
    failed: list[Outcome] = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for done in as_completed([pool.submit(run, check) for check in checks]):
            outcome = done.result()
            mark = "FAILED" if outcome.failed else "ok"
            print(
                f"{mark:6} {outcome.seconds:5.1f} s  {outcome.check.name:9} {outcome.check.about}",
                flush=True,
            )
            if outcome.failed:
                failed.append(outcome)
    for outcome in failed:
        print(f"\n--- {outcome.check.name}: {outcome.check.about}\n{outcome.output}")
    verdict = f"{len(failed)} of {len(checks)} failed" if failed else f"all {len(checks)} passed"
    print(f"{'' if not failed else chr(10)}lint: {verdict} in {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
