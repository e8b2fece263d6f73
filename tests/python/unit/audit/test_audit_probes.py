"""Test the posting times of probes and of added requests, and the skills and contracts of added requests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from feature_mart.audit.probes import add_probes, add_requests
from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.core.duckdb_files import parquet
from feature_mart.core.settings import Clock
from feature_mart.sample import write_sample

CLOCK = Clock(timezone="Asia/Tokyo", refresh_hour=3, publish_lag_minutes=60)
NIGHTS = [datetime(2025, 2, 1, 18, tzinfo=UTC) + timedelta(days=n) for n in range(30)]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> RawWarehouse:
    folder = tmp_path_factory.mktemp("probed") / "sample"
    write_sample(folder, jobs=200, seed=5)
    return RawWarehouse(folder, {}, ("categories", "job_skills"))


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        yield con


def test_requests_fall_in_every_night_with_skills_and_one_contract_each(
    raw: RawWarehouse, con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    add_requests(raw, NIGHTS, CLOCK, tmp_path)
    rows = con.execute(
        f"select regexp_extract(job_id, '^ask([0-9]+)-', 1)::int, posted_at, loaded_at - posted_at "
        f"from {parquet(tmp_path / 'jobs.parquet')} order by all"
    ).fetchall()
    assert [number for number, *_ in rows] == [n for n in range(30) for _ in range(2)]
    for number, posted_at, lag in rows:
        assert NIGHTS[number] <= posted_at < NIGHTS[number] + timedelta(days=1)
        assert timedelta(0) <= lag < timedelta(hours=1)
    assert len({posted_at.hour for _, posted_at, _ in rows}) > 12
    hires = con.execute(
        f"select c.contracted_at - j.posted_at, c.loaded_at > c.contracted_at, c.client_id = j.client_id "
        f"from {parquet(tmp_path / 'contracts.parquet')} c "
        f"join {parquet(tmp_path / 'jobs.parquet')} j using (job_id)"
    ).fetchall()
    assert len(hires) == 60
    assert all(timedelta(0) <= after < timedelta(days=20) for after, _, _ in hires)
    assert all(is_later and is_own for _, is_later, is_own in hires)
    (skills,) = con.execute(
        f"select count(distinct job_id) from {parquet(tmp_path / 'job_skills.parquet')}"
    ).fetchone() or (0,)
    assert skills > 30


def test_probes_fall_between_a_refresh_and_its_publication_and_stay_beside_requests(
    raw: RawWarehouse, con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    probed = add_probes(raw, NIGHTS, CLOCK, tmp_path)
    add_requests(raw, NIGHTS, CLOCK, tmp_path)
    assert probed.probes == tmp_path
    jobs = probed.every_row()["jobs"]
    rows = con.execute(
        f"select job_id, posted_at from ({jobs}) where job_id like 'probe%'"
    ).fetchall()
    assert len(rows) > 10
    for job_id, posted_at in rows:
        refresh_at = CLOCK.refresh_after(NIGHTS[int(job_id.removeprefix("probe").split("-")[0])])
        assert refresh_at <= posted_at < refresh_at + timedelta(minutes=60)
    asked = con.execute(f"select count(*) from ({jobs}) where job_id like 'ask%'").fetchone()
    assert asked == (60,)


def test_without_a_publish_lag_there_are_no_probes(raw: RawWarehouse, tmp_path: Path) -> None:
    clock = Clock(timezone="Asia/Tokyo", refresh_hour=3, publish_lag_minutes=0)
    assert add_probes(raw, NIGHTS, clock, tmp_path) is raw
    assert not list(tmp_path.iterdir())
