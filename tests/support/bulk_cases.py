"""Write small contracts tables with bulk loads, for tests of the advice on bulk loads and the audit of load clocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa

from compiled_mart import RAW_TABLES, empty_warehouse
from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.core.duckdb_files import connect, copy_to
from feature_mart.runner.duckdb_engine import open_first_loads
from feature_mart.runner.first_loads import FirstLoads
from feature_mart.runner.load_clock import LoadClockLine

Row = dict[str, Any]
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def contract(name: str, contracted_at: datetime | None, loaded_at: datetime) -> Row:
    return {
        "contract_id": name,
        "job_id": "j",
        "agreed_price": 1000,
        "contracted_at": contracted_at,
        "status": "active",
        "loaded_at": loaded_at,
    }


def daily_rows(days: int, a_day: int = 8, lag: timedelta = 6 * HOUR, seed: int = 0) -> list[Row]:
    """Return ``a_day`` contracts per day on average, each loaded between half of ``lag`` and ``lag`` after its event.

    About one contract in twelve is loaded another one to six days later.
    """
    rng = Random(seed)
    rows = []
    for number in range(days * a_day):
        contracted_at = START + timedelta(seconds=rng.randrange(days * 86_400))
        loaded_at = contracted_at + lag * rng.uniform(0.5, 1)
        if rng.random() < 1 / 12:
            loaded_at += timedelta(seconds=rng.randrange(86_400, 6 * 86_400))
        rows.append(contract(f"k{number:05d}", contracted_at, loaded_at))
    return rows


def loaded_at_once(
    rows: Sequence[Row], since: datetime, until: datetime, at: datetime | None = None
) -> list[Row]:
    """Return the rows, with one load time for all that were loaded at or after ``since`` and before ``until``.

    The load time is ``at``, or ``until`` if ``at`` is None.
    """
    return [
        row | {"loaded_at": at or until} if since <= row["loaded_at"] < until else row
        for row in rows
    ]


def write_contracts(folder: Path, rows: Sequence[Row]) -> Path:
    """Write a warehouse whose only rows are these contracts, and return its folder."""
    empty_warehouse(folder)
    columns = RAW_TABLES["contracts"]
    given = pa.table({name: pa.array([row.get(name) for row in rows]) for name in columns})
    casts = ", ".join(f"cast({name} as {type_}) as {name}" for name, type_ in columns.items())
    with connect() as con:
        con.register("given_rows", given)
        copy_to(con, f"select {casts} from given_rows", folder / "contracts.parquet")
    return folder


@contextmanager
def first_loads_of(folder: Path, rows: Sequence[Row]) -> Iterator[FirstLoads]:
    """Yield the first loads of these contracts, with days in the time zone of Tokyo."""
    raw = warehouse_of(folder, rows)
    with open_first_loads(raw.every_row()["contracts"], "contracts", "Asia/Tokyo") as loads:
        yield loads


def warehouse_of(folder: Path, rows: Sequence[Row], *lines: LoadClockLine) -> RawWarehouse:
    """Return a warehouse of these contracts whose load clock has these lines."""
    return RawWarehouse(write_contracts(folder, rows), {"contracts": lines}, ())
