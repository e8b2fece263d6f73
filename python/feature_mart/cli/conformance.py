"""Define `mart conformance`, which checks that an engine computes what BigQuery's documentation says.

The target `googlesql` exists only here. It is Google's reference implementation of BigQuery's SQL, without a service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from feature_mart.cli.console import Console
from feature_mart.cli.options import dwh_option, emit, explained, json_option

if TYPE_CHECKING:
    from rich.table import Table

    from feature_mart.conformance import (
        CaseResult,
        ModelComparison,
        ReferenceReport,
        TableComparison,
    )

#: The number of job postings by default. GoogleSQL's reference implementation is slow on purpose.
_JOBS, _REFERENCE_JOBS = 1500, 150


@click.command()
@dwh_option
@click.option(
    "--target",
    metavar="NAME",
    help="Engine to check [MART_TARGET; duckdb]. googlesql is Google's reference implementation of BigQuery's SQL, "
    "which needs no service.",
)
@click.option(
    "--tables",
    is_flag=True,
    help="Also build a sample on both engines and compare the tables; with googlesql, each model by itself.",
)
@click.option(
    "--jobs",
    default=None,
    show_default=f"{_JOBS}; googlesql {_REFERENCE_JOBS}",
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
    dwh: str | None, target: str | None, tables: bool, jobs: int | None, seed: int, as_json: bool
) -> None:
    """Check the golden values of every macro on an engine. Exit code 1 if one differs."""
    from feature_mart.conformance import (
        GOOGLESQL,
        check_cases,
        compare_reference_sample,
        compare_sample,
    )
    from feature_mart.core.services import EMBEDDED
    from feature_mart.core.settings import resolve_settings
    from feature_mart.runner import open_run

    is_reference = target == GOOGLESQL
    settings = resolve_settings(dwh=dwh, target=EMBEDDED if is_reference else target)
    compared: tuple[TableComparison, ...] = ()
    report: ReferenceReport | None = None
    with Console(quiet=as_json) as console:
        with open_run(settings, "conformance") as log:
            results = check_cases(settings, log, console.stage("cases"), is_reference=is_reference)
        if tables and is_reference:
            report = compare_reference_sample(
                jobs=jobs or _REFERENCE_JOBS, seed=seed, progress=console.stage("tables")
            )
        elif tables:
            compared = compare_sample(
                settings, jobs=jobs or _JOBS, seed=seed, progress=console.stage("tables")
            )
    wrong = [result for result in results if not result.is_same]
    named = GOOGLESQL if is_reference else settings.target
    if as_json:
        document = _conformance_document(named, results, compared)
        emit(document if report is None else document | _reference_document(report))
    else:
        _print_cases(named, results, wrong)
        if compared:
            _print_tables(compared)
        if report is not None:
            _print_reference(report)
    models = (*report.first, *report.later) if report is not None else ()
    counts = [each.differences for each in compared] + [each.differences for each in models]
    if wrong or any(counts):
        raise SystemExit(1)


def _reference_document(report: ReferenceReport) -> dict[str, object]:
    return {
        "tables": [
            {
                "model": model.model,
                "form": form,
                "rows": model.rows,
                "columns": model.columns,
                "differences": model.differences,
                "example": model.example,
            }
            for form, models in _forms(report)
            for model in models
        ],
        "python_models": list(report.python_models),
        "exceptions": list(report.exceptions),
    }


def _forms(report: ReferenceReport) -> tuple[tuple[str, tuple[ModelComparison, ...]], ...]:
    return (("first build", report.first), ("later run", report.later))


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


def _print_cases(target: str, results: tuple[CaseResult, ...], wrong: list[CaseResult]) -> None:
    from feature_mart.cli.printing import say

    for result in wrong:
        say(
            f"{result.name}: {result.found}, expected {result.expected}",
            f"  {result.because} ({result.source})",
        )
    say(f"{target}: {len(results) - len(wrong)} of {len(results)} golden values are as expected")


def _print_tables(compared: tuple[TableComparison, ...]) -> None:
    from feature_mart.cli.printing import print_table, say

    table = _table("table", "rows", "columns", "differences", "greatest float gap")
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


def _print_reference(report: ReferenceReport) -> None:
    from feature_mart.cli.printing import print_table, say

    # Both forms have the same models in the same order.
    table = _table("model", *("rows", "values", "differences") * 2)
    table.add_row("", *("first build", "", "", "later run", "", ""))
    for first, later in zip(report.first, report.later, strict=True):
        cells = [
            f"{number:,}"
            for each in (first, later)
            for number in (each.rows, each.values, each.differences)
        ]
        table.add_row(first.model, *cells)
    say("")
    print_table(table)
    for form, models in _forms(report):
        for each in models:
            if each.example:
                say(f"{each.model}, {form}: {each.example}")
    say("")
    for form, models in _forms(report):
        say(
            f"{form}: {len(models)} models, {sum(each.rows for each in models):,} rows, "
            f"{sum(each.values for each in models):,} values, "
            f"{sum(each.differences for each in models):,} differences"
        )
    for line in report.exceptions:
        say(line)
    say(f"Python models, taken from DuckDB: {', '.join(report.python_models)}")


def _table(*names: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for number, name in enumerate(names):
        table.add_column(name, justify="right" if number else "left")
    return table
