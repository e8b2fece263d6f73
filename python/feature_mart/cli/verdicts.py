"""Write the text and JSON output of the incremental, conservation and reproduce audits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from feature_mart.audit import (
    ConservationReport,
    IncrementalReport,
    ReproduceReport,
)
from feature_mart.cli.printing import COUNTS, make_table, print_table, say
from feature_mart.core.settings import Settings
from feature_mart.core.zones import load_zone

_SHOWN = 20
_EXAMPLE = 120


def incremental_document(report: IncrementalReport, settings: Settings) -> dict[str, Any]:
    """Return the JSON of `mart audit incremental --json`."""
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
    """Print the verdict of `mart audit incremental`."""
    zone = load_zone(settings.clock.timezone)
    say("", f"Incremental audit of {settings.warehouse}", style="bold")
    say("")
    table = make_table("schedule", "from", "to", *COUNTS, "final rows", "that differ")
    for each in report.schedules:
        refreshes, counts = each.schedule.refreshes, each.schedule.count()
        table.add_row(
            f"  {each.schedule.number}{' (backfill)' if each.schedule.is_backfill else ''}",
            f"{refreshes[0].as_of_at.astimezone(zone):%Y-%m-%d}",
            f"{refreshes[-1].as_of_at.astimezone(zone):%Y-%m-%d}",
            *(str(counts[name]) for name in COUNTS),
            f"{each.rows:,}",
            f"{sum(d.only_first + d.only_second for d in each.differences):,}",
        )
    print_table(table)
    say("")
    if report.is_clean:
        say(f"clean: {_histories(report)} gave the same rows as one full build", style="bold")
        return
    say("differs: an incremental build does not equal the full build", style="bold")
    shown = make_table(
        "  model", "schedule", "only in incremental", "only in full build", "for example"
    )
    differences = [(each, d) for each in report.schedules for d in each.differences]
    for each, d in differences[:_SHOWN]:
        number = str(each.schedule.number)
        shown.add_row(
            f"  {d.model}", number, f"{d.only_first:,}", f"{d.only_second:,}", d.example[:_EXAMPLE]
        )
    print_table(shown)
    if len(differences) > _SHOWN:
        say(f"  … and {len(differences) - _SHOWN} more (--json has all)")
    say("  Start with the first line: models are listed in build order.")


def _histories(report: IncrementalReport) -> str:
    count, tables = len(report.schedules), len(report.models)
    text = f"{count} schedule{'s' if count > 1 else ''} of {tables} tables"
    if report.count > count:
        text += f", each over {report.count // count} disjoint warehouses,"
    return text


def conservation_document(report: ConservationReport, settings: Settings) -> dict[str, Any]:
    """Return the JSON of `mart audit conservation --json`."""
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
    """Print the verdict of `mart audit conservation`."""
    zone = load_zone(settings.clock.timezone)
    at = report.as_of_at.astimezone(zone)
    say("", f"Accounts of {settings.warehouse}, as of {at:%Y-%m-%d %H:%M} {zone.key}", style="bold")
    say("")
    table = make_table("account", "expected", "found", "unit", "of which")
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
            f"balanced: all {len(report.accounts)} accounts agree exactly, in rows and amounts",
            style="bold",
        )
    if report.not_judged:
        say("", "not judged:", *(f"  {line}" for line in report.not_judged))


def reproduce_document(report: ReproduceReport) -> dict[str, Any]:
    """Return the JSON of `mart audit reproduce --json`."""
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
    """Print the verdict of `mart audit reproduce`."""
    say("", f"Snapshot {report.id}, rebuilt by commit {report.commit[:9]}", style="bold")
    say("")
    table = make_table("", "in the manifest", "rebuilt")
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
