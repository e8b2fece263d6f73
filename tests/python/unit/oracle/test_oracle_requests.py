"""Test the oracle's requests, point-in-time joins and labels on cases worked out by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from oracle import LoadClockLine, Row, Tables, World, expected_tables
from oracle.raw_rows import at, client, contract, job, world

LOG_50000 = 10.819778
LOG_1000 = 6.907755


def served(tables: Tables, job_id: str = "j1", build: World | None = None) -> Row:
    """Return the row of a job in the training mart."""
    rows = expected_tables(tables, build or world())["mart_price_estimation__training"]
    (row,) = [row for row in rows if row["job_id"] == job_id]
    return row


# --- the request and point in time


def test_posting_by_hand() -> None:
    raw = job(
        title="ＬＰ制作𠮷",
        description="",
        budget_min=Decimal(1000),
        budget_max=Decimal("49999.5"),
        posted_at=at("2024-05-12 00:00"),  # a Sunday
        apply_deadline_at=at("2024-05-13 12:00"),
    )
    skills = [
        {"job_id": "j1", "skill": "SQL"},
        {"job_id": "j1", "skill": "sql"},
        {"job_id": "j1", "skill": "SQL"},
    ]
    (row,) = expected_tables({"jobs": [raw], "job_skills": skills}, world())["feat_job__posting"]
    expected = {
        "job_id": "j1",
        "requested_at": at("2024-05-12 00:00"),
        "entered_at": at("2024-05-12 03:00"),
        "job_title_char_count": 5,
        "job_description_char_count": 0,
        "job_budget_log": LOG_50000,
        "job_budget_span_log": (10_819_778 - 6_907_755) / 1e6,
        "is_budget_missing": 0,
        "is_description_missing": 0,
        "is_deadline_missing": 0,
        "job_deadline_days": 1.5,
        "job_posted_hour": 0,
        "job_posted_weekday": 7,
        "job_skill_count": 2,
    }
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (None, None, (None, None, 1)),
        (1000, None, (LOG_1000, None, 0)),
        (None, 1000, (LOG_1000, None, 0)),
        (1000, 0, (None, None, 0)),
        (0, 1000, (LOG_1000, None, 0)),
        (1000, 1000, (LOG_1000, 0.0, 0)),
    ],
)
def test_posting_budget(
    low: int | None, high: int | None, expected: tuple[float | None, float | None, int]
) -> None:
    row = served({"jobs": [job(budget_min=low, budget_max=high)]})
    assert (
        row["job_budget_log"],
        row["job_budget_span_log"],
        row["is_budget_missing"],
    ) == expected


def test_spine_is_the_first_version_and_a_deleted_job_keeps_its_row() -> None:
    changed = {"title": "別", "client_id": "c2", "is_deleted": True}
    tables = {"jobs": [job(), job(**changed, loaded_at=at("2024-05-10 13:00"))]}
    (row,) = expected_tables(tables, world())["int_job__requests"]
    assert (row["title"], row["client_id"]) == ("記事作成", "c1")


@pytest.mark.parametrize(("as_of", "rows"), [("2024-05-10 03:00", 0), ("2024-05-11 03:00", 1)])
def test_job_enters_the_spine_when_known_and_posted(as_of: str, rows: int) -> None:
    tables = {"jobs": [job(loaded_at=at("2024-05-01 00:00"))]}
    assert len(expected_tables(tables, world(as_of))["int_job__requests"]) == rows


def test_skills_are_the_first_known_set() -> None:
    def skill(name: str, loaded_at: str | None, is_deleted: bool = False) -> Row:
        when = None if loaded_at is None else at(loaded_at)
        return {"job_id": "j1", "skill": name, "loaded_at": when, "is_deleted": is_deleted}

    def first_set(*skills: Row) -> list[str]:
        tables = {"jobs": [job()], "job_skills": list(skills)}
        return [row["skill"] for row in expected_tables(tables, world())["int_job__skills"]]

    with_the_job = skill("a", None)
    assert first_set(with_the_job, skill("b", "2024-05-10 13:00")) == ["a"]
    assert first_set(with_the_job, skill("b", "2024-05-10 12:00")) == ["a", "b"]
    assert first_set(with_the_job, skill("b", "2024-05-10 11:00")) == ["b"]
    assert first_set(skill("b", "2024-05-11 03:00"), skill("c", "2024-05-11 03:00", True)) == ["b"]
    assert first_set(skill("b", "2024-05-11 03:00:00.000001")) == []


def test_request_exactly_when_a_row_is_available_uses_it() -> None:
    for posted_at, count in (("2024-05-02 04:00", 1), ("2024-05-02 03:59:59.999999", 0)):
        tables = {"jobs": [job(posted_at=at(posted_at))], "contracts": [contract()]}
        row = served(tables)
        assert row["client_contract_count_all"] == count
        assert row["client_log_price_mean_365d"] == (LOG_50000 if count else None)


def test_request_does_not_use_a_contract_that_arrived_late() -> None:
    late = contract(loaded_at=at("2024-05-10 12:00"))
    assert served({"jobs": [job()], "contracts": [late]})["client_contract_count_all"] == 0
    in_time = contract(loaded_at=at("2024-05-10 03:00"))
    assert served({"jobs": [job()], "contracts": [in_time]})["client_contract_count_all"] == 1


def test_request_takes_the_newest_row_even_where_it_holds_null() -> None:
    cancelled = contract(status="cancelled", loaded_at=at("2024-05-05 09:00"))
    row = served({"jobs": [job()], "contracts": [contract(), cancelled]})
    assert row["client_log_price_mean_365d"] is None
    assert row["client_last_contract_age_days"] is None
    assert row["client_cancelled_contract_ratio_all"] == 1.0


def test_row_stays_valid_until_the_next_however_old() -> None:
    tables = {"jobs": [job(posted_at=at("2025-12-01 12:00"))], "clients": [client()]}
    assert served(tables)["client_tenure_days"] == 609.0


def test_request_of_entities_never_seen_has_counts_of_zero_and_nulls() -> None:
    row = served({"jobs": [job(category_id=None)]})
    expected = {
        "job_id": "j1",
        "requested_at": at("2024-05-10 12:00"),
        "entered_at": at("2024-05-11 03:00"),
        "job_title_char_count": 4,
        "job_description_char_count": None,
        "job_budget_log": None,
        "job_budget_span_log": None,
        "is_budget_missing": 1,
        "is_description_missing": 1,
        "is_deadline_missing": 1,
        "job_deadline_days": None,
        "job_posted_hour": 12,
        "job_posted_weekday": 5,
        "job_skill_count": 0,
        "client_posting_count_90d": 0,
        "client_contract_count_365d": 0,
        "client_contract_count_all": 0,
        "client_log_price_mean_365d": None,
        "client_cancelled_contract_ratio_all": None,
        "client_last_contract_age_days": None,
        "client_tenure_days": None,
        "client_review_count_all": 0,
        "client_rating_mean_all": None,
        "client_category_contract_count_all": 0,
        "client_category_log_price_mean_all": None,
        "job_expected_price_log": None,
        "job_type_code": 0,
        "job_type_contract_count_365d": 0,
        "job_type_log_price_mean_365d": None,
        "job_term_count": 4,
        "category_posting_count_90d": 0,
        "category_proposals_per_posting_90d": None,
        "category_fill_ratio_90d": None,
        "category_contract_count_90d": 0,
        "category_log_price_mean_90d": None,
        "category_log_price_p25_90d": None,
        "category_log_price_p50_90d": None,
        "category_log_price_p75_90d": None,
        "category_active_freelancer_count_90d": 0,
        "category_contract_count_365d": 0,
        "category_log_price_mean_365d": None,
        "category_log_price_p25_365d": None,
        "category_log_price_p50_365d": None,
        "category_log_price_p75_365d": None,
        "category_active_freelancer_count_365d": 0,
        "category_code": 0,
        "label_known_at": None,
        "price_log": None,
        "exclusion_reason": "label_not_yet_known",
    }
    assert {name: row[name] for name in expected} == expected


def test_requests_of_one_client_at_one_time_are_both_kept() -> None:
    tables = {"jobs": [job("j1"), job("j2")], "contracts": [contract()]}
    rows = expected_tables(tables, world())["feat_job__client_at_request"]
    assert [(row["job_id"], row["client_contract_count_all"]) for row in rows] == [
        ("j1", 1),
        ("j2", 1),
    ]


def test_request_in_another_zone_is_the_same_instant() -> None:
    in_new_york = at("2024-05-02 04:00").astimezone(ZoneInfo("America/New_York"))
    row = served({"jobs": [job(posted_at=in_new_york)], "contracts": [contract()]})
    assert row["client_contract_count_all"] == 1
    assert (row["job_posted_hour"], row["job_posted_weekday"]) == (4, 4)


def test_category_code_is_unknown_until_published() -> None:
    tables = {
        "jobs": [
            job("j1"),
            job("j2", posted_at=at("2024-05-11 03:59")),
            job("j3", posted_at=at("2024-05-11 04:00")),
        ]
    }
    rows = expected_tables(tables, world())["feat_job__category_at_request"]
    assert [row["category_code"] for row in rows] == [0, 0, 1]


# --- labels


def labelled(*versions: Row, jobs: list[Row] | None = None, as_of: str = "2026-01-01 03:00") -> Row:
    """Return the training row of job j1, whose contracts have the given versions.

    By default, a version belongs to j1, is signed on 12 May 2024 at noon, and is loaded on 13 May at noon.
    """
    defaults = {
        "job_id": "j1",
        "contracted_at": at("2024-05-12 12:00"),
        "loaded_at": at("2024-05-13 12:00"),
    }
    contracts = [contract() | defaults | version for version in versions]
    return served({"jobs": jobs or [job()], "contracts": contracts}, build=world(as_of))


def label_of(row: Row) -> tuple[datetime | None, float | None, str | None]:
    """Return the label columns of a training row: the time of the label, the label and the exclusion reason."""
    return row["label_known_at"], row["price_log"], row["exclusion_reason"]


KNOWN = at("2024-05-14 03:00")


def test_label_is_the_log_of_the_agreed_price_at_the_refresh_that_knows_it() -> None:
    assert label_of(labelled({})) == (KNOWN, LOG_50000, None)
    assert label_of(labelled({}, as_of="2024-05-14 03:00")) == (KNOWN, LOG_50000, None)
    assert label_of(labelled({}, as_of="2024-05-13 03:00")) == (None, None, "label_not_yet_known")


def test_label_reads_a_correction_known_by_then_and_no_later_one() -> None:
    by_then = {"agreed_price": Decimal(1000), "loaded_at": KNOWN}
    later = {"status": "cancelled", "loaded_at": KNOWN + timedelta(microseconds=1)}
    assert label_of(labelled({}, by_then, later)) == (KNOWN, LOG_1000, None)


def test_label_lag_moves_when_the_label_is_read() -> None:
    tables = {
        "jobs": [job()],
        "contracts": [
            contract(job_id="j1", loaded_at=at("2024-05-13 12:00")),
            contract(job_id="j1", status="void", loaded_at=at("2024-05-15 12:00")),
        ],
    }
    two_days = World(as_of=at("2026-01-01 03:00"), label_lag_days=2)
    three_days = World(as_of=at("2026-01-01 03:00"), label_lag_days=3)
    assert label_of(served(tables, build=two_days)) == (at("2024-05-16 03:00"), None, "void")
    assert label_of(served(tables, build=three_days))[0] == at("2024-05-17 03:00")


def test_label_is_the_first_known_contract_ties_by_id() -> None:
    second = {"contract_id": "d2", "agreed_price": Decimal(1000)}
    earlier = at("2024-05-13 11:59")
    assert label_of(labelled({}, second))[1] == LOG_50000
    assert label_of(labelled({}, second | {"loaded_at": earlier}))[1] == LOG_1000
    assert label_of(labelled({"contract_id": "d3"}, second))[1] == LOG_1000


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ({"is_deleted": True, "status": "void"}, "contract_deleted"),
        ({"status": " Void", "agreed_price": Decimal(0)}, "void"),
        ({"status": "cancelled"}, "cancelled"),
        ({"agreed_price": None}, "price_missing"),
        ({"agreed_price": Decimal(0)}, "price_missing"),
        ({"status": None}, "price_missing"),
        ({"status": "disputed"}, "price_missing"),
        ({"status": "disputed", "agreed_price": Decimal(-5)}, "price_missing"),
        ({"loaded_at": at("2024-05-10 12:00")}, "label_known_before_request"),
    ],
)
def test_exclusion_reason_of_a_contract(version: Row, reason: str) -> None:
    row = labelled(version)
    assert row["exclusion_reason"] == reason
    assert row["price_log"] is None
    assert row["label_known_at"] is not None


def test_deleted_job_is_excluded_if_known_by_the_label() -> None:
    by_then = [job(), job(is_deleted=True, loaded_at=KNOWN)]
    later = [job(), job(is_deleted=True, loaded_at=KNOWN + timedelta(microseconds=1))]
    assert label_of(labelled({}, jobs=by_then)) == (KNOWN, None, "job_deleted")
    assert label_of(labelled({}, jobs=later)) == (KNOWN, LOG_50000, None)


def test_bulk_loaded_void_contract_labels_with_its_assumed_initial_price() -> None:
    tables = {
        "jobs": [job()],
        "contracts": [contract(job_id="j1", status="void", loaded_at=at("2024-05-31 10:00"))],
    }
    build = world(contracts=LoadClockLine(at("2024-06-01 00:00"), 24 * 20))
    assert label_of(served(tables, build=build)) == (at("2024-05-22 03:00"), LOG_50000, None)
