"""Run the checks of ``make lint``, print a line with the duration of each, then the output of the failed checks.

``python -m house_rules.lint [--changed] [name …]`` runs the named checks, or all checks, two at a time and slow checks
first. The exit code is 1 if a check failed, and 2 if there is no check of a given name. A check with declared inputs
that passed does not run again before one of these files changes. The checks `sqlfluff` and `portable` read only files
whose results may have changed. Other checks always run. With ``--changed``, checks of rendered SQL read only the files
that differ from the last commit, and the program prints what was left out.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from threading import Lock

from house_rules.lint_cache import Kept
from house_rules.lint_checks import CHECKS, PYTHON, Check, Outcome
from house_rules.project_files import changed_files

Report = Callable[[Outcome], None]


def run(check: Check, report: Report) -> None:
    """Run the commands of a check in order and report the outcome: failed if one of the commands fails."""
    started = time.monotonic()
    output = ""
    code = 0
    for command in check.commands:
        done = subprocess.run(
            command,
            check=False,
            env=_environment(),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        output += done.stdout + done.stderr
        code = code or done.returncode
    report(Outcome(check, code, time.monotonic() - started, output.strip()))


def run_rendered(
    checks: Sequence[Check],
    paths: Mapping[str, Sequence[str]],
    report: Report,
    options: Sequence[str] = (),
) -> None:
    """Run the checks of one dialect in one process, and report each outcome.

    Args:
        checks: checks of rendered SQL, all of one dialect.
        paths: by name of the check, the SQL files that the check reads; empty for all files.
        report: called with each outcome.
        options: ``--changed`` to leave out the files that depend on the paths.
    """
    started = time.monotonic()
    left = {check.name: check for check in checks}
    done = subprocess.Popen(
        (PYTHON, "-m", "house_rules.rendered_checks", checks[0].dialect, *options),
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.stdin and done.stdout and done.stderr
    with done, ThreadPoolExecutor(1) as pool:
        errors = pool.submit(done.stderr.read)
        done.stdin.write(json.dumps({name: list(paths.get(name, ())) for name in left}))
        done.stdin.close()
        for line in done.stdout:
            result = json.loads(line)
            check = left.pop(result["name"])
            report(Outcome(check, result["code"], result["seconds"], result["output"].strip()))
        output = errors.result().strip()
    for check in left.values():
        report(Outcome(check, done.returncode or 1, time.monotonic() - started, output))


def _environment() -> dict[str, str]:
    # Set PYTHONPATH, because the house rules are not installed with the package.
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "NO_COLOR": "1"}


def main(argv: list[str]) -> int:
    """Run the named checks, or all, and return the exit code."""
    named = [name for name in argv if name != "--changed"]
    unknown = set(named) - {check.name for check in CHECKS}
    if unknown:
        names = " ".join(check.name for check in CHECKS)
        print(
            f"there is no check {' or '.join(sorted(unknown))}: use one of {names}",
            file=sys.stderr,
        )
        return 2
    started = time.monotonic()
    checks = [check for check in CHECKS if not named or check.name in named]
    kept = Kept()
    waiting = [check for check in checks if not kept.holds(check)]
    for check in checks:
        if check not in waiting:
            print(f"ok       kept   {check.name:9} {check.about}")
    paths = {check.name: kept.unread(check) for check in waiting if check.by_file}
    left_out: dict[str, str] = {}
    options = [name for name in argv if name == "--changed"]
    if options:
        paths, left_out = _narrow(waiting, kept)
        waiting = [
            check for check in waiting if paths.get(check.name) or check.name not in left_out
        ]

    failed: list[Outcome] = []
    lock = Lock()

    def report(outcome: Outcome) -> None:
        check = outcome.check
        mark = "FAILED" if outcome.code else "ok"
        with lock:
            print(f"{mark:6} {outcome.seconds:5.1f} s  {check.name:9} {check.about}", flush=True)
            if outcome.code:
                failed.append(outcome)
            if check.name not in left_out or (check.by_file and not check.reads_parents):
                kept.keep(outcome, paths.get(check.name, ()))

    with ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [
            pool.submit(run_rendered, list(group), paths, report, options)
            for dialect, group in groupby(waiting, key=lambda check: check.dialect)
            if dialect
        ]
        jobs += [pool.submit(run, check, report) for check in waiting if not check.dialect]
        for job in jobs:
            job.result()
    for name, what in left_out.items():
        print(f"left out       {name:9} {what}: make lint")
    for outcome in failed:
        print(f"\n--- {outcome.check.name}: {outcome.check.about}\n{outcome.output}")
    verdict = f"{len(failed)} of {len(checks)} failed" if failed else f"all {len(checks)} passed"
    if left_out and not failed:
        verdict = (
            f"nothing found, but {len(left_out)} of {len(checks)} checks did not read every file"
        )
    print(f"{'' if not failed else chr(10)}lint: {verdict} in {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


def _narrow(waiting: Sequence[Check], kept: Kept) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return two mappings by name of the check: the changed SQL files to read, and a text on the files left out."""
    changed = set(changed_files())
    paths: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    for check in waiting:
        if not check.dialect:
            continue
        unread = kept.unread(check)
        # Leave out `reach` altogether, because its findings are about the project as a whole.
        paths[check.name] = (
            [path for path in unread if changed & {path, path.removesuffix("sql") + "yml"}]
            if check.name != "reach"
            else []
        )
        others = len(unread) - len(paths[check.name])
        if check.name == "reach":
            left_out[check.name] = "all models"
        elif check.reads_parents:
            left_out[check.name] = "the files that depend on the changed files"
        elif others and check.by_file:
            left_out[check.name] = f"{others} files that a change may affect"
        elif not check.by_file:
            left_out[check.name] = "all files that were not changed"
    return paths, left_out


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
