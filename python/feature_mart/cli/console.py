"""Show progress on stderr: a bar in a terminal, otherwise one line per stage, and nothing with ``quiet``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

import click
from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Console:
    """A context manager that shows the stages of a command and stops its progress bar at the end."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Progress | None = None
        self._open: tuple[str, float] | None = None

    def __enter__(self) -> Console:
        if not self._quiet and sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.fields[stage]:>7}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}", markup=False),
                console=RichConsole(stderr=True),
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._close(failed=kind is not None)

    def stage(self, name: str) -> Callable[[int, int, str], None]:
        """Begin a stage, and return the function that shows the stage's progress.

        The function takes the number of steps done, their total (0 if unknown) and a description of the present step.
        """
        self._close(failed=False)
        self._open = (name, time.monotonic())
        if self._bar is None:
            return _show_nothing
        bar, task = self._bar, self._bar.add_task("", total=None, stage=name)

        def show(done: int, total: int, what: str) -> None:
            # dbt numbers nodes when they start. Nodes may finish in another order, so never move the bar back.
            so_far = max(done, int(bar.tasks[task].completed))
            bar.update(task, completed=so_far, total=total or None, description=what[:90])

        return show

    def _close(self, *, failed: bool) -> None:
        if self._open is None:
            return
        name, began = self._open
        self._open = None
        if self._bar is not None:
            for task in self._bar.tasks:
                if task.fields.get("stage") == name and not failed:
                    total = task.total or 1
                    self._bar.update(task.id, completed=total, total=total, description="done")
        elif not self._quiet:
            ending = "failed" if failed else "done"
            click.echo(f"{name}: {ending} in {time.monotonic() - began:.1f} s", err=True)


def _show_nothing(_done: int, _total: int, _what: str) -> None:
    """Show no progress: without a bar, only the line at the end of the stage is printed."""
