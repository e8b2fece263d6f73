"""Define `mart conformance`, which checks that an engine computes what BigQuery's documentation says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from feature_mart.cli.console import Console
from feature_mart.cli.options import dwh_option, emit, explained, json_option

if TYPE_CHECKING:
    from feature_mart.conformance import CaseResult, TableComparison


@click.command()
@dwh_option
@click.option("--target", metavar="NAME", help="Engine to check [MART_TARGET; duckdb].")
@click.option(
    "--tables", is_flag=True, help="Also build a sample on both engines and compare the tables."
)
@click.option(
    "--jobs",
    default=1500,
    show_default=True,
    type=click.IntRange(1),
    help="With --tables: number of job postings.",
)
@click.option(
    "--seed",
    default=5,
    show_default=True,
    type=click.IntRange(0),
    help="With --tables: seed of the sample.",
)
@json_option
@explained
def conformance(
    dwh: str | None, target: str | None, tables: bool, jobs: int, seed: int, as_json: bool
) -> None:
    """Check the golden values of every macro on an engine. Exit code 1 if one differs."""
    from feature_mart.conformance import check_cases, compare_sample
    from feature_mart.core.settings import resolve_settings
    from feature_mart.runner import open_run

    settings = resolve_settings(dwh=dwh, target=target)
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
            f"{result.name}: {result.found}, expected {result.expected}",
            f"  {result.because} ({result.source})",
        )
    say(f"{target}: {len(results) - len(wrong)} of {len(results)} golden values are as expected")
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
