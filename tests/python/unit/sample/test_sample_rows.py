"""Test invariants of the sample's rows. Test that rows with untrusted load times come from a single bulk load."""

from collections.abc import Iterator

import duckdb
import pytest

from feature_mart.sample import BULK_LOADED_AT, ENDS_AT, STARTS_AT, TRUSTED_FROM
from sample_case import EVENTS, KEYS, ask, open_sample


@pytest.fixture(scope="module")
def dwh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_sample(tmp_path_factory.mktemp("sample") / "dwh") as con:
        yield con


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (
            "contracts",
            {
                "contract_id": "VARCHAR",
                "job_id": "VARCHAR",
                "client_id": "VARCHAR",
                "freelancer_id": "VARCHAR",
                "agreed_price": "DECIMAL(18,2)",
                "currency": "VARCHAR",
                "contracted_at": "TIMESTAMP WITH TIME ZONE",
                "status": "VARCHAR",
                "is_deleted": "BOOLEAN",
                "loaded_at": "TIMESTAMP WITH TIME ZONE",
            },
        ),
        ("job_skills", {"job_id": "VARCHAR", "skill": "VARCHAR"}),
    ],
)
def test_columns_and_types(
    dwh: duckdb.DuckDBPyConnection, table: str, columns: dict[str, str]
) -> None:
    found = dwh.execute(f"describe {table}").fetchall()
    assert {row[0]: row[1] for row in found} == columns


def test_money_is_decimal_and_ratings_are_double(dwh: duckdb.DuckDBPyConnection) -> None:
    types = dict(
        dwh.execute(
            "select column_name, data_type from information_schema.columns where column_name in "
            "('budget_min', 'budget_max', 'proposed_price', 'agreed_price', 'rating')"
        ).fetchall()
    )
    assert types.pop("rating") == "DOUBLE"
    assert set(types.values()) == {"DECIMAL(18,2)"} and len(types) == 4


# Invariants of rows.


@pytest.mark.parametrize("table", KEYS)
def test_a_key_and_load_time_have_one_set_of_values(
    dwh: duckdb.DuckDBPyConnection, table: str
) -> None:
    assert (
        ask(
            dwh,
            f"select count(*) from (select {KEYS[table]}, loaded_at from (select distinct "
            f"* from {table})"
            "group by all having count(*) > 1)",
        )
        == 0
    )


@pytest.mark.parametrize(
    ("claim", "query"),
    [
        (
            "an active or completed contract has a price",
            "select count(*) from contracts where status in ('active', 'completed') and "
            "not coalesce(agreed_price > 0, false)",
        ),
        (
            "one currency",
            "select count(*) from (select currency from jobs union all from (select "
            "currency from contracts)) where currency is distinct from 'JPY'",
        ),
        (
            "contracts follow their jobs",
            "select count(*) from contracts left join first_jobs using (job_id) where not "
            "coalesce(contracted_at >= posted_at, false)",
        ),
        (
            "offers follow their jobs and their freelancers",
            "select count(*) from proposals join first_jobs using (job_id) join "
            "first_freelancers using (freelancer_id)"
            "where proposed_at < posted_at or proposed_at < registered_at",
        ),
        (
            "jobs follow their clients",
            "select count(*) from jobs join first_clients using (client_id) where "
            "posted_at < registered_at",
        ),
        (
            "budgets are in order",
            "select count(*) from jobs where budget_min > budget_max or budget_min <= 0 "
            "or budget_max <= 0",
        ),
        (
            "known statuses",
            "select count(*) from contracts where status not in ('active', 'completed', "
            "'cancelled', 'void')",
        ),
        ("known job types", "select count(*) from jobs where job_type not in ('fixed', 'hourly')"),
        ("ratings are 1 to 5", "select count(*) from reviews where rating not between 1 and 5"),
        ("prices are round", "select count(*) from contracts where agreed_price % 100 <> 0"),
        (
            "postings lie in the span",
            f"select count(*) from jobs where posted_at < timestamptz '{STARTS_AT}' or "
            f"posted_at >= timestamptz '{ENDS_AT}'",
        ),
        (
            "categories are a tree of two levels",
            "select count(*) from categories c left join categories p on p.category_id = "
            "c.parent_category_id "
            "where p.parent_category_id is not null or (c.parent_category_id is not null "
            "and p.category_id is null)",
        ),
        (
            "jobs name categories that there are",
            "select count(*) from jobs where category_id is not null and category_id not "
            "in (select category_id from categories)",
        ),
        (
            "reviews are of completed contracts",
            "select count(*) from reviews where contract_id not in (select contract_id "
            "from contracts)",
        ),
    ],
)
def test_no_row_breaks_the_claim(dwh: duckdb.DuckDBPyConnection, claim: str, query: str) -> None:
    assert ask(dwh, query) == 0, claim


@pytest.mark.parametrize("table", EVENTS)
def test_rows_are_loaded_after_their_event_and_before_the_end(
    dwh: duckdb.DuckDBPyConnection, table: str
) -> None:
    # A contract may be loaded before its contracted_at. Every other row is loaded at or after its event.
    early = (
        0
        if table == "contracts"
        else ask(dwh, f"select count(*) from {table} where loaded_at < {EVENTS[table]}")
    )
    assert early == 0
    assert ask(dwh, f"select count(*) from {table} where loaded_at > timestamptz '{ENDS_AT}'") == 0


# The bulk load of past rows.


@pytest.mark.parametrize("table", KEYS)
def test_the_past_came_with_one_load(dwh: duckdb.DuckDBPyConnection, table: str) -> None:
    untrusted = f"from {table} where loaded_at < timestamptz '{TRUSTED_FROM}'"
    assert ask(dwh, f"select count(*) {untrusted}") > 0
    assert (
        ask(dwh, f"select count(*) {untrusted} and loaded_at <> timestamptz '{BULK_LOADED_AT}'")
        == 0
    )
    # The bulk load contains the state of its day: one version per key.
    assert (
        ask(
            dwh,
            "select max(n) from (select count(*) as n from (select distinct * "
            f"{untrusted}) group by {KEYS[table]})",
        )
        == 1
    )
