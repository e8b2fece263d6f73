"""Write the text and JSON output of `mart audit selection`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from feature_mart.audit import ConsumerReport, LabelGroup, SelectionReport
from feature_mart.cli.printing import print_table, say
from feature_mart.core.settings import Settings
from feature_mart.core.zones import load_zone
from feature_mart.exporter import Window

_MARK = "*"


def selection_document(report: SelectionReport, settings: Settings) -> dict[str, Any]:
    """Return the JSON of `mart audit selection --json`."""
    return {
        "warehouse_id": settings.warehouse,
        "base": report.base,
        "commit": report.commit,
        "as_of_at": report.as_of_at.isoformat(),
        "has_moved": report.has_moved,
        "consumers": [
            {
                **asdict(each.moved),
                "windows_before": [_window(window) for window in each.windows_before],
                "windows_after": [_window(window) for window in each.windows_after],
            }
            for each in report.consumers
        ],
        "not_judged": list(report.not_judged),
    }


def print_selection(report: SelectionReport, settings: Settings) -> None:
    """Print the tables of `mart audit selection`."""
    zone = load_zone(settings.clock.timezone)
    at = report.as_of_at.astimezone(zone)
    head = f"Selection of {settings.warehouse} against {report.base} ({report.commit[:9]})"
    say("", f"{head}, as of {at:%Y-%m-%d %H:%M} {zone.key}", style="bold")
    for each in report.consumers:
        moved = each.moved
        say("", f"{moved.consumer}: {moved.rows_after:,} rows, {moved.rows_before:,} before")
        if each.windows_before != each.windows_after:
            now, then = (
                _cuts(windows, settings) for windows in (each.windows_after, each.windows_before)
            )
            say(f"  splits begin {now}; before: {then}")
        if moved.moves:
            print_table(_table(each))
        else:
            say("  no row moved")
    if any(any(move.is_selected) for each in report.consumers for move in each.moved.moves):
        say(
            "",
            f"{_MARK} this label is significantly more frequent among the moved rows than among the others:",
            "  explain this in the pull request, and show that the cause is known at the time of the request.",
        )
    if report.not_judged:
        say("", "not judged:", *(f"  {line}" for line in report.not_judged))


def _table(report: ConsumerReport) -> Table:
    moved = report.moved
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(f"  by {moved.label}, % of a line")
    table.add_column("rows", justify="right")
    for name in _names(moved.groups):
        table.add_column(name, justify="right")
    every = sum(group.rows for group in moved.groups)
    table.add_row("  all", f"{every:,}", *(_percent(group.rows, every) for group in moved.groups))
    for move in moved.moves:
        cells = [
            _percent(rows, move.rows) + (_MARK if is_selected else "")
            for rows, is_selected in zip(move.by_group, move.is_selected, strict=True)
        ]
        what = f"{move.what}: {move.detail}" if move.detail else move.what
        table.add_row(f"  {what}", f"{move.rows:,}", *cells)
    return table


def _names(groups: Sequence[LabelGroup]) -> list[str]:
    """Return a column name for each label group: the only value, or the greatest; ``none`` for rows without a label."""
    return [
        "none"
        if group.greatest is None
        else f"{group.greatest:g}"
        if group.least == group.greatest
        else f"≤{group.greatest:.4g}"
        for group in groups
    ]


def _percent(rows: int, of_rows: int) -> str:
    return f"{100 * rows / of_rows:.0f}" if of_rows else "0"


def _cuts(windows: Sequence[Window], settings: Settings) -> str:
    zone = load_zone(settings.clock.timezone)
    found = [f"{window.name} {window.start.astimezone(zone):%Y-%m-%d}" for window in windows]
    return ", ".join(found) or "on no date, because no row has a label"


def _window(window: Window) -> dict[str, str]:
    return {
        "name": window.name,
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
    }
