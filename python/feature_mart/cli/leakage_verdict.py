"""Write the text and JSON output of the leakage audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from feature_mart.audit import LeakageReport
from feature_mart.audit.load_clock import LineVerdict, describe_faults
from feature_mart.audit.modes import MODES
from feature_mart.cli.documents import moved_document
from feature_mart.cli.printing import duration, make_table, print_table, say
from feature_mart.core.settings import Settings
from feature_mart.core.zones import load_zone

_SHOWN = 20
_CUTOFFS = 50
_HOUR = timedelta(hours=1)
_NAMED = 6


def leakage_document(report: LeakageReport, settings: Settings) -> dict[str, Any]:
    """Return the JSON of `mart audit leakage --json`."""
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
        "covered_pairs": report.covered
        and {"by_a_day": report.covered[0], "of": report.covered[1]},
        "reaches": [asdict(fault) for fault in report.faults],
        "modes": [
            {
                "mode": each.mode,
                "rows": each.rows,
                "differences": [asdict(difference) for difference in each.differences],
            }
            for each in report.modes
        ],
        "follows_labels": [asdict(each) for each in report.inputs.followed],
        "load_clock": [_line_document(verdict) for verdict in report.load_clock],
        "not_judged": {
            "never_vary": {model: list(columns) for model, columns in report.constant.items()},
            "cutoffs_without_rows": [cutoff.at.isoformat() for cutoff in report.empty],
            "tables_without_load_times": list(report.untimed),
            "modes": [mode for mode in MODES if mode not in {each.mode for each in report.modes}],
            "seeds_and_vars": [asdict(each) for each in report.inputs.unjudged],
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
    """Print the verdict of `mart audit leakage`."""
    zone = load_zone(settings.clock.timezone)
    about = settings.warehouse if report.covered is None else "a generated warehouse"
    say(
        "",
        f"Leakage audit of {about}, as of {report.as_of_at.astimezone(zone):%Y-%m-%d %H:%M} {zone.key}",
        style="bold",
    )
    say("")
    if report.faults:
        say(
            f"leaks: {len(report.faults)} places that could make a build depend on more than its declared inputs",
            style="bold",
        )
        for reached in report.faults:
            say(f"  {reached}")
        say("  Nothing was built. Fix these faults, then run the audit again to compare values.")
        return
    table = make_table("cutoff", "chosen as", "rows compared", "differing rows")
    # If there are many cutoffs, such as one at every refresh, print only the cutoffs with differences.
    shown = [each for each in report.cutoffs if each.differences or len(report.cutoffs) <= _CUTOFFS]
    for each in shown[:_CUTOFFS]:
        at = each.cutoff.at.astimezone(zone)
        differing = sum(difference.rows for difference in each.differences)
        table.add_row(
            f"  {at:%Y-%m-%d %H:%M:%S.%f}", each.cutoff.about, f"{each.rows:,}", f"{differing:,}"
        )
    if shown:
        print_table(table)
        say("")
    if len(shown) < len(report.cutoffs):
        rows = sum(each.rows for each in report.cutoffs)
        say(f"{len(report.cutoffs):,} cutoffs, one at every refresh, {rows:,} rows compared")
    if report.covered is not None:
        seen, every = report.covered
        say(
            f"{seen:,} of {every:,} values ({seen / max(every, 1):.1%}) have a cutoff within a day after their time",
            "",
        )
    if report.modes:
        table = make_table("built by dbt", "rows compared", "differing rows")
        for mode in report.modes:
            differing = sum(difference.rows for difference in mode.differences)
            table.add_row(f"  {mode.mode}", f"{mode.rows:,}", f"{differing:,}")
        print_table(table)
        say("")
    _print_load_clock(report, zone)
    if report.is_clean:
        say(
            "clean: removing the rows known after a cutoff changes no value from before it",
            style="bold",
        )
    if report.differs_by_mode:
        _print_modes(report)
    if report.leaks:
        _print_differences(report, zone)
    for followed in report.inputs.followed:
        say(f"leaks: {followed}", style="bold")
    for verdict in report.load_clock:
        for fault in describe_faults(verdict):
            say(f"the load clock is wrong: {fault}", style="bold")
    _print_not_judged(report, zone)


def _print_load_clock(report: LeakageReport, zone: ZoneInfo) -> None:
    if not report.load_clock:
        return
    columns = ("rows known earlier", "half of them by", "at most by")
    table = make_table("load clock", "loads from", "to before", "lag", *columns, "verdict")
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
    """Print the first `_SHOWN` differing columns, by cutoff, and within a cutoff in the order of the comparisons."""
    first: dict[tuple[str, str], tuple[Any, Any]] = {}
    for each in report.cutoffs:
        for difference in each.differences:
            first.setdefault((difference.model, difference.column), (each.cutoff, difference))
    say(f"leaks: {len(first)} columns depend on later rows", style="bold")
    table = make_table(
        "  column", "rows", "for example", "cutoff", "in the mart", "without the future"
    )
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
    say(
        "  Start with the model that reads no other listed model: a model that reads a leaking model leaks too."
    )


def _print_modes(report: LeakageReport) -> None:
    found = [(each.mode, difference) for each in report.modes for difference in each.differences]
    say(
        f"leaks: {len(found)} columns, as dbt builds them, differ from the result of their SELECT",
        style="bold",
    )
    table = make_table(
        "  column", "rows", "for example", "built by dbt", "as built", "by its SELECT"
    )
    for mode, difference in found[:_SHOWN]:
        table.add_row(
            f"  {difference.model}.{difference.column or '(rows)'}",
            f"{difference.rows:,}",
            difference.entity,
            mode,
            difference.truncated,
            difference.whole,
        )
    print_table(table)
    if len(found) > _SHOWN:
        say(f"  … and {len(found) - _SHOWN} more (--json has all)")
    say("  Look for a hook, a materialization, or SQL that depends on the run.")


def _print_not_judged(report: LeakageReport, zone: ZoneInfo) -> None:
    lines = [
        f"  {model}: constant in these data: {_named(columns)}"
        for model, columns in report.constant.items()
    ]
    lines += [
        f"  {cutoff.at.astimezone(zone):%Y-%m-%d %H:%M:%S}: no rows exist at this cutoff"
        for cutoff in report.empty
    ]
    lines += [
        f"  {table} has no load times: its rows count as known from the start"
        for table in report.untimed
    ]
    lines += [
        f"  the load clock line of {verdict.table}: too few keys were loaded as usual for a comparison"
        for verdict in report.load_clock
        if verdict.moved.keys and verdict.lags is None
    ]
    lines += [f"  {each}" for each in report.inputs.unjudged]
    judged = {each.mode for each in report.modes}
    if report.covered is None:
        lines += [f"  dbt's {mode}" for mode in MODES if mode not in judged]
    else:
        lines.append(
            "  dbt's own builds, the load clock, seeds and vars: run `mart audit leakage` without --every-refresh"
        )
    if lines:
        say("", "not judged:", *lines)


def _named(columns: Sequence[str]) -> str:
    more = len(columns) - _NAMED
    return ", ".join(columns[:_NAMED]) + (f" and {more} more (--json has all)" if more > 0 else "")
