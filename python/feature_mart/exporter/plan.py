"""Plan the rows, splits, parts and id of a snapshot before anything is written to the store."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from feature_mart.core.errors import TerminalError
from feature_mart.core.manifest import Consumer
from feature_mart.exporter.layout import Layout
from feature_mart.exporter.measure import Measure, measure_splits
from feature_mart.exporter.source import RowSource, Survey
from feature_mart.exporter.splits import Window, part_slices, plan_windows
from feature_mart.exporter.staging import Slices, Staging
from feature_mart.snapshot_files import instant_text
from feature_mart.snapshot_files.content import snapshot_id
from feature_mart.snapshot_files.row_hash import micros
from feature_mart.snapshot_files.usability import Shortcoming


@dataclass(frozen=True, slots=True)
class Plan:
    """A planned snapshot.

    `part_counts` has the number of parts of each split; parts are numbered across the splits, in the order of the
    splits.
    """

    layout: Layout
    survey: Survey
    windows: tuple[Window, ...]
    part_counts: tuple[int, ...]
    measures: tuple[Measure, ...]
    shortcomings: tuple[Shortcoming, ...]
    id: str


def plan_snapshot(
    source: RowSource,
    layout: Layout,
    consumer: Consumer,
    staging: Staging | None,
    *,
    as_of_at: datetime,
    zone: ZoneInfo,
    min_parts: int,
    step: Callable[[str], None],
) -> Plan:
    """Return the plan of a snapshot: count the rows, divide them into splits and parts, and hash them.

    Args:
        staging: the file to which the rows are written by part; None on a dry run.
        as_of_at: the refresh of the mart.
        zone: the business zone, at whose midnights the splits are cut.
        min_parts: the minimum number of parts of a split that has at least as many rows.
        step: called with one short line before each step.

    Raises:
        TerminalError: the table does not match its contract, there is no labelled row, a value is not a finite float32,
            or the counts do not add up.
    """
    source.check_contract(layout)
    step("count rows")
    survey = source.survey(layout, zone)
    if not survey.days:
        reasons = ", ".join(f"{reason} {rows}" for reason, rows in survey.excluded.items())
        raise TerminalError(
            f"{layout.model} has no labelled row as of {instant_text(as_of_at)} ({reasons or 'no rows at all'}), so "
            "no snapshot was written."
        )
    windows = plan_windows(survey.days, consumer, zone)
    counts = source.count(layout, windows)
    counted = sum(each.rows + each.purged for each in counts) + sum(survey.excluded.values())
    if counted != survey.rows:
        raise TerminalError(
            f"{layout.model} has {survey.rows} rows, but its splits, purged and excluded rows sum to {counted}. "
            "Export again."
        )
    step("hash content")
    offsets = [part_slices(count.rows, consumer.part_rows, min_parts) for count in counts]
    slices = _cut(source, layout, windows, offsets)
    measured = measure_splits(source, layout, windows, counts, slices, staging)
    splits = split_documents(windows, measured.splits)
    name = snapshot_id(as_of_at, layout.schema_document(), splits)
    part_counts = tuple(len(each) for each in offsets)
    return Plan(layout, survey, windows, part_counts, measured.splits, measured.shortcomings, name)


def split_documents(
    windows: tuple[Window, ...], measures: tuple[Measure, ...]
) -> list[dict[str, Any]]:
    """Return the content of `splits` in manifest.json."""
    return [
        {
            "name": window.name,
            "from": instant_text(window.start),
            "to": instant_text(window.end),
            "rows": measure.rows,
            "content_hash": measure.content_hash,
        }
        for window, measure in zip(windows, measures, strict=True)
    ]


def _cut(
    source: RowSource, layout: Layout, windows: tuple[Window, ...], offsets: list[list[int]]
) -> Slices:
    inner = source.slice_starts(layout, windows, [each[1:] for each in offsets])
    starts = [
        start
        for window, later in zip(windows, inner, strict=True)
        for start in ((micros(window.start), ""), *later)
    ]
    return Slices(tuple(starts[1:]))
