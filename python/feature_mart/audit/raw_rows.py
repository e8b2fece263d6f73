"""Raw tables as SELECTs over the files of a warehouse: all of their rows, or those known by an instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from feature_mart.duckdb_files import connect
from feature_mart.raw_contract import CONTRACT, EVENTS
from feature_mart.warehouse import raw_select, table_columns

#: Which tables' rows can be assumed known before they were loaded, and what stays at its initial state until then.
INITIAL_STATE: Mapping[str, Mapping[str, str]] = {
    "clients": {"client_kind": "null", "prefecture": "null"},
    "freelancers": {"freelancer_kind": "null"},
    "jobs": {"apply_deadline_at": "null", "status": "null"},
    "proposals": {},
    "contracts": {"status": "'active'"},
}


@dataclass(frozen=True, slots=True)
class LoadClockLine:
    """From when a table's load times are true, and how long after its event an older row is assumed known."""

    trusted_from: datetime
    assumed_lag_hours: float


@dataclass(frozen=True, slots=True)
class RawWarehouse:
    """A folder of Parquet files, with the load clock that holds for it.

    `untimed` are the tables without load times: what they hold is known from the start, and nothing can be taken away.
    """

    folder: Path
    load_clock: Mapping[str, LoadClockLine]
    untimed: tuple[str, ...]

    def every_row(self) -> dict[str, str]:
        """A SELECT of each table."""
        return {table: self._source(table) for table in CONTRACT}

    def known_by(self, at: datetime) -> dict[str, str]:
        """A SELECT of each table's rows that were known at an instant.

        A row loaded later but assumed known is there in its initial state.
        """
        return {table: self._known_by(table, at) for table in CONTRACT}

    def known_by_with_requests(self, at: datetime) -> dict[str, str]:
        """The same, and the first row of every job that was posted by then, though it was loaded later.

        A request is known to whoever makes it; nothing else is that came between it and its load.
        """
        known = self.known_by(at)
        line = self.load_clock.get("jobs")
        instant = f"timestamptz '{at.isoformat()}'"
        assumed = "false"
        if line is not None:
            lag = f"to_microseconds({int(line.assumed_lag_hours * 3_600_000_000)})"
            assumed = (
                f"loaded_at < timestamptz '{line.trusted_from.isoformat()}' "
                f"and posted_at + {lag} <= {instant}"
            )
        known["jobs"] += (
            f" union all by name select * from (select * from ({self._source('jobs')}) "
            "qualify row_number() over (partition by job_id order by loaded_at) = 1) "
            f"where posted_at <= {instant} and loaded_at > {instant} and not ({assumed})"
        )
        return known

    def _source(self, table: str) -> str:
        return raw_select(self.folder, table)

    def _known_by(self, table: str, at: datetime) -> str:
        source, instant = self._source(table), f"timestamptz '{at.isoformat()}'"
        if table in self.untimed:
            return source
        loaded = f"select * from ({source}) where loaded_at <= {instant}"
        line = self.load_clock.get(table)
        if line is None or table not in INITIAL_STATE:
            return loaded
        key = next(iter(CONTRACT[table]))
        columns = {**INITIAL_STATE[table], "is_deleted": "false"}
        initial = ", ".join(f"{value} as {name}" for name, value in columns.items())
        known_at = (
            f"{EVENTS[table]} + to_microseconds({int(line.assumed_lag_hours * 3_600_000_000)})"
        )
        return (
            f"{loaded} union all by name select * replace ({initial}) from ("
            f"select * from ({source}) where loaded_at < timestamptz '{line.trusted_from.isoformat()}' "
            f"qualify row_number() over (partition by {key} order by loaded_at) = 1"
            f") where loaded_at > {instant} and {known_at} <= {instant}"
        )


def read_raw_warehouse(folder: Path, seeds: Path, warehouse: str) -> RawWarehouse:
    """The warehouse in a folder; its load clock is that of the seed in ``seeds``, a DuckDB file."""
    with connect(seeds, read_only=True) as con:
        lines = con.execute(
            'select "table", trusted_from, assumed_lag_hours from main.load_clock '
            "where warehouse is null or warehouse = ?",
            [warehouse],
        ).fetchall()
    untimed = [table for table in CONTRACT if "loaded_at" not in table_columns(folder, table)]
    clock = {
        table: LoadClockLine(trusted_from, float(hours)) for table, trusted_from, hours in lines
    }
    return RawWarehouse(folder, clock, tuple(untimed))
