"""Read seeds/load_clock.csv: the periods in which a raw table's load times do not say when its rows were known."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from feature_mart.core.duckdb_files import connect
from feature_mart.core.errors import UsageError
from feature_mart.core.raw_contract import EVENTS

#: The columns of the seed, in the order of printed lines. The file may have the columns in any order.
COLUMNS = ("warehouse", "table", "trusted_from", "assumed_lag_hours", "note", "untrusted_from")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LoadClockLine:
    """A period in which a table's load times do not say when its rows were known.

    The period begins at `untrusted_from`, None for no beginning, and ends before `trusted_from`. A key that was first
    loaded in the period is assumed to have been known `assumed_lag_hours` after its event, unless it was loaded
    earlier.
    """

    trusted_from: datetime
    assumed_lag_hours: float
    untrusted_from: datetime | None = None

    def covers(self, loaded_at: datetime) -> bool:
        """Return True if a load time is in the period."""
        is_begun = self.untrusted_from is None or loaded_at >= self.untrusted_from
        return is_begun and loaded_at < self.trusted_from

    def condition(self, loaded_at: str) -> str:
        """Return a DuckDB condition that is true if the SQL expression ``loaded_at`` is in the period."""
        ends = f"{loaded_at} < timestamptz '{self.trusted_from.isoformat()}'"
        if self.untrusted_from is None:
            return ends
        return f"{loaded_at} >= timestamptz '{self.untrusted_from.isoformat()}' and {ends}"

    def seed_line(self, warehouse: str, table: str, note: str) -> str:
        """Return the text of the line in seeds/load_clock.csv for a warehouse and a table, with ``note`` as reason."""
        values = {
            "warehouse": warehouse,
            "table": table,
            "trusted_from": _text(self.trusted_from),
            "assumed_lag_hours": f"{self.assumed_lag_hours:g}",
            "note": note,
            "untrusted_from": "" if self.untrusted_from is None else _text(self.untrusted_from),
        }
        quoted = (values[name].replace('"', '""') for name in COLUMNS)
        # Write an empty field without quotes: BigQuery reads "" as an empty text, which is not a valid timestamp.
        return ",".join(f'"{value}"' if value else "" for value in quoted)


def _text(at: datetime) -> str:
    fraction = f".{at.microsecond:06d}" if at.microsecond else ""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}{fraction}+00"


def read_load_clock(project: Path, warehouse: str) -> Mapping[str, tuple[LoadClockLine, ...]]:
    """Return the lines of seeds/load_clock.csv that apply to a warehouse, by table, in the order of their periods.

    Raises:
        UsageError: a column is missing, a line is not valid, or periods of one table overlap. The message lists all
            faults.
    """
    path = project / "seeds" / "load_clock.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise UsageError(_missing(missing))
        rows = [
            (reader.line_num, row)
            for row in reader
            if (row["warehouse"] or "") in {"", warehouse} and any(row.values())
        ]
    found: dict[str, list[tuple[int, LoadClockLine]]] = {}
    faults: list[str] = []
    for number, row in rows:
        line = _parsed(row)
        table = row["table"] or ""
        if table not in EVENTS:
            faults.append(
                f"line {number}: {table or 'an empty name'} is not a raw table with load times and events"
            )
        elif isinstance(line, str):
            faults.append(f"line {number} ({table}): {line}")
        else:
            found.setdefault(table, []).append((number, line))
    clock = {}
    for table, lines in found.items():
        lines.sort(key=lambda each: each[1].untrusted_from or _BEGINNING)
        faults += _overlaps(table, lines)
        clock[table] = tuple(line for _, line in lines)
    if faults:
        raise UsageError("seeds/load_clock.csv: " + "; ".join(faults))
    return clock


def check_load_clock(project: Path, warehouse: str) -> None:
    """Check seeds/load_clock.csv before a build.

    Raises:
        UsageError: as `read_load_clock`, or an assumed lag is negative.
    """
    for table, lines in read_load_clock(project, warehouse).items():
        for line in lines:
            if line.assumed_lag_hours < 0:
                raise UsageError(
                    f"seeds/load_clock.csv ({table}): assumed_lag_hours is {line.assumed_lag_hours:g}, so rows would "
                    "be known before their events; write 0 or more."
                )


def _missing(columns: list[str]) -> str:
    if columns == ["untrusted_from"]:
        return (
            "seeds/load_clock.csv has no column untrusted_from (the time from which a table's load times are "
            "wrong): add the name to the first line and a value to every other line; leave the value empty if the "
            "load times were wrong from the start."
        )
    return (
        f"seeds/load_clock.csv has no column {', '.join(columns)}: it needs {', '.join(COLUMNS)}."
    )


def _parsed(row: Mapping[str, str | None]) -> LoadClockLine | str:
    """Return the parsed line of a row of the seed, or a text that says what is wrong with the row."""
    if None in row or None in row.values():
        return f"the line does not have {len(COLUMNS)} fields; write a comma for an empty field too"
    ends, starts = (_instant(row[name] or "") for name in ("trusted_from", "untrusted_from"))
    if ends is None:
        return (
            f"trusted_from is {row['trusted_from']!r}; write a timestamp as 2024-01-31 15:00:00+00"
        )
    if starts is None and row["untrusted_from"]:
        return (
            f"untrusted_from is {row['untrusted_from']!r}; write a timestamp as 2024-01-31 15:00:00+00, or leave the "
            "field empty"
        )
    if starts is not None and starts >= ends:
        return (
            "untrusted_from is not before trusted_from, so the period is empty; correct one of them"
        )
    try:
        hours = int(row["assumed_lag_hours"] or "")
    except ValueError:
        return f"assumed_lag_hours is {row['assumed_lag_hours']!r}; write a whole number of hours"
    return LoadClockLine(ends, hours, starts)


def _instant(text: str) -> datetime | None:
    """Parse a timestamp as DuckDB does: as UTC if it has no offset. Return None if the text is not a timestamp."""
    with connect() as con:
        row = con.execute("select epoch_us(try_cast(? as timestamptz))", [text]).fetchone()
    return None if row is None or row[0] is None else _EPOCH + timedelta(microseconds=row[0])


def _overlaps(table: str, lines: list[tuple[int, LoadClockLine]]) -> Iterator[str]:
    for (first, one), (second, other) in pairwise(lines):
        if other.untrusted_from is None or other.untrusted_from < one.trusted_from:
            yield (
                f"lines {min(first, second)} and {max(first, second)} ({table}) overlap; set untrusted_from of the "
                "later line to trusted_from of the earlier one, or remove one"
            )
