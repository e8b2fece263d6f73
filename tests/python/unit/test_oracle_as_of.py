"""Test the oracle's as-of tables on histories worked out by hand."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from oracle import Row, Tables, World, expected_tables
from oracle.raw_rows import at, client, contract, job, world

LOG_50000 = 10.819778
LOG_1000 = 6.907755


def history(tables: Tables, column: str, build: World | None = None) -> list[tuple[datetime, Any]]:
    """One column of client c1's history, with each row's as_of_at."""
    rows = expected_tables(tables, build or world())["feat_client__history"]
    return [(row["as_of_at"], row[column]) for row in rows if row["client_id"] == "c1"]


def prices(tables: Tables, column: str, category_id: str = "k1") -> list[tuple[datetime, Any]]:
    """One column of a category's prices, with each row's as_of_at."""
    rows = expected_tables(tables, world())["feat_category__prices"]
    return [(row["as_of_at"], row[column]) for row in rows if row["category_id"] == category_id]


# --- client history: entering and leaving


def test_contract_enters_at_the_next_refresh_and_leaves_after_its_window() -> None:
    tables = {"contracts": [contract()]}
    rows = expected_tables(tables, world())["feat_client__history"]
    entered = {
        "client_id": "c1",
        "as_of_at": at("2024-05-02 03:00"),
        "available_at": at("2024-05-02 04:00"),
        "client_posting_count_90d": 0,
        "client_contract_count_365d": 1,
        "client_contract_count_all": 1,
        "client_log_price_mean_365d": LOG_50000,
        "client_cancelled_contract_ratio_all": 0.0,
        "client_last_contracted_at": at("2024-05-01 09:00"),
        "client_registered_at": None,
        "client_review_count_all": 0,
        "client_rating_mean_all": None,
    }
    left = entered | {
        "as_of_at": at("2025-05-02 03:00"),
        "available_at": at("2025-05-02 04:00"),
        "client_contract_count_365d": 0,
        "client_log_price_mean_365d": None,
    }
    assert rows == [entered, left]


def test_contract_made_and_known_exactly_at_a_refresh_enters_and_leaves_at_that_hour() -> None:
    tables = {"contracts": [contract(contracted_at=at("2024-05-01 03:00"))]}
    assert history(tables, "client_contract_count_365d") == [
        (at("2024-05-01 03:00"), 1),
        (at("2025-05-01 03:00"), 0),
    ]


def test_contract_loaded_before_its_event_waits_for_it() -> None:
    tables = {"contracts": [contract(loaded_at=at("2024-04-01 09:00"))]}
    assert history(tables, "client_contract_count_all")[0] == (at("2024-05-02 03:00"), 1)


def test_late_contract_counts_from_when_it_was_known_and_leaves_by_its_event() -> None:
    tables = {"contracts": [contract(loaded_at=at("2025-05-01 03:00"))]}
    assert history(tables, "client_contract_count_365d") == [
        (at("2025-05-01 03:00"), 1),
        (at("2025-05-02 03:00"), 0),
    ]


def test_contract_known_after_its_window_never_enters_the_window() -> None:
    tables = {"contracts": [contract(loaded_at=at("2025-05-02 03:00"))]}
    assert history(tables, "client_contract_count_365d") == [(at("2025-05-02 03:00"), 0)]
    assert history(tables, "client_contract_count_all") == [(at("2025-05-02 03:00"), 1)]


def test_correction_after_the_window_closed_changes_nothing() -> None:
    corrected = contract(agreed_price=Decimal(1000), loaded_at=at("2025-06-01 09:00"))
    tables = {"contracts": [contract(), corrected]}
    assert history(tables, "client_log_price_mean_365d") == [
        (at("2024-05-02 03:00"), LOG_50000),
        (at("2025-05-02 03:00"), None),
    ]


def test_corrected_price_replaces_the_former_at_the_refresh_that_knows_it() -> None:
    corrected = contract(agreed_price=Decimal(1000), loaded_at=at("2024-05-10 09:00"))
    tables = {"contracts": [contract(), corrected]}
    assert history(tables, "client_log_price_mean_365d")[:2] == [
        (at("2024-05-02 03:00"), LOG_50000),
        (at("2024-05-11 03:00"), LOG_1000),
    ]


def test_cancellation_takes_the_contract_out_and_counts_in_the_ratio() -> None:
    tables = {
        "contracts": [contract(), contract(status="cancelled", loaded_at=at("2024-05-10 09:00"))]
    }
    (first, second) = expected_tables(tables, world())["feat_client__history"]
    assert first["client_cancelled_contract_ratio_all"] == 0.0
    assert second["as_of_at"] == at("2024-05-11 03:00")
    assert second["client_contract_count_all"] == 0
    assert second["client_log_price_mean_365d"] is None
    assert second["client_cancelled_contract_ratio_all"] == 1.0
    assert second["client_last_contracted_at"] is None


def test_exact_duplicate_counts_once() -> None:
    assert history({"contracts": [contract(), contract()]}, "client_contract_count_all") == [
        (at("2024-05-02 03:00"), 1),
        (at("2025-05-02 03:00"), 1),  # out of the 365 days: another column changed
    ]


def test_events_on_either_side_of_midnight_belong_to_one_refresh() -> None:
    tables = {
        "contracts": [
            contract("d1", contracted_at=at("2024-05-01 23:59:59.999999")),
            contract("d2", contracted_at=at("2024-05-02 00:00")),
        ]
    }
    assert history(tables, "client_contract_count_all")[0] == (at("2024-05-02 03:00"), 2)


def test_void_contract_is_neither_counted_nor_cancelled() -> None:
    assert history({"contracts": [contract(status="VOID")]}, "client_contract_count_all") == []


def test_deleted_contract_is_gone_and_comes_back_undeleted() -> None:
    tables = {
        "contracts": [
            contract(),
            contract(is_deleted=True, loaded_at=at("2024-05-10 09:00")),
            contract(is_deleted=False, loaded_at=at("2024-05-20 09:00")),
        ]
    }
    assert history(tables, "client_contract_count_365d") == [
        (at("2024-05-02 03:00"), 1),
        (at("2024-05-11 03:00"), 0),
        (at("2024-05-21 03:00"), 1),
        (at("2025-05-02 03:00"), 0),
    ]


def test_moved_contract_leaves_until_its_new_time() -> None:
    moved = contract(contracted_at=at("2024-05-20 09:00"), loaded_at=at("2024-05-10 09:00"))
    tables = {"contracts": [contract(), moved]}
    assert history(tables, "client_last_contracted_at") == [
        (at("2024-05-02 03:00"), at("2024-05-01 09:00")),
        (at("2024-05-11 03:00"), None),
        (at("2024-05-21 03:00"), at("2024-05-20 09:00")),
        (at("2025-05-21 03:00"), at("2024-05-20 09:00")),
    ]


def test_of_two_versions_within_one_refresh_only_the_last_counts() -> None:
    cancelled = contract(status="cancelled", loaded_at=at("2024-05-02 03:00"))
    tables = {"contracts": [contract(), cancelled]}
    assert history(tables, "client_cancelled_contract_ratio_all") == [(at("2024-05-02 03:00"), 1.0)]
    assert history(tables, "client_contract_count_all") == [(at("2024-05-02 03:00"), 0)]


def test_version_that_changes_no_column_makes_no_row() -> None:
    completed = contract(status="completed", loaded_at=at("2024-05-10 09:00"))
    assert len(history({"contracts": [contract(), completed]}, "client_contract_count_all")) == 2


def test_last_contract_falls_back_when_the_newest_is_cancelled() -> None:
    newer = {"contract_id": "d2", "contracted_at": at("2024-05-05 09:00")}
    tables = {
        "contracts": [
            contract(),
            contract(**newer),
            contract(**newer, status="cancelled", loaded_at=at("2024-05-10 09:00")),
        ]
    }
    assert history(tables, "client_last_contracted_at")[:3] == [
        (at("2024-05-02 03:00"), at("2024-05-01 09:00")),
        (at("2024-05-06 03:00"), at("2024-05-05 09:00")),
        (at("2024-05-11 03:00"), at("2024-05-01 09:00")),
    ]


def test_contract_that_changes_client_moves_from_one_history_to_the_other() -> None:
    tables = {"contracts": [contract(client_id="c2"), contract(loaded_at=at("2024-05-10 09:00"))]}
    rows = expected_tables(tables, world())["feat_client__history"]
    counts = [
        (row["client_id"], row["as_of_at"], row["client_contract_count_365d"]) for row in rows
    ]
    assert counts == [
        ("c1", at("2024-05-11 03:00"), 1),
        ("c1", at("2025-05-02 03:00"), 0),
        ("c2", at("2024-05-02 03:00"), 1),
        ("c2", at("2024-05-11 03:00"), 0),
    ]


def test_unpriced_contract_counts_but_has_no_part_in_the_mean() -> None:
    tables = {
        "contracts": [contract(), contract("d2", agreed_price=None)],
    }
    (row, _) = expected_tables(tables, world())["feat_client__history"]
    assert row["client_contract_count_365d"] == 2
    assert row["client_log_price_mean_365d"] == LOG_50000


def test_postings_count_for_90_days_unless_deleted() -> None:
    tables = {
        "jobs": [
            job("j1"),
            job("j2", posted_at=at("2024-05-11 03:00")),
            job(
                "j2",
                posted_at=at("2024-05-11 03:00"),
                is_deleted=True,
                loaded_at=at("2024-06-01 00:00"),
            ),
        ]
    }
    assert history(tables, "client_posting_count_90d") == [
        (at("2024-05-11 03:00"), 2),
        (at("2024-06-01 03:00"), 1),
        (at("2024-08-09 03:00"), 0),  # 10 May 12:00 + 90 days is 8 August 12:00
    ]


def test_posting_that_changes_client_moves_to_the_other() -> None:
    tables = {"jobs": [job(), job(client_id="c2", loaded_at=at("2024-05-20 12:00"))]}
    rows = expected_tables(tables, world())["feat_client__history"]
    assert [
        (row["client_id"], row["as_of_at"], row["client_posting_count_90d"]) for row in rows
    ] == [
        ("c1", at("2024-05-11 03:00"), 1),
        ("c1", at("2024-05-21 03:00"), 0),
        ("c2", at("2024-05-21 03:00"), 1),
        ("c2", at("2024-08-09 03:00"), 0),
    ]


def test_registration_is_that_of_the_client_version_in_effect() -> None:
    tables = {
        "clients": [
            client(),
            client(registered_at=at("2024-03-01 00:00"), loaded_at=at("2024-04-10 03:00")),
            client(is_deleted=True, loaded_at=at("2024-04-20 12:00")),
        ]
    }
    assert history(tables, "client_registered_at") == [
        (at("2024-04-02 03:00"), at("2024-04-01 12:00")),
        (at("2024-04-10 03:00"), at("2024-03-01 00:00")),
        (at("2024-04-21 03:00"), None),
    ]


def test_client_that_registers_in_the_future_is_registered_once_known() -> None:
    tables = {"clients": [client(registered_at=at("2030-01-01 00:00"))]}
    assert history(tables, "client_registered_at") == [
        (at("2024-04-02 03:00"), at("2030-01-01 00:00"))
    ]


# --- category prices


def posted(category_id: str | None = "k1", **given: Any) -> Row:
    """The job of the default contract, posted and known on 20 April."""
    return job("j0", posted_at=at("2024-04-20 12:00"), category_id=category_id, **given)


def test_category_row_by_hand() -> None:
    tables = {
        "jobs": [posted()],
        "contracts": [
            contract("d1", agreed_price=Decimal(50000)),  # log 10.819778: bucket 216
            contract("d2", agreed_price=Decimal(1000)),  # log 6.907755: bucket 138
            contract("d3", agreed_price=Decimal(1000), freelancer_id="f2"),
            contract("d4", agreed_price=None, freelancer_id=None),
        ],
    }
    rows = expected_tables(tables, world())["feat_category__prices"]
    of_window = {
        "category_contract_count": 4,
        "category_log_price_mean": 24_635_288 / 3_000_000,
        "category_log_price_p25": 6.925,
        "category_log_price_p50": 6.925,
        "category_log_price_p75": 10.825,
        "category_active_freelancer_count": 2,
    }
    empty = dict.fromkeys(of_window) | {
        "category_contract_count": 0,
        "category_active_freelancer_count": 0,
    }

    def named(values: Row, window: str) -> Row:
        return {f"{name}_{window}": value for name, value in values.items()}

    def published(as_of_at: str, available_at: str) -> Row:
        return {"category_id": "k1", "as_of_at": at(as_of_at), "available_at": at(available_at)}

    assert rows == [
        published("2024-05-02 03:00", "2024-05-02 04:00")
        | named(of_window, "90d")
        | named(of_window, "365d"),
        published("2024-07-31 03:00", "2024-07-31 04:00")  # 1 May 09:00 + 90 days: 30 July 09:00
        | named(empty, "90d")
        | named(of_window, "365d"),
        published("2025-05-02 03:00", "2025-05-02 04:00")
        | named(empty, "90d")
        | named(empty, "365d"),
    ]


def test_contract_counts_in_a_category_once_its_job_is_known() -> None:
    tables = {
        "jobs": [posted(loaded_at=at("2024-05-20 12:00"))],
        "contracts": [contract()],
    }
    assert prices(tables, "category_contract_count_90d")[0] == (at("2024-05-21 03:00"), 1)


def test_contract_of_an_unknown_job_or_without_category_counts_in_none() -> None:
    assert expected_tables({"contracts": [contract()]}, world())["feat_category__prices"] == []
    tables = {"jobs": [posted(category_id=None)], "contracts": [contract()]}
    assert expected_tables(tables, world())["feat_category__prices"] == []


def test_category_is_frozen_when_the_contract_first_counts() -> None:
    tables = {
        "jobs": [
            posted("k1"),
            posted("k2", loaded_at=at("2024-05-02 03:00")),
            posted("k3", loaded_at=at("2024-05-02 03:00:00.000001")),
        ],
        "contracts": [contract(), contract(agreed_price=None, loaded_at=at("2024-06-01 09:00"))],
    }
    assert prices(tables, "category_log_price_mean_90d", "k2") == [
        (at("2024-05-02 03:00"), LOG_50000),
        (at("2024-06-02 03:00"), None),
        (at("2024-07-31 03:00"), None),
        (at("2025-05-02 03:00"), None),
    ]
    assert prices(tables, "category_contract_count_90d", "k1") == []
    assert prices(tables, "category_contract_count_90d", "k3") == []


def test_category_is_frozen_by_the_first_version_that_counts_not_by_a_void_one() -> None:
    tables = {
        "jobs": [posted("k1"), posted("k2", is_deleted=True, loaded_at=at("2024-05-05 12:00"))],
        "contracts": [contract(status="void"), contract(loaded_at=at("2024-05-10 09:00"))],
    }
    assert prices(tables, "category_contract_count_90d", "k1") == []
    assert prices(tables, "category_contract_count_90d", "k2")[0] == (at("2024-05-11 03:00"), 1)


def test_category_of_a_contract_loaded_before_its_event_is_that_of_the_event() -> None:
    tables = {
        "jobs": [posted("k1"), posted("k2", loaded_at=at("2024-04-28 12:00"))],
        "contracts": [contract(loaded_at=at("2024-04-25 12:00"))],
    }
    assert prices(tables, "category_contract_count_90d", "k1") == []
    assert prices(tables, "category_contract_count_90d", "k2")[0] == (at("2024-05-02 03:00"), 1)


def test_freelancers_are_counted_once_and_again_only_when_the_last_contract_leaves() -> None:
    later = {"contract_id": "d2", "contracted_at": at("2024-05-10 03:00")}
    tables = {"jobs": [posted()], "contracts": [contract(), contract(**later)]}
    assert prices(tables, "category_active_freelancer_count_90d") == [
        (at("2024-05-02 03:00"), 1),
        (at("2024-05-10 03:00"), 1),
        (at("2024-07-31 03:00"), 1),
        (at("2024-08-08 03:00"), 0),
        (at("2025-05-02 03:00"), 0),
        (at("2025-05-10 03:00"), 0),
    ]
