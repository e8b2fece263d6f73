"""Run the checks that read rendered SQL. Those of one dialect share an import of dbt and a parse of the project.

``python -m house_rules.rendered_checks DIALECT`` reads a JSON object from stdin: the names of checks, and for each the
files that it reads (an empty list for all). Each check runs in a process forked from the one that parsed the project.
It prints one JSON object per check, on one line.
"""

import gc
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from typing import Any

from house_rules import portability, reach, sqlfluff
from house_rules.lint_cache import FOLDER

#: The exit code of a check that could not finish.
BROKEN = 70

CHECKS: dict[str, Callable[[Sequence[str], Any], int]] = {
    "duckdb": lambda paths, manifest: sqlfluff.lint("duckdb", paths, manifest),
    "bigquery": lambda paths, manifest: sqlfluff.lint("bigquery", paths, manifest),
    "portable": portability.main,
    "reach": lambda _, manifest: reach.main(manifest),
}


def parse(dialect: str) -> Any:
    """Parse the project for a dialect, or only what changed since the last time, and return dbt's manifest.

    Raises:
        RuntimeError: dbt could not parse; the message is dbt's.
    """
    from dbt.cli.main import dbtRunner

    folder = FOLDER / dialect
    # dbt reuses its last parse only in the same environment, so this folder is not a temporary one.
    os.environ |= sqlfluff.scratch_environment(dialect, str(folder.absolute()))
    options = ["--quiet", "--target", sqlfluff.TARGETS[dialect], "--no-version-check"]
    outcome = dbtRunner().invoke(["parse", *options])
    if not outcome.success:
        raise RuntimeError(str(outcome.exception or outcome.result))
    return outcome.result


def run_apart(work: Callable[[], int]) -> tuple[int, str]:
    """Run a function in a forked process; return its exit code and what it printed."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        child = os.fork()
        if child == 0:
            code = BROKEN
            # Some libraries write past Python's streams.
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            with redirect_stdout(output), redirect_stderr(output):
                try:
                    code = work()
                finally:
                    if sys.exc_info()[1] is not None:
                        traceback.print_exc()
                    output.flush()
                    # Neither the parent's stack nor its exit handlers may run here.
                    os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read()


def main(argv: list[str]) -> int:
    """Run the checks and print a line for each. The exit code is always 0; that of each check is in its line."""
    (dialect,) = argv
    wanted: dict[str, list[str]] = json.load(sys.stdin)
    # Manifests and syntax trees are large and hold little garbage. At its usual rate the collector takes a fifth of the
    # time.
    gc.set_threshold(200_000, 50, 100)
    started = time.monotonic()
    problem = ""
    manifest = None
    try:
        with redirect_stdout(sys.stderr):
            manifest = parse(dialect)
    except RuntimeError as error:
        problem = str(error)
    gc.freeze()
    for name, paths in wanted.items():
        code, said = BROKEN, problem
        if not problem:
            code, said = run_apart(partial(CHECKS[name], paths, manifest))
        seconds = time.monotonic() - started
        print(
            json.dumps({"name": name, "code": code, "output": said, "seconds": seconds}), flush=True
        )
        started = time.monotonic()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
