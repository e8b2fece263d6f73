"""Measure the wall time, CPU time and peak memory of the stages of a run, in this process."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_RESET_PEAK = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Stage:
    """The measurements of a stage.

    `peak_mb` is the peak memory of the stage on Linux. On other systems it is the peak memory of the process so far.
    """

    name: str
    status: str
    wall_s: float
    cpu_s: float
    peak_mb: float


@contextmanager
def measured(name: str, into: list[Stage]) -> Iterator[None]:
    """Measure the code inside the context and append a `Stage` to ``into``, with status ``failed`` on an exception."""
    _reset_peak()
    wall, cpu, status = time.monotonic(), time.process_time(), "failed"
    try:
        yield
        status = "done"
    finally:
        into.append(
            Stage(
                name,
                status,
                round(time.monotonic() - wall, 3),
                round(time.process_time() - cpu, 3),
                round(_peak_mb(), 1),
            )
        )


def _reset_peak() -> None:
    try:
        # proc(5): writing 5 resets the peak resident set size to the present size.
        _RESET_PEAK.write_text("5", encoding="ascii")
    except OSError:
        return


def _peak_mb() -> float:
    try:
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    # getrusage(2): kilobytes on Linux, bytes on macOS.
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)
