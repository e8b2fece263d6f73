"""Test the oracle's as-of tables on histories worked out by hand."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from oracle import Row, Tables
from oracle.changes import changes
from oracle.raw_rows import at, client, contract, job

Changes = list[tuple[datetime, *tuple[Any, ...]]]

LOG_50000 = 10.819778
LOG_1000 = 6.907755


def history(tables: Tables, *columns: str, client_id: str = "c1") -> Changes:
    """Return the refreshes at which columns of a client's history changed, with the new values."""
    return changes("feat_client__history", tables, *columns, client_id=client_id)


def prices(tables: Tables, *columns: str, category_id: str = "k1") -> Changes:
    """Return the refreshes at which columns of a category's prices changed, with the new values."""
    return changes("feat_category__prices", tables, *columns, category_id=category_id)


# --- client history: entering and leaving


def test_contract_enters_at_the_next_refresh_and_leaves_after_its_window() -> None:
    tables = {"contracts": [contract()]}
    assert history(tables, "client_contract_count_365d") == [
        (at("2024-05-02 03:00"), 1),
        (at("2025-05-02 03:00"), 0),
    ]
    assert history(tables, "client_log_price_mean_365d") == [
        (at("2024-05-02 03:00"), LOG_50000),
        (at("2025-05-02 03:00"), None),
    ]
    assert history(tables, "client_contract_count_all") == [(at("2024-05-02 03:00"), 1)]
    assert history(tables, "client_posting_count_90d") == []


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
    assert history(tables, "client_contract_count_365d") == []
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
    cancelled = contract(status="cancelled", loaded_at=at("2024-05-10 09:00"))
    tables = {"contracts": [contract(), cancelled]}
    names = ("client_contract_count_all", "client_log_price_mean_365d", "client_last_contracted_at")
    assert history(tables, "client_cancelled_contract_ratio_all", *names) == [
        (at("2024-05-02 03:00"), 0.0, 1, LOG_50000, at("2024-05-01 09:00")),
        (at("2024-05-11 03:00"), 1.0, 0, None, None),
    ]


def test_exact_duplicate_counts_once() -> None:
    assert history({"contracts": [contract(), contract()]}, "client_contract_count_all") == [
        (at("2024-05-02 03:00"), 1),
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
    tables = {"contracts": [contract(status="VOID")]}
    assert history(tables, "client_contract_count_all") == []
    assert history(tables, "client_cancelled_contract_ratio_all") == []


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
    ]


def test_of_two_versions_within_one_refresh_only_the_last_counts() -> None:
    cancelled = contract(status="cancelled", loaded_at=at("2024-05-02 03:00"))
    tables = {"contracts": [contract(), cancelled]}
    assert history(tables, "client_cancelled_contract_ratio_all") == [(at("2024-05-02 03:00"), 1.0)]
    assert history(tables, "client_contract_count_all") == []


def test_version_that_changes_no_column_makes_no_row() -> None:
    completed = contract(status="completed", loaded_at=at("2024-05-10 09:00"))
    tables = {"contracts": [contract(), completed]}
    assert history(tables, "client_contract_count_365d", "client_contract_count_all") == [
        (at("2024-05-02 03:00"), 1, 1),
        (at("2025-05-02 03:00"), 0, 1),
    ]


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
    assert history(tables, "client_contract_count_365d", client_id="c1") == [
        (at("2024-05-11 03:00"), 1),
        (at("2025-05-02 03:00"), 0),
    ]
    assert history(tables, "client_contract_count_365d", client_id="c2") == [
        (at("2024-05-02 03:00"), 1),
        (at("2024-05-11 03:00"), 0),
    ]


