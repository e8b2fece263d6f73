"""Test the oracle's prices of market, client in a category, job type, term and skill on cases worked out by hand."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from oracle import Tables, expected_tables
from oracle.changes import changes
from oracle.lifts import lift_variance
from oracle.raw_rows import at, contract, job, world

LOG_50000 = 10.819778
LOG_1000 = 6.907755
MAY_2, MAY_11 = at("2024-05-02 03:00"), at("2024-05-11 03:00")


def history(table: str, tables: Tables, column: str) -> list[tuple[datetime, Any]]:
    """Return the refreshes at which a column of a table changed, with the new values."""
    return changes(table, tables, column)


def request(tables: Tables, model: str, job_id: str = "j1") -> dict[str, Any]:
    """Return the row of a job in a model that has one row per request."""
    rows = expected_tables(tables, world())[model]
    (row,) = [row for row in rows if row["job_id"] == job_id]
    return row


def earlier(**given: Any) -> dict[str, Any]:
    """Return the job of the default contract, posted and known on 20 April."""
    return job("j0", posted_at=at("2024-04-20 12:00"), **given)


# --- the market


def test_market_means_the_prices_of_contracts_that_count() -> None:
    cancelled = contract("d2", status="cancelled", loaded_at=at("2024-05-05 09:00"))
    tables = {
        "contracts": [
            contract("d1"),
            contract("d2", agreed_price=Decimal(1000)),
            cancelled | {"agreed_price": Decimal(1000)},
            contract("d3", agreed_price=None),
        ]
    }
    assert history("feat_market__prices", tables, "market_log_price_mean_all") == [
        (MAY_2, 8.863767),  # mean of 10,819,778 and 6,907,755, rounded half away from zero
        (at("2024-05-06 03:00"), LOG_50000),
    ]
    assert history("feat_market__prices", tables, "market_contract_count_all")[0] == (MAY_2, 2)


def test_a_window_is_short_until_the_first_event_is_as_old_as_it() -> None:
    posted = job(posted_at=at("2024-07-30 09:00"))  # 90 days after the default contract
    row = request({"jobs": [posted], "contracts": [contract()]}, "feat_job__market_at_request")
    assert (row["is_demand_window_short"], row["is_client_window_short"]) == (0, 1)
    sooner = posted | {"posted_at": at("2024-07-30 08:59:59.999999")}
    row = request({"jobs": [sooner], "contracts": [contract()]}, "feat_job__market_at_request")
    assert row["is_demand_window_short"] == 1


def test_of_an_empty_market_every_window_is_short() -> None:
    row = request({"jobs": [job()]}, "feat_job__market_at_request")
    assert row["market_contract_count_all"] == 0
    assert row["market_log_price_mean_all"] is None
    assert row["is_demand_window_short"] == row["is_client_window_short"] == 1


# --- a client in a category, and the expected price


def test_expected_price_leans_on_the_category_as_if_by_twenty_contracts() -> None:
    tables = {
        "jobs": [earlier(), job("k0", posted_at=at("2024-04-20 12:00"), client_id="c2"), job()],
        "contracts": [
            contract("d1"),
            contract("d2", job_id="k0", client_id="c2", agreed_price=Decimal(1000)),
        ],
    }
    row = request(tables, "feat_job__client_category_at_request")
    assert row["client_category_contract_count_all"] == 1
    assert row["client_category_log_price_mean_all"] == LOG_50000
    prior = 8_863_767  # mean log price of both contracts of the category, in millionths
    assert row["job_expected_price_log"] == round((10_819_778 + 20 * prior) / 21) / 1e6


def test_without_a_category_the_market_is_what_is_expected() -> None:
    tables = {"jobs": [job(category_id=None)], "contracts": [contract(client_id="c2")]}
    row = request(tables, "feat_job__client_category_at_request")
    assert row["client_category_contract_count_all"] == 0
    assert row["client_category_log_price_mean_all"] is None
    assert row["job_expected_price_log"] == LOG_50000


# --- the type of a job


def test_types_are_numbered_as_they_appear_and_read_without_case_or_blanks() -> None:
    tables = {
        "jobs": [
            job("j1", job_type=" Hourly"),
            job("j2", job_type="fixed", posted_at=at("2024-05-12 12:00")),
            job("j3", job_type="hourly", posted_at=at("2024-05-13 12:00")),
            job("j4", job_type=None),
        ]
    }
    codes = expected_tables(tables, world())["feat_job_type__codes"]
    assert [(row["job_type"], row["job_type_code"]) for row in codes] == [
        ("hourly", 1),
        ("fixed", 2),
    ]
    assert request(tables, "feat_job__job_type_at_request", "j1")["job_type_code"] == 0
    assert request(tables, "feat_job__job_type_at_request", "j3")["job_type_code"] == 1


def test_price_of_a_type_leaves_after_a_year() -> None:
    tables = {"jobs": [earlier()], "contracts": [contract()]}
    assert history("feat_job_type__prices", tables, "job_type_log_price_mean_365d") == [
        (MAY_2, LOG_50000),
        (at("2025-05-02 03:00"), None),
    ]


# --- terms and skills


def test_terms_of_a_title_each_have_the_price_of_its_contract() -> None:
    tables = {"jobs": [earlier()], "contracts": [contract()]}
    rows = expected_tables(tables, world())["feat_term__prices"]
    assert [(row["term"], row["as_of_at"], row["term_contract_count_all"]) for row in rows] == [
        (term, MAY_2, 1) for term in ("事作", "作成", "記事", "記事作成")
    ]
    # No contract was known when j0 was posted, so j0 has no expected price and its contract has no lift.
    assert {row["term_lift_count_all"] for row in rows} == {0}


def test_lift_is_the_price_less_what_was_expected_when_the_job_was_posted() -> None:
    tables = {
        "jobs": [earlier(), job()],
        "contracts": [
            contract(),
            contract("d2", job_id="j1", agreed_price=Decimal(1000), contracted_at=MAY_11),
        ],
    }
    expected = request(tables, "feat_job__client_category_at_request")["job_expected_price_log"]
    assert expected == LOG_50000
    sums = history("feat_term__prices", tables, "term_lift_sum_e6_all")
    assert (MAY_11, 6_907_755 - 10_819_778) in sums


def test_a_term_of_two_contracts_is_not_spoken_of_and_one_of_three_is() -> None:
    def row(contracts: int) -> dict[str, Any]:
        made = [contract(f"d{n}", agreed_price=Decimal(1000)) for n in range(contracts)]
        return request(
            {"jobs": [earlier(), job()], "contracts": made}, "feat_job__terms_at_request"
        )

    assert row(2)["term_supported_count"] == 0
    assert row(2)["term_log_price_mean_all"] is None
    assert row(3)["job_term_count"] == row(3)["term_supported_count"] == 4
    assert row(3)["term_log_price_min_all"] == LOG_1000
    assert row(3)["term_rarest_contract_count_all"] == 3


def test_skills_of_a_job_have_its_price_too() -> None:
    skills = [{"job_id": "j0", "skill": "sql"}, {"job_id": "j1", "skill": "sql"}]
    made = [contract(f"d{n}") for n in range(3)]
    tables = {"jobs": [earlier(), job()], "contracts": made, "job_skills": skills}
    row = request(tables, "feat_job__skills_at_request")
    assert (row["skill_supported_count"], row["skill_contract_count_all"]) == (1, 3)
    assert row["skill_log_price_weighted_mean_all"] == LOG_50000


def test_variance_of_no_lift_is_the_prior_and_of_equal_lifts_tends_to_zero() -> None:
    assert lift_variance(0, 0, 0, 5) == 2_500_000  # 5 observations * 2 / 4 degrees of freedom
    assert lift_variance(1, 1_000_000, 1_000_000, 5) == 2_000_000
    assert lift_variance(6, 6_000_000, 6_000_000, 5) == 1_000_000
