"""Assign the rows of a training mart to splits as an export would, without exporting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from feature_mart.core.manifest import Column, Consumer
from feature_mart.exporter.layout import EXCLUSION, plan_layout
from feature_mart.exporter.source import open_duckdb, split_number, stays_in_split
from feature_mart.exporter.splits import Window, plan_windows
from feature_mart.snapshot_files.left_out import PURGED


@dataclass(frozen=True, slots=True)
class Assignment:
    """The windows of a training mart's splits, and an SQL expression for the split of each row.

    Attributes:
        windows: the splits; empty without labelled rows.
        expression: gives the name of the split, `purged` for a labelled row that is purged from its split, and NULL
            for an excluded row.
    """

    windows: tuple[Window, ...]
    expression: str


def assign_splits(
    mart_path: Path, consumer: Consumer, columns: Sequence[Column], zone: ZoneInfo
) -> Assignment:
    """Return the splits of a consumer's training mart in a DuckDB file.

    Args:
        columns: the columns of the training model, from its contract.
        zone: the business zone, at whose midnights the splits are cut.

    Raises:
        TerminalError: the file cannot be read, the contract is not that of a training mart, or the consumer's dates are
            in the wrong order.
    """
    layout = plan_layout(consumer, columns)
    with open_duckdb(mart_path) as source:
        days = source.survey(layout, zone).days
    if not days:
        return Assignment((), "cast(null as varchar)")
    windows = plan_windows(days, consumer, zone)
    names = " ".join(f"when {n} then '{window.name}'" for n, window in enumerate(windows))
    expression = (
        f"case when {EXCLUSION} is not null then null when not ({stays_in_split(windows)}) then '{PURGED}' "
        f"else case {split_number(windows)} {names} end end"
    )
    return Assignment(windows, expression)
