"""`mart cost` and `mart conformance`: the cost of a build on BigQuery, and whether an engine computes as documented."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from feature_mart.cli.console import Console
from feature_mart.cli.options import emit, explained, json_option

if TYPE_CHECKING:
    from feature_mart.conformance import CaseResult, TableComparison
    from feature_mart.cost import CostReport

_GIB = 2**30


@click.command()
@click.option("--select", multiple=True, metavar="MODEL", help="Only these models (dbt's syntax).")
@click.option("--full-refresh", is_flag=True, help="What a build from nothing would read.")
@json_option
@explained
def cost(select: tuple[str, ...], full_refresh: bool, as_json: bool) -> None:
    """Bytes and money of the next build on BigQuery, by dry runs."""
    from feature_mart.cost import measure_cost
    from feature_mart.runner import open_run
    from feature_mart.settings import resolve_settings

    settings = resolve_settings()
    with Console(quiet=as_json) as console, open_run(settings, "cost") as log:
        report = measure_cost(
            settings,
            log,
            select=select,
            full_refresh=full_refresh,
            progress=console.stage("dry run"),
        )
    if as_json:
        emit(_cost_document(report))
    else:
        _print_cost(report)


@click.command()
@click.option("--target", metavar="NAME", help="The engine to judge [MART_TARGET; duckdb].")
@click.option("--tables", is_flag=True, help="Build a sample on both engines as well, compare.")
@click.option("--jobs", default=1500, show_default=True, type=click.IntRange(1), help="Its size.")
@click.option("--seed", default=5, show_default=True, type=click.IntRange(0), help="Its seed.")
@json_option
@explained
def conformance(target: str | None, tables: bool, jobs: int, seed: int, as_json: bool) -> None:
    """Golden values of every macro on an engine; 1 where one differs."""
    from feature_mart.conformance import check_cases, compare_sample
    from feature_mart.runner import open_run
    from feature_mart.settings import resolve_settings

    settings = resolve_settings(target=target)
    compared: tuple[TableComparison, ...] = ()
    with Console(quiet=as_json) as console:
        with open_run(settings, "conformance") as log:
            results = check_cases(settings, log, console.stage("cases"))
        if tables:
            compared = compare_sample(
                settings, jobs=jobs, seed=seed, progress=console.stage("tables")
            )
    wrong = [result for result in results if not result.is_same]
    apart = [table for table in compared if table.differences]
    if as_json:
        emit(_conformance_document(settings.target, results, compared))
    else:
        _print_conformance(settings.target, results, wrong, compared)
    if wrong or apart:
        raise SystemExit(1)


def _cost_document(report: CostReport) -> dict[str, object]:
    return {
        "bytes": report.bytes,
        "money": report.money(report.bytes),
        "price_per_tib": report.price_per_tib,
        "is_full_refresh": report.is_full,
        "not_judged": list(report.not_judged),
        "models": [
            {
                "model": model.model,
                "bytes": model.bytes,
                "check_bytes": model.check_bytes,
                "money": report.money(model.bytes + model.check_bytes),
                "is_lower_bound": model.is_lower_bound,
            }
            for model in report.models
        ],
    }


def _print_cost(report: CostReport) -> None:
    from rich.table import Table

    from feature_mart.cli.printing import print_table, say

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in ("model", "GiB", "checks, GiB", "money"):
        table.add_column(name, justify="left" if name == "model" else "right")
    free = 0
    for model in report.models:
        if not model.bytes and not model.check_bytes:
            free += 1
            continue
        least = "≥ " if model.is_lower_bound else ""
        table.add_row(
            model.model,
            f"{least}{model.bytes / _GIB:,.3f}",
            f"{model.check_bytes / _GIB:,.3f}",
            f"{least}{report.money(model.bytes + model.check_bytes):,.4f}",
        )
    if table.row_count:
        print_table(table)
    what = "a full refresh" if report.is_full else "the next run"
    say(
        "",
        f"{what}: at least {report.bytes / _GIB:,.2f} GiB, {report.money(report.bytes):,.2f} at "
        f"{report.price_per_tib:g} a TiB (MART_BQ_PRICE_PER_TIB)",
        f"{free} models and views read nothing by themselves",
    )
    if report.not_judged:
        say(f"not judged, since they read through BigFrames: {', '.join(report.not_judged)}")


def _conformance_document(
    target: str, results: tuple[CaseResult, ...], compared: tuple[TableComparison, ...]
) -> dict[str, object]:
    return {
        "target": target,
        "cases": [
            {
                "name": result.name,
                "is_same": result.is_same,
                "expected": result.expected,
                "found": result.found,
                "source": result.source,
            }
            for result in results
        ],
        "tables": [
            {
                "model": table.model,
                "rows": table.rows,
                "columns": table.columns,
                "differences": table.differences,
                "float_gap": table.float_gap,
                "example": table.example,
            }
            for table in compared
        ],
    }


def _print_conformance(
    target: str,
    results: tuple[CaseResult, ...],
    wrong: list[CaseResult],
    compared: tuple[TableComparison, ...],
) -> None:
    from rich.table import Table

    from feature_mart.cli.printing import print_table, say

    for result in wrong:
        say(
            f"{result.name}: {result.found}, and should be {result.expected}",
            f"  {result.because} ({result.source})",
        )
    say(f"{target}: {len(results) - len(wrong)} of {len(results)} golden values are right")
    if not compared:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in ("table", "rows", "columns", "differences", "greatest float gap"):
        table.add_column(name, justify="left" if name == "table" else "right")
    for each in compared:
        gap = f"{each.float_gap:.1e}" if each.float_gap else "0"
        table.add_row(each.model, f"{each.rows:,}", str(each.columns), f"{each.differences:,}", gap)
    say("")
    print_table(table)
    for each in compared:
        if each.example:
            say(f"{each.model}: {each.example}")
    say(
        "",
        f"{len(compared)} tables, {sum(each.rows for each in compared):,} rows, "
        f"{sum(each.differences for each in compared):,} differences",
    )
