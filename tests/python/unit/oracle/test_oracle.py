"""Test the oracle's clock, numbers and row versions on cases worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from oracle import Clock, LoadClockLine, expected_tables
from oracle.numbers import days_between, fixed_log, half_away_from_zero, mean_log, quantile_log
from oracle.raw_rows import at, client, contract, job, world
from oracle.staging import row_versions

# --- the clock


@pytest.mark.parametrize(
    ("instant", "refresh"),
    [
        ("2024-05-01 03:00", "2024-05-01 03:00"),
        ("2024-05-01 03:00:00.000001", "2024-05-02 03:00"),
        ("2024-05-01 02:59:59.999999", "2024-05-01 03:00"),
        ("2024-05-01 00:00", "2024-05-01 03:00"),
        ("2024-04-30 23:59:59.999999", "2024-05-01 03:00"),
    ],
)
def test_refresh_is_the_first_at_or_after(instant: str, refresh: str) -> None:
    assert Clock().refresh(at(instant)) == at(refresh)


def test_refresh_keeps_its_local_hour_when_the_clocks_change() -> None:
    clock = Clock(zone="America/New_York")
    assert clock.refresh_of(date(2024, 3, 9)) == datetime(2024, 3, 9, 8, tzinfo=UTC)
    assert clock.refresh_of(date(2024, 3, 10)) == datetime(2024, 3, 10, 7, tzinfo=UTC)


def test_as_of_between_two_refreshes_is_the_earlier() -> None:
    assert world("2024-05-01 02:59").as_of_at == at("2024-04-30 03:00")
    assert world("2024-05-01 03:00").as_of_at == at("2024-05-01 03:00")


# --- numbers


def test_half_away_from_zero_rounds_ties_outwards() -> None:
    given = ["0.5", "-0.5", "2.5", "-2.5", "1000.499", "0.49999999999999994"]
    assert [half_away_from_zero(Decimal(text)) for text in given] == [1, -1, 3, -3, 1000, 0]


def test_fixed_log_is_in_millionths_and_none_up_to_zero() -> None:
    assert [fixed_log(value) for value in (1, 2, 1000, 50000)] == [0, 693147, 6907755, 10819778]
    assert [fixed_log(value) for value in (0, -1, None)] == [None, None, None]


def test_mean_log_divides_once() -> None:
    assert mean_log([1, 2, 2]) == 5 / 3_000_000
    assert mean_log([]) is None


@pytest.mark.parametrize(
    ("logs", "quartiles"),
    [
        ([], (None, None, None)),
        ([0], (0.025, 0.025, 0.025)),
        ([100_000, 49_999, 50_000, 0], (0.025, 0.025, 0.075)),
        ([0, 50_000, 100_000], (0.025, 0.075, 0.125)),
        ([0, 50_000, 100_000, 150_000, 200_000], (0.075, 0.125, 0.175)),
        ([150_000, 150_000, 150_000, 0], (0.025, 0.175, 0.175)),
    ],
)
def test_quantile_is_the_midpoint_of_the_first_bucket_that_reaches_the_share(
    logs: list[int], quartiles: tuple[float | None, ...]
) -> None:
    assert tuple(quantile_log(logs, share, 4) for share in (1, 2, 3)) == quartiles


def test_days_between_counts_days_of_24_hours_and_is_signed() -> None:
    assert days_between(at("2024-05-03 00:00"), at("2024-05-01 12:00")) == 1.5
    assert days_between(at("2024-05-01 00:00"), at("2024-05-01 06:00")) == -0.25
    assert days_between(at("2024-05-01 00:00"), None) is None


# --- staging


def test_row_versions_count_an_exact_duplicate_once() -> None:
    tables = {"contracts": [contract(), contract()]}
    assert len(row_versions("contracts", tables, world())["d1"]) == 1


def test_row_versions_refuse_one_load_with_two_values() -> None:
    with pytest.raises(ValueError, match="contracts d1"):
        row_versions("contracts", {"contracts": [contract(), contract(status="void")]}, world())


def test_row_versions_clean_status_price_flag_and_zone() -> None:
    in_new_york = at("2024-05-01 09:00").astimezone(ZoneInfo("America/New_York"))
    raw = contract(status=" Completed\t", agreed_price=Decimal("999.5"), loaded_at=in_new_york)
    (version,) = row_versions("contracts", {"contracts": [raw]}, world())["d1"]
    assert version["status"] == "completed"
    assert version["agreed_price_amount"] == 1000
    assert version["is_deleted"] is False
    assert version["known_at"] == at("2024-05-01 09:00")
    assert version["known_at"].tzinfo is UTC


def test_row_versions_stop_at_the_refresh_of_the_build() -> None:
    tables = {"contracts": [contract(loaded_at=at("2024-05-03 03:00"))]}
    assert row_versions("contracts", tables, world("2024-05-03 02:59")) == {}
    assert list(row_versions("contracts", tables, world("2024-05-03 03:00"))) == ["d1"]


TRUSTED = LoadClockLine(trusted_from=at("2024-06-01 00:00"), assumed_lag_hours=24)


def test_bulk_loaded_contract_has_an_initial_version_after_the_assumed_lag() -> None:
    bulk = at("2024-05-31 10:00")
    raw = [
        contract(status="cancelled", loaded_at=bulk),
        contract(status="void", loaded_at=bulk + timedelta(hours=1)),
    ]
    versions = row_versions("contracts", {"contracts": raw}, world(contracts=TRUSTED))["d1"]
    seen = [(row["known_at"], row["status"], row["is_known_at_assumed"]) for row in versions]
    assert seen == [
        (at("2024-05-02 09:00"), "active", True),
        (at("2024-05-31 10:00"), "cancelled", False),
        (at("2024-05-31 11:00"), "void", False),
    ]
    assert versions[0]["loaded_at"] == bulk
    assert versions[0]["agreed_price_amount"] == 50000


@pytest.mark.parametrize(
    ("loaded_at", "versions"),
    [
        ("2024-05-02 09:00", 1),  # loaded exactly at event + lag: no initial version
        ("2024-05-02 09:00:00.000001", 2),
        ("2024-05-31 23:59:59.999999", 2),
        ("2024-06-01 00:00", 1),  # the end of the untrusted period: load times are trusted
    ],
)
def test_initial_version_needs_an_untrusted_load_after_the_lag(
    loaded_at: str, versions: int
) -> None:
    tables = {"contracts": [contract(loaded_at=at(loaded_at))]}
    assert len(row_versions("contracts", tables, world(contracts=TRUSTED))["d1"]) == versions


def test_initial_versions_of_jobs_and_clients_lack_what_may_change() -> None:
    bulk = at("2024-05-31 10:00")
    deadline = at("2024-05-20 12:00")
    tables = {
        "jobs": [job(apply_deadline_at=deadline, is_deleted=True, loaded_at=bulk)],
        "clients": [client(prefecture="東京都", loaded_at=bulk)],
    }
    build = world(jobs=TRUSTED, clients=TRUSTED)
    first_job = row_versions("jobs", tables, build)["j1"][0]
    assert first_job["known_at"] == at("2024-05-11 12:00")
    assert (first_job["status"], first_job["apply_deadline_at"]) == (None, None)
    assert first_job["is_deleted"] is False
    first_client = row_versions("clients", tables, build)["c1"][0]
    assert (first_client["client_kind"], first_client["prefecture"]) == (None, None)
    (request,) = expected_tables(tables, build)["int_job__requests"]
    assert request["apply_deadline_at"] is None
    assert request["entered_at"] == at("2024-05-12 03:00")
    assert request["is_known_at_assumed"] is True


def test_client_without_registration_time_has_no_initial_version() -> None:
    tables = {"clients": [client(registered_at=None, loaded_at=at("2024-05-31 10:00"))]}
    assert len(row_versions("clients", tables, world(clients=TRUSTED))["c1"]) == 1
