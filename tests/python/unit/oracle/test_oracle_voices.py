"""Test the oracle's reviews, demand and hires on histories worked out by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from oracle import Row, Tables, expected_tables
from oracle.changes import changes
from oracle.raw_rows import at, contract, job, proposal, review, world

DEADLINE = "2024-05-24 12:00"  # 14 days after the default job was posted


def ratings(tables: Tables, client_id: str = "c1") -> list[tuple[datetime, Any]]:
    """Return the refreshes at which a client's mean rating changed, with the new ratings."""
    return changes("feat_client__history", tables, "client_rating_mean_all", client_id=client_id)


def demand(tables: Tables) -> list[tuple[datetime, *tuple[Any, ...]]]:
    """Return the refreshes at which the demand for category k1 changed, with the new values."""
    names = ("category_posting_count_90d", "category_proposals_per_posting_90d")
    return changes("feat_category__demand", tables, *names, "category_fill_ratio_90d")


def hired(contracts: list[Row], jobs: list[Row] | None = None) -> tuple[int | None, str | None]:
    """Return the hire label of the default job, and its exclusion reason."""
    tables = {"jobs": jobs or [job()], "contracts": contracts}
    (row,) = expected_tables(tables, world())["int_job__hire_label"]
    return row["is_hired_within_14d"], row["exclusion_reason"]


def own(contract_id: str = "d1", /, **given: Any) -> Row:
    """Return a contract of the default job, signed the day after the job was posted."""
    return contract(
        contract_id, **{"job_id": "j1", "contracted_at": at("2024-05-11 12:00")} | given
    )


# --- reviews


def test_ratings_of_freelancers_are_averaged_and_a_correction_counts_once_known() -> None:
    corrected = review("r2", rating=4, loaded_at=at("2024-05-20 09:00"))
    tables = {"contracts": [contract()], "reviews": [review(), review("r2", rating=1), corrected]}
    assert ratings(tables) == [
        (at("2024-05-09 03:00"), 3.0),
        (at("2024-05-21 03:00"), 4.5),
    ]


def test_what_a_client_says_and_ratings_out_of_range_are_not_counted() -> None:
    uncounted = [
        review("r1", reviewer_kind="client"),
        review("r2", rating=0),
        review("r3", rating=6),
        review("r4", rating=None),
        review("r5", is_deleted=True),
    ]
    tables = {"contracts": [contract()], "reviews": uncounted}
    assert ratings(tables) == []


def test_review_stays_with_the_client_its_contract_had_when_it_first_counted() -> None:
    moved = contract(client_id="c2", loaded_at=at("2024-06-01 09:00"))
    tables = {"contracts": [contract(), moved], "reviews": [review()]}
    assert ratings(tables) == [(at("2024-05-09 03:00"), 5.0)]
    assert ratings(tables, "c2") == []


# --- demand


def test_demand_counts_proposals_and_contracts_of_the_jobs_of_ninety_days() -> None:
    tables = {
        "jobs": [job(), job("j2")],
        "proposals": [proposal("p1"), proposal("p2"), proposal("p3", job_id="j2")],
        "contracts": [own(contracted_at=at("2024-05-20 12:00"))],
    }
    assert demand(tables) == [
        (at("2024-05-11 03:00"), 2, 0.0, 0.0),
        (at("2024-05-12 03:00"), 2, 1.5, 0.0),
        (at("2024-05-21 03:00"), 2, 1.5, 0.5),
        (at("2024-08-09 03:00"), 0, None, None),  # 10 May 12:00 + 90 days is 8 August 12:00
    ]


def test_withdrawn_proposal_leaves_and_void_contract_fills_nothing() -> None:
    withdrawn = proposal(is_deleted=True, loaded_at=at("2024-05-13 12:00"))
    tables = {
        "jobs": [job()],
        "proposals": [proposal(), withdrawn],
        "contracts": [own(status="void")],
    }
    assert [row[2:] for row in demand(tables)] == [(0.0, 0.0), (1.0, 0.0), (0.0, 0.0), (None, None)]


# --- hired within 14 days


def test_hired_at_the_last_instant_of_the_horizon_and_not_after_it() -> None:
    assert hired([own(contracted_at=at(DEADLINE))]) == (1, None)
    late = at(DEADLINE).replace(microsecond=1)
    assert hired([own(contracted_at=late)]) == (0, None)
    assert hired([]) == (0, None)


def test_hire_that_became_known_after_the_horizon_was_judged_is_none() -> None:
    assert hired([own(loaded_at=at("2024-05-25 03:00"))]) == (1, None)
    assert hired([own(loaded_at=at("2024-05-25 03:00").replace(microsecond=1))]) == (0, None)


def test_a_void_contract_hires_nobody_and_leaves_the_question_open() -> None:
    assert hired([own(status="void")]) == (None, "void")
    assert hired([own(status="void"), own("d2")]) == (1, None)
    assert hired([own(status="cancelled")]) == (1, None)


def test_why_a_job_is_not_for_training() -> None:
    deleted = job(is_deleted=True, loaded_at=at("2024-05-12 12:00"))
    assert hired([own()], [job(), deleted]) == (None, "job_deleted")
    before = own(contracted_at=at("2024-05-10 12:00"))
    assert hired([before]) == (None, "label_known_before_request")
    recent = job(posted_at=at("2025-12-20 12:00"))
    assert hired([], [recent]) == (None, "label_not_yet_known")