def test_unpriced_contract_counts_but_has_no_part_in_the_mean() -> None:
    tables = {
        "contracts": [contract(), contract("d2", agreed_price=None)],
    }
    names = ("client_contract_count_365d", "client_log_price_mean_365d")
    assert history(tables, *names)[0] == (at("2024-05-02 03:00"), 2, LOG_50000)


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
    assert history(tables, "client_posting_count_90d", client_id="c1") == [
        (at("2024-05-11 03:00"), 1),
        (at("2024-05-21 03:00"), 0),
    ]
    assert history(tables, "client_posting_count_90d", client_id="c2") == [
        (at("2024-05-21 03:00"), 1),
        (at("2024-08-09 03:00"), 0),
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
    """Return the job of the default contract, posted and known on 20 April."""
    return job("j0", posted_at=at("2024-04-20 12:00"), category_id=category_id, **given)


MAY_2, MAY_2_2025 = at("2024-05-02 03:00"), at("2025-05-02 03:00")
JULY_31 = at("2024-07-31 03:00")  # 1 May 09:00 + 90 days is 30 July 09:00


def named(measure: str) -> tuple[str, str]:
    """Return the names of the two columns of feat_category__prices that have a measure, one for each window."""
    return f"category_{measure}_90d", f"category_{measure}_365d"


def test_columns_of_a_category_by_hand() -> None:
    tables = {
        "jobs": [posted()],
        "contracts": [
            contract("d1", agreed_price=Decimal(50000)),  # log 10.819778: bucket 216
            contract("d2", agreed_price=Decimal(1000)),  # log 6.907755: bucket 138
            contract("d3", agreed_price=Decimal(1000), freelancer_id="f2"),
            contract("d4", agreed_price=None, freelancer_id=None),
        ],
    }
    assert prices(tables, *named("contract_count")) == [
        (MAY_2, 4, 4),
        (JULY_31, 0, 4),
        (MAY_2_2025, 0, 0),
    ]
    mean = 24_635_288 / 3_000_000
    assert prices(tables, *named("log_price_mean")) == [
        (MAY_2, mean, mean),
        (JULY_31, None, mean),
        (MAY_2_2025, None, None),
    ]
    for name, value in (("p25", 6.925), ("p50", 6.925), ("p75", 10.825)):
        assert prices(tables, *named(f"log_price_{name}"))[0] == (MAY_2, value, value)
    assert prices(tables, *named("active_freelancer_count")) == [
        (MAY_2, 2, 2),
        (JULY_31, 0, 2),
        (MAY_2_2025, 0, 0),
    ]


def test_contract_counts_in_a_category_once_its_job_is_known() -> None:
    tables = {
        "jobs": [posted(loaded_at=at("2024-05-20 12:00"))],
        "contracts": [contract()],
    }
    assert prices(tables, "category_contract_count_90d")[0] == (at("2024-05-21 03:00"), 1)


def test_contract_of_an_unknown_job_or_without_category_counts_in_none() -> None:
    name = "category_contract_count_90d"
    assert changes("feat_category__prices", {"contracts": [contract()]}, name) == []
    tables = {"jobs": [posted(category_id=None)], "contracts": [contract()]}
    assert changes("feat_category__prices", tables, name) == []


def test_category_is_frozen_when_the_contract_first_counts() -> None:
    tables = {
        "jobs": [
            posted("k1"),
            posted("k2", loaded_at=at("2024-05-02 03:00")),
            posted("k3", loaded_at=at("2024-05-02 03:00:00.000001")),
        ],
        "contracts": [contract(), contract(agreed_price=None, loaded_at=at("2024-06-01 09:00"))],
    }
    assert prices(tables, "category_log_price_mean_90d", category_id="k2") == [
        (at("2024-05-02 03:00"), LOG_50000),
        (at("2024-06-02 03:00"), None),
    ]
    assert prices(tables, "category_contract_count_90d", category_id="k1") == []
    assert prices(tables, "category_contract_count_90d", category_id="k3") == []


def test_category_is_frozen_by_the_first_version_that_counts_not_by_a_void_one() -> None:
    tables = {
        "jobs": [posted("k1"), posted("k2", is_deleted=True, loaded_at=at("2024-05-05 12:00"))],
        "contracts": [contract(status="void"), contract(loaded_at=at("2024-05-10 09:00"))],
    }
    assert prices(tables, "category_contract_count_90d", category_id="k1") == []
    assert prices(tables, "category_contract_count_90d", category_id="k2")[0] == (
        at("2024-05-11 03:00"),
        1,
    )


def test_category_of_a_contract_loaded_before_its_event_is_that_of_the_event() -> None:
    tables = {
        "jobs": [posted("k1"), posted("k2", loaded_at=at("2024-04-28 12:00"))],
        "contracts": [contract(loaded_at=at("2024-04-25 12:00"))],
    }
    assert prices(tables, "category_contract_count_90d", category_id="k1") == []
    assert prices(tables, "category_contract_count_90d", category_id="k2")[0] == (
        at("2024-05-02 03:00"),
        1,
    )


def test_freelancers_are_counted_once_and_again_only_when_the_last_contract_leaves() -> None:
    later = {"contract_id": "d2", "contracted_at": at("2024-05-10 03:00")}
    tables = {"jobs": [posted()], "contracts": [contract(), contract(**later)]}
    assert prices(tables, "category_active_freelancer_count_90d") == [
        (at("2024-05-02 03:00"), 1),
        (at("2024-08-08 03:00"), 0),  # the refresh 90 days after the second contract
    ]
