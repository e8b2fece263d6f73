"""Test the share of each data defect in the sample, other proportions, and how well past prices predict a price."""

import math
from collections.abc import Iterator

import duckdb
import pytest

from feature_mart.sample import SHARES, TRUSTED_FROM
from sample_case import EVENTS, JOBS, KEYS, ask, open_sample


@pytest.fixture(scope="module")
def dwh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_sample(tmp_path_factory.mktemp("sample") / "dwh") as con:
        yield con


# Shares of the data defects.

TRUSTED = f"loaded_at >= timestamptz '{TRUSTED_FROM}'"
#: The data defects of the sample. Each defect has a relation with the rows that may have the defect, and the SQL
#: condition that is true for the rows that do have it.
DIRT = {
    "category_missing": ("first_jobs", "category_id is null"),
    "category_is_parent": ("first_jobs", "not contains(category_id, '-')"),
    "job_hourly": ("first_jobs", "job_type = 'hourly'"),
    "title_missing": ("first_jobs", "title is null"),
    "title_english": ("first_jobs", "contains(title, ' about ')"),
    "title_emoji": ("first_jobs", "regexp_matches(title, '[✨🔰🎨📝🏠🎉⭐🙏]')"),
    "description_missing": ("first_jobs", "description is null"),
    "budget_missing": ("first_jobs", "budget_min is null and budget_max is null"),
    "budget_only_max": ("first_jobs", "budget_min is null and budget_max is not null"),
    "budget_only_min": ("first_jobs", "budget_min is not null and budget_max is null"),
    "deadline_missing": ("first_jobs", "apply_deadline_at is null"),
    "job_deleted": ("(from last_jobs semi join settled_jobs using (job_id))", "is_deleted"),
    "job_closed": ("(from last_jobs semi join settled_jobs using (job_id))", "status = 'closed'"),
    "contract_void": ("settled_contracts", "status = 'void'"),
    "contract_cancelled": ("settled_contracts", "status = 'cancelled'"),
    "contract_left_active": ("settled_contracts", "status = 'active'"),
    "contract_deleted": ("settled_contracts", "is_deleted"),
    "void_at_zero": ("(from settled_contracts where status = 'void')", "agreed_price = 0"),
    "contract_freelancer_unknown": ("first_contracts", "freelancer_id is null"),
    "contract_future_dated": (
        f"(from first_contracts where {TRUSTED})",
        "contracted_at > loaded_at",
    ),
    "proposal_price_missing": ("first_proposals", "proposed_price is null"),
    "proposal_withdrawn": (
        "settled_proposals",
        "is_deleted",
    ),
    "rating_missing": ("reviews", "rating is null"),
    "prefecture_missing": ("first_clients", "prefecture is null"),
    "registration_unknown": ("first_freelancers", "registered_at is null"),
}


@pytest.mark.parametrize("dirt", DIRT)
def test_dirt_is_there_in_its_share(dwh: duckdb.DuckDBPyConnection, dirt: str) -> None:
    rows, condition = DIRT[dirt]
    count = ask(dwh, f"select count(*) from {rows}")
    found = ask(dwh, f"select count(*) from {rows} where {condition}") / count
    share = SHARES[dirt]
    assert found == pytest.approx(share, rel=0.10, abs=5 * math.sqrt(share * (1 - share) / count))


@pytest.mark.parametrize("table", KEYS)
def test_exact_duplicates_are_there_in_their_share(
    dwh: duckdb.DuckDBPyConnection, table: str
) -> None:
    distinct = ask(dwh, f"select count(*) from (select distinct * from {table})")
    extra = ask(dwh, f"select count(*) from {table}") - distinct
    share = SHARES["exact_duplicate"]
    assert extra / distinct == pytest.approx(share, abs=5 * math.sqrt(share / distinct))


