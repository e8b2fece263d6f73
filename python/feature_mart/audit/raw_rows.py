"""Select the rows of raw tables from the files of a warehouse: all rows, or the rows known by a given time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from feature_mart.core.duckdb_files import connect, parquet
from feature_mart.core.raw_contract import CONTRACT, EVENTS, INITIAL_STATE
from feature_mart.raw.warehouse import raw_select, table_columns
from feature_mart.runner.load_clock import LoadClockLine


@dataclass(frozen=True, slots=True)
class RawWarehouse:
    """A folder of Parquet files, and the load clock that applies to it.

    Attributes:
        load_clock: the lines of the load clock, by table.
        untimed: tables without load times. All rows of these tables count as known from the start.
        probes: a folder with further rows, one Parquet file per table; None if there are none.
    """

    folder: Path
    load_clock: Mapping[str, tuple[LoadClockLine, ...]]
    untimed: tuple[str, ...]
    probes: Path | None = None

    def every_row(self) -> dict[str, str]:
        """Return a SELECT of all rows, probes included, for each table."""
        return {table: self._source(table) for table in CONTRACT}

    def known_by(self, at: datetime) -> dict[str, str]:
        """Return a SELECT of the rows known by ``at`` for each table.

        If the first row of a key was loaded after ``at`` but is assumed known by ``at``, the row is included with its
        initial state.
        """
        return {table: self._known_by(table, at) for table in CONTRACT}

    def known_by_with_requests(self, at: datetime, until: datetime) -> dict[str, str]:
        """Return the SELECTs of `known_by`, and add the first row of each job posted before ``until``.

        The first row is included even if it was loaded after ``at``, because the caller of a request knows the request
        before it is loaded. All other rows were known by ``at``.
        """
        known = self.known_by(at)
        instant, end = f"timestamptz '{at.isoformat()}'", f"timestamptz '{until.isoformat()}'"
        assumed = f"coalesce({self._assumed_known_at('jobs')} <= {instant}, false)"
        known["jobs"] += (
            f" union all by name select * from (select * from ({self._source('jobs')}) "
            "qualify row_number() over (partition by job_id order by loaded_at) = 1) "
            f"where posted_at < {end} and loaded_at > {instant} and not ({assumed})"
        )
        return known

    def _source(self, table: str) -> str:
        rows = raw_select(self.folder, table)
        more = self.probes / f"{table}.parquet" if self.probes is not None else None
        if more is None or not more.exists():
            return rows
        return f"select * from ({rows}) union all by name select * from {parquet(more)}"

    def _known_by(self, table: str, at: datetime) -> str:
        source, instant = self._source(table), f"timestamptz '{at.isoformat()}'"
        if table in self.untimed:
            return source
        loaded = f"select * from ({source}) where loaded_at <= {instant}"
        if not self.load_clock.get(table) or table not in INITIAL_STATE:
            return loaded
        key = next(iter(CONTRACT[table]))
        columns = {**INITIAL_STATE[table], "is_deleted": "false"}
        initial = ", ".join(f"{value} as {name}" for name, value in columns.items())
        return (
            f"{loaded} union all by name select * replace ({initial}) from ("
            f"select * from ({source}) where loaded_at is not null "
            f"qualify row_number() over (partition by {key} order by loaded_at) = 1"
            f") where loaded_at > {instant} and {self._assumed_known_at(table)} <= {instant}"
        )

    def _assumed_known_at(self, table: str) -> str:
        """Return SQL for the time from which a key's first row is assumed known; NULL if the load time is trusted."""
        known_at = "cast(null as timestamptz)"
        for line in self.load_clock.get(table, ()):
            lag = f"to_microseconds({int(line.assumed_lag_hours * 3_600_000_000)})"
            known_at = f"case when {line.condition('loaded_at')} then {EVENTS[table]} + {lag} else {known_at} end"
        return known_at


def read_raw_warehouse(folder: Path, seeds: Path, warehouse: str) -> RawWarehouse:
    """Return the warehouse in ``folder``.

    ``seeds`` is the DuckDB file with the load clock; ``warehouse`` is the name that selects the lines of the load
    clock.
    """
    with connect(seeds, read_only=True) as con:
        lines = con.execute(
            'select "table", trusted_from, assumed_lag_hours, untrusted_from from main.load_clock '
            "where coalesce(warehouse, '') in ('', ?) order by all",
            [warehouse],
        ).fetchall()
    untimed = [table for table in CONTRACT if "loaded_at" not in table_columns(folder, table)]
    clock: dict[str, tuple[LoadClockLine, ...]] = {}
    for table, trusted_from, hours, untrusted_from in lines:
        line = LoadClockLine(trusted_from, float(hours), untrusted_from)
        clock[table] = (*clock.get(table, ()), line)
    return RawWarehouse(folder, clock, tuple(untimed))
