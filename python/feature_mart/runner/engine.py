"""Where a target keeps its mart: the seam between what a build does and the engine that it does it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from feature_mart.runner.dbt import DbtResult, Node
from feature_mart.runner.first_loads import FirstLoads
from feature_mart.settings import Clock


@dataclass(frozen=True, slots=True)
class Outset:
    """What a build begins from. Without `is_new` it appends to the mart that is there, or builds parts of it anew."""

    is_new: bool
    run_id: str


class Engine(Protocol):
    """The mart of one warehouse on one engine."""

    @property
    def version(self) -> str:
        """The engine's name and version; a mart of another one is built anew."""
        ...

    def check_raw(self) -> None:
        """Raise UsageError unless the raw warehouse is as the contract says."""
        ...

    def newest_load(self) -> datetime | None:
        """The greatest load time of the raw rows; None where the wall clock alone decides what is known."""
        ...

    def first_time(self) -> datetime | None:
        """Return the earliest time in the raw rows; None where asking would cost a scan."""
        ...

    def zone_offsets(
        self, zone: str, first: datetime, last: datetime
    ) -> Sequence[tuple[datetime, int]]:
        """Return the first hour, and each up to ``last`` at which the zone's offset from UTC, in seconds, changes."""
        ...

    def refreshes(self, clock: Clock, days: Sequence[date]) -> Sequence[datetime]:
        """Return the instant of each local day's refresh, as the models' SQL has it."""
        ...

    def first_loads(self, table: str) -> AbstractContextManager[FirstLoads | None]:
        """Return the first loads of a raw table's keys, for as long as the context lasts; None without load times."""
        ...

    def read_kept(self, name: str) -> str | None:
        """A document kept with the mart; None where there is no mart, or none that this engine can read."""
        ...

    def is_unfinished(self) -> bool:
        """Whether rows of a build that never ended may be in the mart's tables, so that no build may append to them."""
        ...

    def has_mart(self) -> bool:
        """Whether something is there that calls itself a mart, readable or not."""
        ...

    def begin(self, outset: Outset) -> None:
        """Make ready for a build by dbt."""
        ...

    @property
    def database(self) -> Path:
        """What dbt is given as its file, which only DuckDB has."""
        ...

    def take_snapshots(self, variables: Mapping[str, object], *, is_taken: bool) -> None:
        """Note what overwritten sources hold now, unless ``is_taken`` says that this refresh did."""
        ...

    def first_rows(self, node: Node) -> Sequence[str]:
        """The first rows that a failing check found, as text; none where it can no longer be asked."""
        ...

    def abandon(self, result: DbtResult) -> str:
        """Leave a failed build behind; one sentence that says what became of the mart."""
        ...

    def describe_marts(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Rows, columns and exclusions of marts, for the run report."""
        ...

    def publish(self, documents: Mapping[str, str]) -> None:
        """Put a finished build in the mart's place, with the documents kept with it: one step."""
        ...

    def local_mart(
        self, tables: Sequence[str], published_at: datetime | None
    ) -> AbstractContextManager[Path]:
        """A DuckDB file that holds these tables as they were published, for as long as the context lasts."""
        ...

    def ask(self, table: str, sql: str, published_at: datetime | None) -> Sequence[tuple[Any, ...]]:
        """The rows of a query that both engines speak, of one table as it was published: ``{table}`` in the query."""
        ...

    def open_for_docs(self) -> None:
        """Make ready for dbt to describe the mart without changing it."""
        ...