@pytest.mark.parametrize("table", ["jobs", "proposals", "reviews"])
def test_late_rows_are_there_in_their_share(dwh: duckdb.DuckDBPyConnection, table: str) -> None:
    hours = 48 if table == "reviews" else 24
    share = ask(
        dwh,
        f"select avg((epoch(loaded_at) - epoch({EVENTS[table]}) > {hours} * 3600)::int) "
        f"from first_{table} "
        f"where {TRUSTED} and {EVENTS[table]} >= timestamptz '{TRUSTED_FROM}'",
    )
    # Reviews are loaded nightly, so a review that is a day late may still be loaded within two days of its event.
    assert 0.6 * SHARES["loaded_late"] < share < 1.2 * SHARES["loaded_late"]


@pytest.mark.parametrize(
    ("what", "query", "least", "most"),
    [
        ("HTML", "select avg((contains(description, '<p>'))::int) from first_jobs", 0.15, 0.21),
        (
            "full width digits",
            "select avg(regexp_matches(title, '[０-９]')::int) from first_jobs",
            0.14,
            0.22,
        ),
        (
            "half width kana",
            "select avg(regexp_matches(title, '[ｦ-ﾟ]')::int) from first_jobs",
            0.005,
            0.06,
        ),
        (
            "quantities",
            "select avg(regexp_matches(title, '[0-9０-９]')::int) from first_jobs",
            0.99,
            1,
        ),
        (
            "deadlines moved",
            "select count(distinct job_id) filter (n > 1) / count(*) from (select job_id, "
            "count(distinct apply_deadline_at) as n from jobs semi join settled_jobs "
            "using (job_id) group by job_id)",
            0.07,
            0.10,
        ),
        (
            "recategorised",
            "select avg((n > 1)::int) from (select count(distinct category_id) as n from "
            "jobs group by job_id)",
            0.005,
            0.012,
        ),
        (
            "repriced",
            "select avg((n > 1)::int) from (select count(distinct agreed_price) as n from "
            "contracts where status <> 'void' group by contract_id)",
            0.03,
            0.07,
        ),
        (
            "cancelled after they were seen active",
            "select count(distinct contract_id) from contracts a join last_contracts b "
            "using (contract_id) where a.status = 'active' and b.status = 'cancelled'",
            300,
            1200,
        ),
        (
            "void from the first row",
            "select count(*) from first_contracts where status = 'void'",
            40,
            300,
        ),
        (
            "other clients",
            "select avg((c.client_id <> j.client_id)::int) from first_contracts c join "
            "first_jobs j using (job_id)",
            0.01,
            0.04,
        ),
        (
            "clients that changed",
            "select avg((n > 1)::int) from (select count(distinct loaded_at) as n from "
            "clients group by client_id)",
            0.005,
            0.05,
        ),
        (
            "loads at the refresh itself",
            "select avg((hour(loaded_at) = 18 and minute(loaded_at) = 0 and "
            "second(loaded_at) = 0)::int) from reviews",
            0.5,
            1,
        ),
        (
            "contracts round midnight in Tokyo",
            "select avg((minute(contracted_at) >= 50 and hour(contracted_at) = 14 or "
            "minute(contracted_at) < 10 and hour(contracted_at) = 15)::int) from "
            "first_contracts",
            0.03,
            0.08,
        ),
        (
            "postings round midnight in Tokyo",
            "select avg((minute(posted_at) >= 50 and hour(posted_at) = 14 or "
            "minute(posted_at) < 10 and hour(posted_at) = 15)::int) from first_jobs",
            0.035,
            0.06,
        ),
        (
            "postings at midnight sharp",
            "select count(*) from first_jobs where posted_at = date_trunc('day', "
            "posted_at + interval 9 hour) - interval 9 hour",
            20,
            120,
        ),
    ],
)
def test_what_is_known_of_it_lies_between(
    dwh: duckdb.DuckDBPyConnection, what: str, query: str, least: float, most: float
) -> None:
    assert least <= ask(dwh, query) <= most, what


# Proportions and signal.


