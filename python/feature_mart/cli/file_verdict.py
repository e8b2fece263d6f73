"""Write the text and JSON output of `mart audit file`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.table import Table

from feature_mart.audit import ColumnVerdict, FileReport, RowFault
from feature_mart.audit.later_order import Order
from feature_mart.cli.printing import near, print_table, say
from feature_mart.core.settings import Settings
from feature_mart.core.zones import load_zone

_WORDS = {
    "right": "right",
    "leaks": "LEAKS",
    "stale": "stale",
    "other": "another definition",
    "not_judged": "not judged",
}


def file_document(report: FileReport, settings: Settings) -> dict[str, Any]:
    """Return the JSON of `mart audit file --json`. Durations are in seconds."""
    return {
        "warehouse_id": settings.warehouse,
        "as_of_at": report.as_of_at.isoformat(),
        "file": str(report.path),
        "verdict": report.verdict,
        "is_good": report.is_good,
        "rows": report.rows,
        "first": report.first,
        "last": report.last,
        "times_without_offset_read_in": settings.clock.timezone if report.is_local else None,
        "row_faults": [{**asdict(fault), "is_fault": fault.is_fault} for fault in report.faults],
        "counts": _counts(report),
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
    """Print the verdict of `mart audit file`."""
    zone = load_zone(settings.clock.timezone)
    say("", f"{near(report.path)}: {report.rows:,} rows{_span(report, zone)}", style="bold")
    say(
        f"  compared with the mart of {settings.warehouse}, as of {report.as_of_at.astimezone(zone):%Y-%m-%d %H:%M} "
        f"{zone.key}"
    )
    if report.is_local:
        say(f"  times without a UTC offset are read as {zone.key}")
    say("")
    shown = [fault for fault in report.faults if fault.rows]
    for fault in shown:
        say(f"  {_fault_line(fault)}")
    if not shown:
        say("  no row is missing, duplicated or unknown")
    say("")
    _print_columns(report)
    for column in report.columns:
        _print_example(column, zone)
        for line in unjudged_lines(column):
            say("", f"  {column.column}: {line}")
    say("")
    counts = _counts(report)
    if counts["leaking_columns"]:
        say(
            (
                f"leaks: {counts['leaking_columns']} of {len(report.columns)} columns contain values that were known "
                "only after the row's time"
            ),
            style="bold",
        )
    if counts["wrong_rows"]:
        say(f"wrong rows: {counts['wrong_rows']:,}", style="bold")
    unjudged = [f"{counts['rows_not_judged']:,} rows"] if counts["rows_not_judged"] else []
    unjudged += [each.column for each in report.columns if _is_unjudged(each)]
    if unjudged:
        say(f"not judged: {', '.join(unjudged)}", style="bold")
    if report.is_good:
        say(f"good: no leak in {len(report.columns)} columns, no wrong row", style="bold")
    if report.unjudged:
        say(
            "",
            f"not compared, because no feature has this name: {', '.join(report.unjudged)}; map a column with "
            "--column COLUMN=FEATURE",
        )
    if any(not column.has_versions and column.verdict != "right" for column in report.columns):
        say(
            "",
            "* the mart has only the value at the request, so it is unknown whether a different value is from the "
            "future",
        )


def _counts(report: FileReport) -> dict[str, int]:
    return {
        "leaking_columns": sum(column.verdict == "leaks" for column in report.columns),
        "wrong_rows": sum(fault.rows for fault in report.faults if fault.kind == "wrong"),
        "rows_not_judged": sum(fault.rows for fault in report.faults if fault.kind == "not_judged"),
        "columns_not_judged": sum(column.verdict == "not_judged" for column in report.columns),
        "values_unreadable": sum(column.unreadable for column in report.columns),
    }


def _fault_line(fault: RowFault) -> str:
    if fault.about == "lost":
        jobs = f"{fault.rows:,} jobs that every consumer trains on are not in the file"
        if fault.kind == "stated":
            return f"{jobs}, which is a sample; for example: {fault.example}"
        return f"{jobs} (for example: {fault.example}): if the file is a sample, pass --sample"
    line = f"{fault.rows:,} rows {fault.about}; for example: {fault.example}"
    return f"{line}; {fault.advice}" if fault.advice else line


def _is_unjudged(column: ColumnVerdict) -> bool:
    """Return True if some values of a column were not compared, even if others leak."""
    return column.verdict == "not_judged" or bool(column.unreadable or column.skipped)


def unjudged_lines(column: ColumnVerdict) -> list[str]:
    """Return lines that say which values of a column were not compared, and why."""
    lines = []
    if column.unreadable:
        lines.append(
            f"{column.unreadable:,} values cannot be read, such as {column.unreadable_example!r}: {column.advice}"
        )
    if column.skipped:
        lines.append(
            f"{column.skipped:,} rows were not compared: the mart has the value at the time of the request only, and "
            "these rows have another time"
        )
    if not column.judged:
        lines.append("no row was compared")
    elif not column.valued:
        lines.append("the column is empty in all rows that were compared")
    elif not column.known:
        lines.append("the mart has no value for any row's time, so nothing was compared")
    if column.order is not None:
        lines.append(_order_line(column.order))
    if column.nan:
        lines.append(f"{column.nan:,} values are NaN, which counts as missing")
    return lines


def _order_line(order: Order) -> str:
    when = (
        "the newest values"
        if order.days is None
        else f"the values {order.days} day{'s' if order.days > 1 else ''} later"
    )
    return (
        f"the values differ from the feature's, but have the order of {when} (rank correlation {order.later:.2f}, "
        f"and {order.now:.2f} with the correct values, over {order.rows:,} rows whose feature changed later). If the "
        "values are only rounded or in another unit, this is a leak: write them as they are in the mart"
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
    return f"{share:.0%} of the differing values: {when}"


def _print_example(column: ColumnVerdict, zone: ZoneInfo) -> None:
    example = column.example
    if example is None:
        return
    at = example.at.astimezone(zone)
    line = (
        f"  {column.column}: {example.entity} at {at:%Y-%m-%d %H:%M} has {example.value}, but the correct value is "
        f"{example.right} ({column.model})"
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
