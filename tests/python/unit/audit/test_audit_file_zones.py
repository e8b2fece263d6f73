"""Test the detection of the time zone in which the times of a file were written."""

from __future__ import annotations

import duckdb
import pytest

from feature_mart.audit.given_zones import find_shifts

ZONE = "Asia/Tokyo"


def shifted(
    zone: str,
    requests: str,
    *,
    written: str = "requested_at",
    keys: tuple[str, ...] = ("client_id",),
) -> tuple[list[tuple[str, float]], int]:
    """Return the zone and hours of each shift found in a file with times in ``zone``, and the number of shifted rows.

    ``requests`` is a SELECT of the true times of the requests. ``written`` is an SQL expression for the time that the
    file states for a request.
    """
    with duckdb.connect() as con:
        con.execute(f"set TimeZone = '{ZONE}'; attach ':memory:' as mart")
        con.execute(
            "create table mart.main.int_job__requests as select 'J' || i as job_id, "
            f"'C' || i % 3 as client_id, moment as requested_at from ({requests})"
        )
        con.execute(
            "create temp table sorted as select row_number() over () as n, job_id, client_id, "
            f"timezone('{ZONE}', timezone('{zone}', {written})) as t, true as is_local "
            "from mart.main.int_job__requests"
        )
        found = [(each.zone, each.hours) for each in find_shifts(con, keys, ZONE)]
        row = con.execute("select count(*) from shifted").fetchone()
    assert row is not None
    return found, row[0]


def hourly(first: str, count: int = 60) -> str:
    return f"select i, timestamptz '{first}' + to_minutes((i * 53)::int) as moment from range({count}) r(i)"


def test_both_hours_that_summer_time_repeats_are_of_one_zone() -> None:
    requests = hourly("2025-11-02 03:00:00+00:00")
    assert shifted("America/New_York", requests) == (
        [("America/New_York", 14.0)],
        60,
    )


@pytest.mark.parametrize(("zone", "hours"), [("Europe/Berlin", 7.0), ("Asia/Kolkata", 3.5)])
def test_a_zone_is_named_by_its_own_summer_time(zone: str, hours: float) -> None:
    requests = f"{hourly('2025-07-01')} union all {hourly('2025-08-01')}"
    assert shifted(zone, requests) == ([(zone, hours)], 120)


def test_times_that_fit_as_they_are_need_no_zone() -> None:
    assert shifted(ZONE, hourly("2025-07-01")) == ([], 0)


def test_two_rows_that_fit_by_chance_name_no_zone() -> None:
    apart = "if(job_id in ('J1', 'J2'), requested_at, requested_at + interval 7 minute)"
    assert shifted("UTC", hourly("2025-07-01"), written=apart) == ([], 0)
    assert shifted("UTC", hourly("2025-07-01", 2)) == ([("UTC", 9.0)], 2)


def test_entities_without_requests_have_no_zone() -> None:
    keys = ("skill_id",)
    found = shifted("UTC", hourly("2025-07-01"), keys=keys)
    assert found == ([], 0)
