"""Define the interface between a build and the engine on which the build runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from feature_mart.core.settings import Clock
from feature_mart.runner.dbt import DbtResult, Node
from feature_mart.runner.first_loads import FirstLoads


@dataclass(frozen=True, slots=True)
class Outset:
    """The starting point of a build.

    If `is_new`, the build starts with an empty mart. Otherwise the build appends to the present mart, or rebuilds
    a part of the present mart. `run_id` is the id of the run that builds.
    """

    is_new: bool
    run_id: str


class Engine(Protocol):
    """The interface to the database that builds and contains the mart of one warehouse: DuckDB or BigQuery."""

    @property
    def version(self) -> str:
        """Return the name and version of the engine. A mart built with another version needs a full build."""
        ...

    def check_raw(self) -> None:
        """Raise UsageError if the raw warehouse breaks the raw contract."""
        ...

    def newest_load(self) -> datetime | None:
        """Return the latest load time of the raw rows; None if only the wall clock decides what is known."""
        ...

    def first_time(self) -> datetime | None:
        """Return the earliest time in the raw rows; None if there are no rows, or if a paid scan would be needed."""
        ...

    def newest_event(self) -> tuple[str, datetime] | None:
        """Return the column, as ``table.column``, and the time of the latest event in the raw rows.

        Return None if there is no event, or if a paid scan would be needed to find it.
        """
        ...

    def zone_offsets(
        self, zone: str, first: datetime, last: datetime
    ) -> Sequence[tuple[datetime, int]]:
        """Return the zone's UTC offset in seconds at ``first``, and at each later hour at which the offset changes.

        The result has pairs of time and offset, up to ``last``.
        """
        ...

    def refreshes(self, clock: Clock, days: Sequence[date]) -> Sequence[datetime]:
        """Return the refresh of each day, as the models' SQL computes it; ``days`` are successive business days."""
        ...

    def first_loads(self, table: str) -> AbstractContextManager[FirstLoads | None]:
        """Open a raw table and yield the first loads of its keys; None if the table has no load times."""
        ...

    def read_document(self, name: str) -> str | None:
        """Return a document kept with the mart; None if there is no such document, or no mart this engine can read."""
        ...

    def is_unfinished(self) -> bool:
        """Return True if the mart may contain rows of an unfinished build. Then the next build must be a full one."""
        ...

    def has_mart(self) -> bool:
        """Return True if there is a mart, readable or not."""
        ...

    def begin(self, outset: Outset) -> None:
        """Prepare the database in which dbt builds. ``outset`` states whether the build starts with an empty mart."""
        ...

    @property
    def database(self) -> Path:
        """Return the path of the database file for dbt. On BigQuery the path is not used and no file is there."""
        ...

    def take_snapshots(self, variables: Mapping[str, object], *, is_taken: bool) -> None:
        """Take the dbt snapshots of the overwritten sources.

        ``is_taken`` is True if the mart is already at this refresh. Then snapshots are taken only on DuckDB, and only
        if the history file is missing.
        """
        ...

    def first_rows(self, node: Node) -> Sequence[str]:
        """Return the first rows that a check found, as text; empty if the check has no query or the query fails."""
        ...

    def abandon(self, result: DbtResult) -> str:
        """Abandon a failed build, and return a clause that says what state the mart is in, for the error message."""
        ...

    def describe_marts(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the rows, columns and exclusions of marts, for the run record."""
        ...

    def publish(self, documents: Mapping[str, str]) -> None:
        """Publish a finished build together with its documents. The publication is atomic."""
        ...

    def local_mart(
        self, tables: Sequence[str], published_at: datetime | None
    ) -> AbstractContextManager[Path]:
        """Yield the path of a DuckDB file with at least ``tables`` as published, for use inside the context."""
        ...

    def ask(self, table: str, sql: str, published_at: datetime | None) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a query on one table as published.

        ``sql`` names the table as ``{table}`` and must run on both engines.
        """
        ...

    def open_for_docs(self) -> None:
        """Prepare `database` for `dbt docs generate`, which must not change the mart."""
        ...
