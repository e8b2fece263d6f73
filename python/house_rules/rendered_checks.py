"""Run the checks that read rendered SQL. Checks of one dialect share an import of dbt and a parse of the project.

``python -m house_rules.rendered_checks DIALECT [--changed]`` reads a JSON object from stdin: the names of checks, each
with the files that the check reads (an empty list for all). Each check runs in a process forked from the one that
parsed the project. The program prints one JSON object per check, on one line. With ``--changed``, files that depend on
the given files are left out.
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

#: Maps each check to a function that runs it and returns the exit code. The function gets the paths, dbt's manifest,
#: and True if files that depend on the paths are checked as well.
CHECKS: dict[str, Callable[[Sequence[str], Any, bool], int]] = {
    "sqlfluff": lambda paths, manifest, _: sqlfluff.lint(paths, manifest),
    "portable": lambda paths, manifest, is_downstream: portability.main(
        paths, manifest, is_downstream=is_downstream, known=FOLDER / "bigquery_tables.json"
    ),
    "reach": lambda _, manifest, __: reach.main(manifest),
}


def parse(dialect: str) -> Any:
    """Parse the project for a dialect and return dbt's manifest. dbt parses only what changed since the last parse.

    Raises:
        RuntimeError: dbt could not parse the project; the message is dbt's.
    """
    from dbt.cli.main import dbtRunner

    folder = FOLDER / dialect
    # Do not use a temporary folder: dbt reuses its last parse only if the environment is the same.
    os.environ |= sqlfluff.scratch_environment(dialect, str(folder.absolute()))
    options = ["--quiet", "--target", sqlfluff.TARGETS[dialect], "--no-version-check"]
    outcome = dbtRunner().invoke(["parse", *options])
    if not outcome.success:
        raise RuntimeError(str(outcome.exception or outcome.result))
    return outcome.result


def run_apart(work: Callable[[], int]) -> tuple[int, str]:
    """Run a function in a forked process, and return the exit code and the output of the process."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        child = os.fork()
        if child == 0:
            code = BROKEN
            # Redirect the file descriptors too, because some libraries do not write to Python's streams.
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            with redirect_stdout(output), redirect_stderr(output):
                try:
                    code = work()
                except RuntimeError as error:
                    print(error)  # dbt's message says what is wrong.
                finally:
                    if sys.exception() is not None:
                        traceback.print_exc()
                    output.flush()
                    # Exit at once: the child must not return to the parent's code or run exit handlers.
                    os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read()


def main(argv: list[str]) -> int:
    """Run the checks, print a line for each and return 0. The exit code of each check is in the check's line."""
    dialect, *options = argv
    wanted: dict[str, list[str]] = json.load(sys.stdin)
    # Manifests and syntax trees are large and have little garbage. With default thresholds, the garbage collector takes
    # a fifth of the time.
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
            code, said = run_apart(
                partial(CHECKS[name], paths, manifest, "--changed" not in options)
            )
        seconds = time.monotonic() - started
        print(
            json.dumps({"name": name, "code": code, "output": said, "seconds": seconds}), flush=True
        )
        started = time.monotonic()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
