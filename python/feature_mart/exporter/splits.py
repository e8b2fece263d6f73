"""Cut the rows into train, validation and test by time, at midnights of the business zone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from feature_mart.core.errors import TerminalError
from feature_mart.core.manifest import Consumer
from feature_mart.snapshot_files import SPLITS


@dataclass(frozen=True, slots=True)
class Window:
    """One split: the rows with ``start <= requested_at < end`` whose label was known by `label_known_until`.

    Rows whose label was known later are purged. `label_known_until` is None for a split that purges nothing, such as
    the last split. Timestamps are UTC.
    """

    name: str
    start: datetime
    end: datetime
    label_known_until: datetime | None


def plan_windows(
    days: Sequence[tuple[date, int]], consumer: Consumer, zone: ZoneInfo
) -> tuple[Window, ...]:
    """Return the windows of the three splits of the labelled rows.

    Shares are counted backwards from the newest row, before purging. A cut is the midnight at the start of the business
    day on which the share is reached. If the consumer sets dates, the dates replace the shares. A window may be empty,
    because one day can contain both shares. An empty window does not purge rows of earlier windows.

    Args:
        days: (business day, number of labelled rows), at least one.

    Raises:
        TerminalError: there are no days, or `test_from` is before `validation_from`.
    """
    if not days:
        raise TerminalError(f"{consumer.name}: there are no labelled rows to split.")
    ordered = sorted(days)
    first, end = ordered[0][0], ordered[-1][0] + timedelta(days=1)
    if consumer.validation_from is not None and consumer.test_from is not None:
        cuts = (consumer.validation_from, consumer.test_from)
        if cuts[1] < cuts[0]:
            raise TerminalError(
                f"{consumer.name}: test_from {cuts[1]} is before validation_from {cuts[0]}; correct the dates in "
                "models/exposures.yml."
            )
        first, end = min(first, cuts[0]), max(end, cuts[1])
    else:
        # Use Decimal, because with floats 0.1 + 0.2 is greater than 0.3, which can move a cut by a day.
        test = Decimal(str(consumer.test_share))
        both = test + Decimal(str(consumer.validation_share))
        cuts = (_cut(ordered, both, end), _cut(ordered, test, end))
    edges = [_midnight(day, zone) for day in (first, *cuts, end)]
    return windows_between(edges, consumer.embargo_days)


def windows_between(edges: Sequence[datetime], embargo_days: int) -> tuple[Window, ...]:
    """Return the three windows between four ascending timestamps.

    Given the bounds and the embargo in a snapshot's manifest, the result is the windows that the export used.
    """
    embargo = timedelta(days=embargo_days)
    windows = []
    for index, name in enumerate(SPLITS):
        later = [edges[i] for i in range(index + 1, 3) if edges[i] < edges[i + 1]]
        until = later[0] - embargo if later else None
        windows.append(Window(name, edges[index], edges[index + 1], until))
    return tuple(windows)


def part_slices(rows: int, part_rows: int, min_parts: int) -> list[int]:
    """Return the row offsets at which the parts of one split begin.

    The sizes of the parts differ by at most one row. There are at least `min_parts` parts, because a training instance
    without a part fails, but never more parts than rows. An empty split has one part of 0 rows, so every split has a
    file with the schema.
    """
    parts = max(1, min(rows, max(min_parts, -(-rows // part_rows))))
    return [index * rows // parts for index in range(parts)]


def _cut(ordered: Sequence[tuple[date, int]], share: Decimal, end: date) -> date:
    wanted = share * sum(rows for _, rows in ordered)
    if wanted == 0:
        return end
    reached = 0
    for day, rows in reversed(ordered):
        reached += rows
        if reached >= wanted:
            return day
    return ordered[0][0]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
