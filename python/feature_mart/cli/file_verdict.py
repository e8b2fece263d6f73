"""What `mart audit file` prints: rows first, then each column, then what would have been right."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.table import Table

from feature_mart.audit import ColumnVerdict, FileReport
from feature_mart.cli.printing import near, print_table, say
from feature_mart.settings import Settings
from feature_mart.zones import load_zone

_WORDS = {
    "right": "right",
    "leaks": "LEAKS",
    "stale": "stale",
    "other": "another definition",
}


def file_document(report: FileReport, settings: Settings) -> dict[str, Any]:
    """`mart audit file --json`; times in seconds."""
    return {
        "warehouse_id": settings.warehouse,
        "as_of_at": report.as_of_at.isoformat(),
        "file": str(report.path),
        "is_good": report.is_good,
        "rows": report.rows,
        "first": report.first,
        "last": report.last,
        "times_without_offset_read_in": settings.clock.timezone if report.is_local else None,
        "row_faults": [asdict(fault) for fault in report.faults],
        "columns": [
            {
                **asdict(column),
                "verdict": column.verdict,
                "lead_median": _seconds(column.lead_median),
                "lead_most": _seconds(column.lead_most),
            }
            for column in report.columns
        ],
        "not_judged": list(report.unjudged),
    }


def print_file(report: FileReport, settings: Settings) -> None:
    """The verdict of `mart audit file`."""
    zone = load_zone(settings.clock.timezone)
    say("", f"{near(report.path)}: {report.rows:,} rows{_span(report, zone)}", style="bold")
    say(
        f"  beside the mart of {settings.warehouse}, as of {report.as_of_at.astimezone(zone):%Y-%m-%d %H:%M} "
        f"{zone.key}"
    )
    if report.is_local:
        say(f"  its times have no offset; they are read in {zone.key}")
    say("")
    shown = [fault for fault in report.faults if fault.rows]
    for fault in shown:
        say(f"  {fault.rows:,} rows {fault.about}; the first: {fault.example}")
    if not shown:
        say("  no row is lost, doubled or unknown")
    say("")
    _print_columns(report)
    for column in report.columns:
        _print_example(column, zone)
    say("")
    leaking = sum(column.verdict == "leaks" for column in report.columns)
    faults = sum(fault.rows for fault in report.faults if fault.is_fault)
    if leaking:
        say(f"leaks: {leaking} of {len(report.columns)} columns hold what came later", style="bold")
    if faults:
        say(f"wrong rows: {faults:,}", style="bold")
    if report.is_good:
        say(f"good: no leak in {len(report.columns)} columns, no wrong row", style="bold")
    if report.unjudged:
        say(
            "",
            f"not judged: {', '.join(report.unjudged)}: called like no feature; name one with --column "
            "COLUMN=FEATURE",
        )
    if any(not column.has_versions and column.verdict != "right" for column in report.columns):
        say(
            "",
            "* the mart keeps only what the request was served: whether another value is of the future cannot be "
            "told",
        )


def _print_columns(report: FileReport) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in ("  column", "verdict"):
        table.add_column(name)
    for name in ("same", "known later", "outdated", "either", "neither"):
        table.add_column(name, justify="right")
    table.add_column("fits")
    for column in report.columns:
        wrong = column.judged - column.same
        counts = (column.same, column.later, column.older, column.either, column.neither)
        table.add_row(
            f"  {column.column}",
            _WORDS[column.verdict] + ("" if column.has_versions or not wrong else " *"),
            *(f"{count:,}" for count in counts),
            _fits(column),
        )
    print_table(table)


def _fits(column: ColumnVerdict) -> str:
    if column.fit is None or column.verdict == "right":
        return ""
    share = column.fit.rows / (column.judged - column.same)
    if column.fit.days is None:
        when = "the newest values"
    else:
        days = abs(column.fit.days)
        side = "ahead" if column.fit.days > 0 else "behind"
        when = f"{days} day{'s' if days > 1 else ''} {side}"
    return f"{share:.0%} of what differs: {when}"


def _print_example(column: ColumnVerdict, zone: ZoneInfo) -> None:
    example = column.example
    if example is None:
        return
    at = example.at.astimezone(zone)
    line = (
        f"  {column.column}: {example.entity} at {at:%Y-%m-%d %H:%M} has {example.value}, "
        f"right is {example.right} ({column.model})"
    )
    if example.known_at is not None:
        known_at = example.known_at.astimezone(zone)
        line += (
            f"; {example.value} was known at {known_at:%Y-%m-%d %H:%M}, {_lead(known_at, at)} later"
        )
    say("", line)


def _lead(known_at: datetime, at: datetime) -> str:
    lead = known_at - at
    hours = lead.seconds // 3600
    return f"{lead.days} d {hours} h" if lead.days else f"{hours} h"


def _span(report: FileReport, zone: ZoneInfo) -> str:
    if report.first is None or report.last is None:
        return ""
    first, last = (each.astimezone(zone) for each in (report.first, report.last))
    return f", {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"


def _seconds(lead: timedelta | None) -> float | None:
    return None if lead is None else lead.total_seconds()
