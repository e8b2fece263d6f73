"""Define `mart cost`, which estimates the cost of a build on BigQuery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from feature_mart.cli.console import Console
from feature_mart.cli.options import (
    as_of_option,
    dwh_option,
    emit,
    explained,
    full_refresh_option,
    json_option,
)

if TYPE_CHECKING:
    from feature_mart.runner.cost import CostReport

_GIB = 2**30


@click.command()
@dwh_option
@as_of_option
@click.option(
    "--select",
    multiple=True,
    metavar="MODEL",
    help="Measure only these models (dbt's selection syntax).",
)
@full_refresh_option
@json_option
@explained
def cost(
    dwh: str | None,
    as_of: str | None,
    select: tuple[str, ...],
    full_refresh: bool,
    as_json: bool,
) -> None:
    """Estimate the bytes and cost of the next build on BigQuery by dry runs."""
    from feature_mart.core.settings import resolve_settings
    from feature_mart.runner import open_run
    from feature_mart.runner.cost import measure_cost

    settings = resolve_settings(dwh=dwh)
    with Console(quiet=as_json) as console, open_run(settings, "cost") as log:
        report = measure_cost(
            settings,
            log,
            as_of=as_of,
            select=select,
            full_refresh=full_refresh,
            progress=console.stage("dry run"),
        )
    if as_json:
        emit(_cost_document(report))
    else:
        _print_cost(report)


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
        f"{what} reads at least {report.bytes / _GIB:,.2f} GiB, which costs {report.money(report.bytes):,.2f} at "
        f"{report.price_per_tib:g} per TiB (MART_BQ_PRICE_PER_TIB)",
        f"{free} other models and views read 0 bytes",
    )
    if report.not_judged:
        say(
            f"not judged, because they read their inputs through BigFrames: {', '.join(report.not_judged)}"
        )
