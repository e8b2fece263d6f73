"""Format and print lines, tables, durations and paths for people."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

_WIDE = 250
#: Names of columns with counts. A name that begins with "rows" or "that" also names a column with counts.
COUNTS = ("built", "skipped", "repeated", "killed")


def _console() -> Console:
    """Return a console for stdout.

    A pipe has no width. For a pipe, the console is so wide that lines are neither cut nor wrapped.
    """
    console = Console(soft_wrap=True, highlight=False)
    return console if console.is_terminal else Console(width=_WIDE, highlight=False)


def say(*lines: str, style: str | None = None) -> None:
    """Print lines without wrapping or markup."""
    console = _console()
    for line in lines:
        console.print(line, markup=False, style=style, soft_wrap=True)


def duration(span: timedelta) -> str:
    """Return a duration in hours, or in days if it is 48 hours or longer."""
    hours = span / timedelta(hours=1)
    return f"{hours:.1f} hours" if abs(hours) < 48 else f"{hours / 24:.1f} days"


def near(path: Path | str) -> str:
    """Return a path relative to the working folder if the path is below that folder, otherwise unchanged."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def print_table(table: Table) -> None:
    """Print a table without trailing blanks."""
    console = _console()
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def own_name() -> str:
    """Return the command with which the user called `mart`, to be shown in suggested commands."""
    called = Path(sys.argv[0])
    return near(called) if called.name == "mart" else "mart"


def make_table(*names: str) -> Table:
    """Return an empty table with the columns ``names``. Columns of counts are right-aligned."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in names:
        is_number = name.startswith(("rows", "that")) or name in COUNTS
        table.add_column(name, justify="right" if is_number else "left")
    return table
