"""What audits print: the verdict, what differs, and what could not be judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.table import Table

from feature_mart.audit import (
    ConservationReport,
    IncrementalReport,
    LeakageReport,
    ReproduceReport,
)
from feature_mart.audit.load_clock import LineVerdict, describe_faults
from feature_mart.cli.documents import moved_document
from feature_mart.cli.printing import duration, print_table, say
from feature_mart.settings import Settings
from feature_mart.zones import load_zone

_SHOWN = 20
_HOUR = timedelta(hours=1)
_EXAMPLE = 120
_NAMED = 6
_COUNTS = ("built", "skipped", "repeated", "killed")


def leakage_document(report: LeakageReport, settings: Settings) -> dict[str, Any]:
    """`mart audit leakage --json`."""
    return {
        "warehouse_id": settings.warehouse,
        "as_of_at": report.as_of_at.isoformat(),
        "is_clean": report.is_clean,
        "cutoffs": [
            {
                "at": each.cutoff.at.isoformat(),
                "about": each.cutoff.about,
                "rows": each.rows,
                "differences": [asdict(difference) for difference in each.differences],
            }
            for each in report.cutoffs
        ],
        "load_clock": [_line_document(verdict) for verdict in report.load_clock],
        "not_judged": {
            "never_vary": {model: list(columns) for model, columns in report.constant.items()},
            "cutoffs_without_rows": [cutoff.at.isoformat() for cutoff in report.empty],
            "tables_without_load_times": list(report.untimed),
            "load_clock_lines": [
                verdict.table
                for verdict in report.load_clock
                if verdict.moved.keys and verdict.lags is None
            ],
        },
    }


def _line_document(verdict: LineVerdict) -> dict[str, Any]:
    line, lags = verdict.line, verdict.lags
    return {
        "table": verdict.table,
        "untrusted_from": line.untrusted_from and line.untrusted_from.isoformat(),
        "trusted_from": line.trusted_from.isoformat(),
        "assumed_lag_hours": line.assumed_lag_hours,
        "known_earlier": moved_document(verdict.moved),
        "is_right": verdict.is_right,
        "sound": None if verdict.sound is None else asdict(verdict.sound),
        "usual_median_lag_hours": None if lags is None else round(lags.median / _HOUR, 3),
        "faults": list(describe_faults(verdict)),
        "corrected": list(verdict.corrected),
    }


def print_leakage(report: LeakageReport, settings: Settings) -> None:
    """The verdict of `mart audit leakage`."""
    zone = load_zone(settings.clock.timezone)
    say(
        "",
        f"Leakage audit of {settings.warehouse}, as of {report.as_of_at.astimezone(zone):%Y-%m-%d %H:%M} {zone.key}",
        style="bold",
    )
    say("")
    table = _table("cutoff", "chosen as", "rows compared", "that differ")
    for each in report.cutoffs:
        at = each.cutoff.at.astimezone(zone)
        differing = sum(difference.rows for difference in each.differences)
        table.add_row(
            f"  {at:%Y-%m-%d %H:%M:%S.%f}", each.cutoff.about, f"{each.rows:,}", f"{differing:,}"
        )
    print_table(table)
    say("")
    _print_load_clock(report, zone)
    if report.is_clean:
        say(
            "clean: nothing of before a cutoff changes when what was known after it is taken away",
            style="bold",
        )
    if report.leaks:
        _print_differences(report, zone)
    for verdict in report.load_clock:
        for fault in describe_faults(verdict):
            say(f"the load clock is wrong: {fault}", style="bold")
    _print_not_judged(report, zone)


def _print_load_clock(report: LeakageReport, zone: ZoneInfo) -> None:
    if not report.load_clock:
        return
    columns = ("rows known earlier", "half of them by", "at most by")
    table = _table("load clock", "loads from", "to before", "lag", *columns, "verdict")
    for each in report.load_clock:
        line, moved = each.line, each.moved
        starts = line.untrusted_from
        spans = [duration(moved.median), duration(moved.greatest)] if moved.keys else ["", ""]
        table.add_row(
            f"  {each.table}",
            "the start" if starts is None else f"{starts.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            f"{line.trusted_from.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            f"{line.assumed_lag_hours:g} h",
            f"{moved.keys:,}",
            *spans,
            _line_verdict(each),
        )
    print_table(table)
    say("")


def _line_verdict(verdict: LineVerdict) -> str:
    if not verdict.is_right:
        return "WRONG"
    if not verdict.moved.keys:
        return "changes nothing"
    return "right" if verdict.lags is not None else "not judged"


def _print_differences(report: LeakageReport, zone: ZoneInfo) -> None:
    """One line a column, the first in build order first: there it began."""
    first: dict[tuple[str, str], tuple[Any, Any]] = {}
    for each in report.cutoffs:
        for difference in each.differences:
            first.setdefault((difference.model, difference.column), (each.cutoff, difference))
    say(f"leaks: {len(first)} columns know what came later", style="bold")
    table = _table("  column", "rows", "for example", "cutoff", "in the mart", "without the future")
    for (model, column), (cutoff, difference) in list(first.items())[:_SHOWN]:
        table.add_row(
            f"  {model}.{column or '(rows)'}",
            f"{difference.rows:,}",
            difference.entity,
            f"{cutoff.at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            difference.whole,
            difference.truncated,
        )
    print_table(table)
    if len(first) > _SHOWN:
        say(f"  … and {len(first) - _SHOWN} more (--json has all)")
    say("  Models stand in the order in which they are built: look at the first one first.")


def _print_not_judged(report: LeakageReport, zone: ZoneInfo) -> None:
    lines = [
        f"  {model}: never varying in these data: {_named(columns)}"
        for model, columns in report.constant.items()
    ]
    lines += [
        f"  {cutoff.at.astimezone(zone):%Y-%m-%d %H:%M:%S}: no rows by then"
        for cutoff in report.empty
    ]
    lines += [
        f"  {table} has no load times: what it holds counts as known from the start"
        for table in report.untimed
    ]
    lines += [
        f"  the load clock's line of {verdict.table}: too few of its keys were loaded as usual to compare it with"
        for verdict in report.load_clock
        if verdict.moved.keys and verdict.lags is None
    ]
    if lines:
        say("", "not judged:", *lines)


def _named(columns: Sequence[str]) -> str:
    more = len(columns) - _NAMED
    return ", ".join(columns[:_NAMED]) + (f" and {more} more (--json has all)" if more > 0 else "")


def incremental_document(report: IncrementalReport, settings: Settings) -> dict[str, Any]:
    """`mart audit incremental --json`."""
    return {
        "warehouse_id": settings.warehouse,
        "is_clean": report.is_clean,
        "schedules_times_universes": report.count,
        "models": list(report.models),
        "schedules": [
            {
                "refreshes": [asdict(refresh) for refresh in each.schedule.refreshes],
                "is_backfill": each.schedule.is_backfill,
                "universes": each.universes,
                "rows": each.rows,
                "differences": [asdict(difference) for difference in each.differences],
            }
            for each in report.schedules
        ],
    }


def print_incremental(report: IncrementalReport, settings: Settings) -> None:
    """The verdict of `mart audit incremental`."""
    zone = load_zone(settings.clock.timezone)
    say("", f"Incremental audit of {settings.warehouse}", style="bold")
    say("")
    table = _table("schedule", "from", "to", *_COUNTS, "rows at the end", "that differ")
    for each in report.schedules:
        refreshes, counts = each.schedule.refreshes, each.schedule.count()
        table.add_row(
            f"  {each.schedule.number}{' (backfill)' if each.schedule.is_backfill else ''}",
            f"{refreshes[0].as_of_at.astimezone(zone):%Y-%m-%d}",
            f"{refreshes[-1].as_of_at.astimezone(zone):%Y-%m-%d}",
            *(str(counts[name]) for name in _COUNTS),
            f"{each.rows:,}",
            f"{sum(d.only_first + d.only_second for d in each.differences):,}",
        )
    print_table(table)
    say("")
    if report.is_clean:
        say(f"clean: {_histories(report)} made what one full build makes", style="bold")
        return
    say("differs: a mart that grew is not what a full build makes", style="bold")
    shown = _table("  model", "schedule", "rows that grew", "rows of the full build", "for example")
    differences = [(each, d) for each in report.schedules for d in each.differences]
    for each, d in differences[:_SHOWN]:
        number = str(each.schedule.number)
        shown.add_row(
            f"  {d.model}", number, f"{d.only_first:,}", f"{d.only_second:,}", d.example[:_EXAMPLE]
        )
    print_table(shown)
    if len(differences) > _SHOWN:
        say(f"  … and {len(differences) - _SHOWN} more (--json has all)")
    say("  Models stand in the order in which they are built: look at the first one first.")


def _histories(report: IncrementalReport) -> str:
    count, tables = len(report.schedules), len(report.models)
    text = f"{count} schedule{'s' if count > 1 else ''} of {tables} tables"
    if report.count > count:
        text += f", each over {report.count // count} disjoint warehouses at once,"
    return text


def conservation_document(report: ConservationReport, settings: Settings) -> dict[str, Any]:
    """`mart audit conservation --json`."""
    return {
        "warehouse_id": settings.warehouse,
        "as_of_at": report.as_of_at.isoformat(),
        "is_clean": report.is_clean,
        "accounts": [
            {
                **asdict(account),
                "lines": [{"about": about, "amount": amount} for about, amount in account.lines],
                "expected": account.expected,
                "is_balanced": account.is_balanced,
            }
            for account in report.accounts
        ],
        "not_judged": list(report.not_judged),
    }


def print_conservation(report: ConservationReport, settings: Settings) -> None:
    """The verdict of `mart audit conservation`."""
    zone = load_zone(settings.clock.timezone)
    at = report.as_of_at.astimezone(zone)
    say("", f"Accounts of {settings.warehouse}, as of {at:%Y-%m-%d %H:%M} {zone.key}", style="bold")
    say("")
    table = _table("account", "that should be", "that are", "unit", "of which")
    for account in report.accounts:
        lines = ", ".join(f"{amount:,} {about}" for about, amount in account.lines if amount)
        table.add_row(
            f"  {account.name}", f"{account.expected:,}", f"{account.found:,}", account.unit, lines
        )
    print_table(table)
    say("")
    wrong = [account for account in report.accounts if not account.is_balanced]
    if wrong:
        say(f"unbalanced: {len(wrong)} accounts", style="bold")
        for account in wrong:
            off = account.found - account.expected
            example = f"; {account.example}" if account.example else ""
            say(f"  {account.name}: {off:+,} {account.unit}{example}")
    else:
        say(
            f"balanced: all {len(report.accounts)} accounts, to the row and the whole amount",
            style="bold",
        )
    if report.not_judged:
        say("", "not judged:", *(f"  {line}" for line in report.not_judged))


def reproduce_document(report: ReproduceReport) -> dict[str, Any]:
    """`mart audit reproduce --json`."""
    return {
        "id": report.id,
        "address": report.address,
        "commit": report.commit,
        "as_of_at": report.as_of_at,
        "is_same": report.is_same,
        "checks": [{**asdict(check), "is_same": check.is_same} for check in report.checks],
        "not_judged": list(report.not_judged),
    }


def print_reproduce(report: ReproduceReport) -> None:
    """The verdict of `mart audit reproduce`."""
    say("", f"Snapshot {report.id}, rebuilt by commit {report.commit[:9]}", style="bold")
    say("")
    table = _table("", "in the manifest", "rebuilt")
    for check in report.checks:
        now = "the same" if check.is_same else check.now
        table.add_row(f"  {check.name}", check.then, now)
    print_table(table)
    say("")
    wrong = [check.name for check in report.checks if not check.is_same]
    if wrong:
        say(f"differs: {', '.join(wrong)}", style="bold")
    else:
        say(f"reproduced: all {len(report.checks)} lines are the same", style="bold")
    if report.not_judged:
        say("", "not judged:", *(f"  {line}" for line in report.not_judged))


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in names:
        is_number = name.startswith(("rows", "that")) or name in _COUNTS
        table.add_column(name, justify="right" if is_number else "left")
    return table
