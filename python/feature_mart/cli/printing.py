"""How commands print for people: lines, tables, paths, and their own name."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

_WIDE = 250
#: Columns that count something, besides those whose name begins so.
COUNTS = ("built", "skipped", "repeated", "killed")


def _console() -> Console:
    """A pipe has no width: nothing is cut or folded there."""
    console = Console(soft_wrap=True, highlight=False)
    return console if console.is_terminal else Console(width=_WIDE, highlight=False)


def say(*lines: str, style: str | None = None) -> None:
    """Print lines as they are."""
    console = _console()
    for line in lines:
        console.print(line, markup=False, style=style, soft_wrap=True)


def duration(span: timedelta) -> str:
    """Return a span in hours, or in days from two days on."""
    hours = span / timedelta(hours=1)
    return f"{hours:.1f} hours" if abs(hours) < 48 else f"{hours / 24:.1f} days"


def near(path: Path | str) -> str:
    """A path as seen from the working folder, where it lies below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def print_table(table: Table) -> None:
    """A table without the blanks that fill its last column."""
    console = _console()
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def own_name() -> str:
    """How to call `mart` again."""
    called = Path(sys.argv[0])
    return near(called) if called.name == "mart" else "mart"


def make_table(*names: str) -> Table:
    """Return an empty table of those columns, in which counts stand to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in names:
        is_number = name.startswith(("rows", "that")) or name in COUNTS
        table.add_column(name, justify="right" if is_number else "left")
    return table