@pytest.mark.parametrize(
    ("what", "query", "least", "most"),
    [
        ("contracts a job", f"select count(*) / {JOBS} from first_contracts", 0.5, 0.7),
        ("proposals a job", f"select count(*) / {JOBS} from first_proposals", 2.7, 3.3),
        ("clients", f"select count(*) / {JOBS / 16} from first_clients", 0.95, 1),
        ("freelancers", f"select count(*) / {JOBS / 8} from first_freelancers", 0.95, 1),
        ("categories", "select count(*) from categories", 40, 40),
        (
            "skills a job",
            "select max(n) from (select count(distinct skill) as n from job_skills group "
            "by job_id)",
            4,
            4,
        ),
        (
            "jobs of the busiest hundredth of clients",
            f"select sum(n) / {JOBS} from (select count(*) as n from first_jobs group by "
            f"client_id order by n desc limit {JOBS // 1600})",
            0.10,
            0.40,
        ),
        (
            "jobs of the last year to those of the first",
            "select count(*) filter (posted_at >= timestamptz '2025-03-31 15:00:00+00') / "
            "count(*) filter (posted_at < timestamptz '2024-03-31 15:00:00+00') from "
            "first_jobs",
            1.6,
            2.4,
        ),
        (
            "postings in office hours",
            "select avg((hour(posted_at + interval 9 hour) between 9 and 18)::int) from first_jobs",
            0.65,
            0.85,
        ),
        (
            "reviewed of the completed",
            "select count(distinct contract_id) / (select count(*) from settled_contracts "
            "where status = 'completed') from reviews semi join settled_contracts using "
            "(contract_id)",
            0.75,
            0.97,
        ),
        (
            "freelancers of one offer's job",
            "select avg((p.job_id is not null)::int) from first_contracts c left join "
            "(select distinct job_id, freelancer_id from proposals) p using (job_id, "
            "freelancer_id)",
            0.4,
            0.8,
        ),
    ],
)
def test_proportions(
    dwh: duckdb.DuckDBPyConnection, what: str, query: str, least: float, most: float
) -> None:
    assert least <= ask(dwh, query) <= most, what


def test_hiring_within_14_days_has_both_classes(dwh: duckdb.DuckDBPyConnection) -> None:
    share = ask(
        dwh,
        "select avg(coalesce(hired_at <= posted_at + interval 336 hour, false)::int) from "
        "(select any_value(posted_at)"
        "as posted_at, min(contracted_at) as hired_at from settled_jobs left join "
        "first_contracts using (job_id) group by job_id)",
    )
    assert 0.2 <= share <= 0.6


def test_history_knows_more_of_a_price_than_its_category(dwh: duckdb.DuckDBPyConnection) -> None:
    dwh.execute(
        """create or replace temp table priced as
        select ln(c.agreed_price) as y, c.client_id, j.category_id, j.posted_at, ln(j.budget_max) as budget,
            ln(nullif(regexp_extract(translate(j.title, '０１２３４５６７８９，', '0123456789,'),
                '([0-9,]+)', 1).replace(',', ''), '')::double) as quantity
        from last_contracts c join first_jobs j using (job_id)
        where c.status in ('active', 'completed') and c.agreed_price > 0"""
    )
    # Predict a price from the earlier prices of the category, and then also from the client's earlier prices.
    r2 = dwh.execute(
        """with by_category as (
            select *, y - avg(y) over (partition by category_id order by posted_at
                rows between unbounded preceding and 1 preceding) as rest
            from priced),
        by_client as (
            select *, rest - coalesce(sum(rest) over earlier, 0) / (coalesce(count(rest) over earlier, 0) + 3) as less
            from by_category window earlier as (partition by client_id order by posted_at
                rows between unbounded preceding and 1 preceding))
        select 1 - sum(rest * rest) / sum((y - mean) * (y - mean)), 1 - sum(less * less) / sum((y - mean) * (y - mean)),
            (select regr_r2(rest, quantity) from by_category)
        from by_client, (select avg(y) as mean from priced)
        where rest is not null"""
    ).fetchone()
    assert r2 is not None
    category, client, quantity = r2
    assert 0.3 < category < 0.7
    assert client > category + 0.04
    # The correlation is weak, because the quantity is a number without a unit: 3000文字 and LP1枚 are on one scale.
    assert quantity > 0.02
    assert 0.6 < ask(dwh, "select regr_r2(y, budget) from priced") < 0.95
