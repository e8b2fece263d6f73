"""Compare the project with the oracle at three refreshes, with one or all raw tables as overwritten sources."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_mart.core.raw_contract import CONTRACT
from feature_mart.sample import write_sample
from oracle import Row
from oracle_differences import differences
from settings_project import SetProject, make_project

KEYS = {table: (next(iter(columns)),) for table, columns in CONTRACT.items()} | {
    "job_skills": ("job_id", "skill")
}
#: The first refresh that contains the whole sample. Each build runs 30 minutes after a refresh, within the publish lag,
#: so its dbt snapshot counts as taken at that refresh.
FIRST = datetime(2026, 3, 31, 18, tzinfo=UTC)
DAY, MINUTES = timedelta(days=1), timedelta(minutes=30)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "sample"
    write_sample(folder, jobs=150, seed=3)
    return folder


class Present:
    """An overwritten raw table. `seen` has the row versions that dbt snapshots of the table should record."""

    def __init__(self, made: SetProject, table: str) -> None:
        self.path, self.key = made.warehouse / f"{table}.parquet", KEYS[table]
        read = pq.read_table(self.path, partitioning=None)
        newest: dict[Any, Row] = {}
        for row in sorted(read.to_pylist(), key=lambda row: str(row.get("loaded_at"))):
            newest[tuple(row[name] for name in self.key)] = row
        self.fields = [
            field for field in read.schema if field.name not in ("loaded_at", "is_deleted")
        ]
        names = [field.name for field in self.fields]
        self.rows = {
            key: {name: row[name] for name in names}
            for key, row in newest.items()
            if not row.get("is_deleted")
        }
        self.seen: list[Row] = []
        self.last: dict[Any, Row] = {}

    def change(self, day: int) -> None:
        """Overwrite the file. On day 1, a row is removed and a column added; on day 2, the row is inserted again."""
        if day == 1:
            self.gone = min(self.rows)
            self.row = self.rows.pop(self.gone)
        elif day == 2:
            self.rows[self.gone] = self.row
        schema = pa.schema([*self.fields, *([("score", pa.int64())] if day else [])])
        pq.write_table(pa.Table.from_pylist(list(self.rows.values()), schema=schema), self.path)

    def take(self, at: datetime) -> None:
        """Add the versions that a dbt snapshot at ``at`` records: rows that are new, changed or removed."""
        for key in self.rows.keys() | self.last.keys():
            now, before = self.rows.get(key), self.last.get(key)
            if now != before:
                version = before if now is None else now
                self.seen.append({**(version or {}), "loaded_at": at, "is_deleted": now is None})
        self.last = {key: dict(row) for key, row in self.rows.items()}


@pytest.mark.audit
@pytest.mark.parametrize(
    "tables", [*((table,) for table in CONTRACT), tuple(CONTRACT)], ids="+".join
)
def test_an_overwritten_source_is_as_the_oracle_reads_its_snapshots(
    sample: Path, tmp_path: Path, tables: tuple[str, ...]
) -> None:
    made = make_project(tmp_path, sample, overwritten_sources=list(tables))
    raw = dict(made.raw_rows())
    present = {table: Present(made, table) for table in tables}
    for day in range(3):
        at = FIRST + day * DAY
        for table in present.values():
            table.change(day)
            table.take(at)
        made.build(now=at + MINUTES)
        rows = raw | {name: table.seen for name, table in present.items()}
        with made.open_mart() as con:
            built = con.execute("select as_of_at from main.int_mart__clock").fetchone()
            assert built == (at,)
            assert differences(con, made.expected(at, rows)) == []
