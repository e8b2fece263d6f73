"""Export without the proxy in child processes that may be killed or run out of disk space.

`run_children` starts ``python tests/support/s3_export_child.py JOBS``.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feature_mart.core.errors import FeatureMartError
from s3_export_case import CREDENTIALS, Bench, Place
from s3_proxy import Proxy

_PATHS = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "python")]


def run_children(
    places: Sequence[Place], fatal: Sequence[str] = (), limit: int = 0
) -> list[tuple[int, str]]:
    """Export from each place in a process of its own, and return the exit code and output of each process.

    The exit code of a process that was ended by a signal is the negative number of the signal.

    Args:
        places: the bucket prefixes to export to.
        fatal: for each place, the step of the export before which the process kills itself; empty if none does.
        limit: the maximum size of a file that a process may write, in bytes; 0 for no limit.
    """
    jobs = [
        {
            "server": place.bench.server,
            "prefix": place.prefix,
            "work": str(place.work),
            "mart": str(place.mart),
            "fatal": fatal[number] if fatal else "",
            "limit": limit,
        }
        for number, place in enumerate(places)
    ]
    environment = {**os.environ, **CREDENTIALS, "PYTHONPATH": os.pathsep.join(_PATHS)}
    command = [sys.executable, __file__, json.dumps(jobs)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    return [(code, said) for code, said in json.loads(done.stdout)]


def _run_child(job: Mapping[str, Any]) -> str:
    def step(name: str) -> None:
        if name == job["fatal"]:
            os.kill(os.getpid(), signal.SIGKILL)

    if job["limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], job["limit"]))
    mart = Path(job["mart"])
    bench = Bench(job["server"], Proxy(job["server"]), None, mart)
    return Place(bench, job["prefix"], Path(job["work"]), mart).plain(progress=step).status


def _fork_child(job: Mapping[str, Any]) -> tuple[int, str]:
    """Export in a fork of this process, which has imported all modules and has no threads yet."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.write(writer, _run_child(job).encode())
            code = 0
        except FeatureMartError as error:
            os.write(writer, str(error).encode())
            code = error.exit_code
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as said:
        text = said.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


if __name__ == "__main__":
    print(json.dumps([_fork_child(job) for job in json.loads(sys.argv[1])]))
