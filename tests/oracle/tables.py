"""List the tables that the oracle computes, and compute them all."""

from __future__ import annotations

from dataclasses import dataclass

from .category_prices import NO_CODE, NO_PRICES, category_codes, category_prices
from .client_history import NO_HISTORY, client_history
from .clock import Row, Tables, World
from .demand import NO_DEMAND, category_demand
from .hires import hire_labels
from .lifts import at_request, prices_by, state_of_member
from .market import (
    NO_MARKET,
    NO_SUMS,
    NO_TYPE_CODE,
    NO_YEAR,
    client_category_at_request,
    client_category_prices,
    job_type_at_request,
    job_type_codes,
    job_type_prices,
    market_at_request,
    market_prices,
)
from .requests import (
    category_at_request,
    client_at_request,
    features,
    job_posting,
    job_requests,
    job_skills,
)
from .staging import row_versions
from .training import labelled, training
from .words import job_terms


@dataclass(frozen=True, slots=True)
class Table:
    """Describe a table of the oracle.

    Attributes:
        module: the file of this package that computes the table.
        entity: the key columns of the entity, for a table of as-of rows; empty for other tables.
        nothing: the state of an entity before its first row, for a table of as-of rows; None for other tables.
    """

    module: str
    entity: tuple[str, ...] = ()
    nothing: Row | None = None


#: All tables that the oracle computes, by model name.
TABLES = {
    "int_job__requests": Table("requests.py"),
    "int_job__skills": Table("requests.py"),
    "int_job__terms": Table("words.py"),
    "int_job__hire_label": Table("hires.py"),
    "feat_client__history": Table("client_history.py", ("client_id",), NO_HISTORY),
    "feat_category__prices": Table("category_prices.py", ("category_id",), NO_PRICES),
    "feat_category__demand": Table("demand.py", ("category_id",), NO_DEMAND),
    "feat_category__codes": Table("category_prices.py", ("category_id",), NO_CODE),
    "feat_market__prices": Table("market.py", ("market_id",), NO_MARKET),
    "feat_client_category__prices": Table("market.py", ("client_id", "category_id"), NO_SUMS),
    "feat_job_type__codes": Table("market.py", ("job_type",), NO_TYPE_CODE),
    "feat_job_type__prices": Table("market.py", ("job_type",), NO_YEAR),
    "feat_term__prices": Table("lifts.py", ("term",), state_of_member("term", [])),
    "feat_skill__prices": Table("lifts.py", ("skill",), state_of_member("skill", [])),
    "feat_job__posting": Table("requests.py"),
    "feat_job__client_at_request": Table("requests.py"),
    "feat_job__category_at_request": Table("requests.py"),
    "feat_job__market_at_request": Table("market.py"),
    "feat_job__job_type_at_request": Table("market.py"),
    "feat_job__client_category_at_request": Table("market.py"),
    "feat_job__terms_at_request": Table("lifts.py"),
    "feat_job__skills_at_request": Table("lifts.py"),
    "mart_price_estimation__features": Table("requests.py"),
    "mart_hire_within_14d__features": Table("requests.py"),
    "mart_price_estimation__training": Table("training.py"),
    "mart_hire_within_14d__training": Table("training.py"),
}


def expected_tables(tables: Tables, world: World) -> dict[str, list[Row]]:
    """Return the rows of every table in `TABLES`, by model name, from raw tables that meet the raw contract.

    Args:
        tables: rows as dicts, by raw table name; timestamps have a zone, money is Decimal or int. A table may be
            missing. The only columns that may be missing are ``is_deleted`` and the ``loaded_at`` of job_skills.
        world: the settings of the build.

    Returns:
        Rows as dicts: timestamps in UTC, counts int, logs and days float, NULL as None. A table has one row for each
        request, for each request and skill or term, or for each entity and refresh at which a value changed.
    """
    jobs = row_versions("jobs", tables, world)
    contracts = row_versions("contracts", tables, world)
    clients = row_versions("clients", tables, world)
    proposals = row_versions("proposals", tables, world)
    reviews = row_versions("reviews", tables, world)

    requests = job_requests(jobs, world)
    skills = job_skills(requests, tables)
    terms = job_terms(requests)
    history = client_history(clients, jobs, contracts, reviews, world)
    prices = category_prices(jobs, contracts, world)
    demand = category_demand(requests, proposals, contracts, world)
    codes = category_codes(jobs, world)
    market = market_prices(jobs, contracts, world)
    own_prices = client_category_prices(jobs, contracts, world)
    type_codes = job_type_codes(requests, world)
    type_prices = job_type_prices(requests, jobs, contracts, world)

    posting = job_posting(requests, skills, world)
    client_then = client_at_request(requests, history)
    category_then = category_at_request(requests, prices, demand, codes)
    market_then = market_at_request(requests, market, world)
    type_then = job_type_at_request(requests, type_prices, type_codes)
    own_then = client_category_at_request(requests, own_prices, category_then, market_then, world)
    term_prices = prices_by("term", terms, requests, own_then, contracts, world)
    skill_prices = prices_by("skill", skills, requests, own_then, contracts, world)
    terms_then = at_request("term", requests, terms, term_prices, market_then, world)
    skills_then = at_request("skill", requests, skills, skill_prices, market_then, world)
    by_request = {
        "feat_job__posting": posting,
        "feat_job__client_at_request": client_then,
        "feat_job__category_at_request": category_then,
        "feat_job__market_at_request": market_then,
        "feat_job__job_type_at_request": type_then,
        "feat_job__client_category_at_request": own_then,
        "feat_job__terms_at_request": terms_then,
        "feat_job__skills_at_request": skills_then,
    }
    # These rows have the columns of all features. The tests do not compare columns that a mart does not select.
    feature_rows = features(*by_request.values())
    hires = hire_labels(requests, jobs, contracts, world)
    return {
        "int_job__requests": requests,
        "int_job__skills": skills,
        "int_job__terms": terms,
        "int_job__hire_label": hires,
        "feat_client__history": history,
        "feat_category__prices": prices,
        "feat_category__demand": demand,
        "feat_category__codes": codes,
        "feat_market__prices": market,
        "feat_client_category__prices": own_prices,
        "feat_job_type__codes": type_codes,
        "feat_job_type__prices": type_prices,
        "feat_term__prices": term_prices,
        "feat_skill__prices": skill_prices,
        **by_request,
        "mart_price_estimation__features": feature_rows,
        "mart_hire_within_14d__features": feature_rows,
        "mart_price_estimation__training": training(feature_rows, jobs, contracts, world),
        "mart_hire_within_14d__training": labelled(feature_rows, hires),
    }
