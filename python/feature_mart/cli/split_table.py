"""Print the rows of a snapshot by split, and explain the rows that were left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.table import Table

from feature_mart.cli.printing import print_table
from feature_mart.core.settings import Clock
from feature_mart.core.zones import load_zone
from feature_mart.snapshot_files.left_out import explain_left_out


def at_minute(at: datetime, zone: ZoneInfo) -> str:
    """Format a timestamp in a zone, to the minute."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def local_time(at: datetime, clock: Clock) -> str:
    """Format a timestamp in the business zone, to the minute, with the zone's name."""
    zone = load_zone(clock.timezone)
    return f"{at_minute(at, zone)} {zone.key}"


def print_splits(
    splits: Sequence[tuple[str, int, int, datetime, datetime]],
    excluded: Mapping[str, int],
    total: int,
    zone: ZoneInfo,
) -> None:
    """Print the rows of a snapshot.

    Args:
        splits: the name, the numbers of rows and purged rows, the start and the end of each split.
        excluded: the number of rows by exclusion reason.
        total: the number of rows of all splits, including purged and excluded rows.
        zone: the zone in which times are printed.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in ("", "rows", "purged", "from", "to"):
        table.add_column(name, justify="right" if name in {"rows", "purged"} else "left")
    for name, rows, purged, start, end in splits:
        counts = f"{rows:,}", f"{purged:,}"
        table.add_row(f"    {name}", *counts, at_minute(start, zone), at_minute(end, zone))
    for reason, count in sorted(excluded.items()):
        table.add_row(f"    excluded: {reason}", f"{count:,}", "", "", "")
    table.add_row("    total, with purged rows", f"{total:,}", "", "", "")
    print_table(table)


def left_out_lines(counts: Mapping[str, int]) -> list[str]:
    """Return a line for each kind of row that was left out, with its meaning; ``counts`` is from `count_left_out`."""
    return [f"  {name}: {text}" for name, text in explain_left_out(counts)]
