"""Compute every table of the mart by brute force, one entity at a time, from the definitions in docs/architecture.md.

It judges the SQL models and shares nothing with them. A state is counted afresh from the versions
known at a refresh; nothing enters, leaves or is carried over.
"""

from __future__ import annotations

from .category_prices import category_codes, category_prices
from .client_history import client_history
from .clock import Clock, LoadClockLine, Row, Tables, World
from .demand import category_demand
from .hires import hire_labels
from .lifts import at_request, prices_by
from .market import (
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

__all__ = ["Clock", "LoadClockLine", "Row", "Tables", "World", "expected_tables"]


def expected_tables(tables: Tables, world: World) -> dict[str, list[Row]]:
    """Every table of the mart, by model name, from raw tables as the warehouse contract has them.

    Args:
        tables: rows as dicts by raw table name; instants carry a zone, money is Decimal or int. A
            table may be missing; of its columns only ``is_deleted`` and the ``loaded_at`` of
            job_skills may be.
        world: clock, as-of instant and load clock.

    Returns:
        Rows as dicts: instants in UTC, counts int, logs and days float, NULL as None. One row per
        job (spine-keyed tables), per job and skill, or per entity and refresh that changed it.
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
    # Text is judged by golden rows: its columns are in no row here.
    spine_keyed = {
        "feat_job__posting": posting,
        "feat_job__client_at_request": client_then,
        "feat_job__category_at_request": category_then,
        "feat_job__market_at_request": market_then,
        "feat_job__job_type_at_request": type_then,
        "feat_job__client_category_at_request": own_then,
        "feat_job__terms_at_request": terms_then,
        "feat_job__skills_at_request": skills_then,
    }
    feature_rows = features(*spine_keyed.values())
    # The hiring model is given no prices of terms and skills.
    of_words = ("feat_job__terms_at_request", "feat_job__skills_at_request")
    hire_rows = features(*(rows for name, rows in spine_keyed.items() if name not in of_words))
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
        **spine_keyed,
        "mart_price_estimation__features": feature_rows,
        "mart_hire_within_14d__features": hire_rows,
        "mart_price_estimation__training": training(feature_rows, jobs, contracts, world),
        "mart_hire_within_14d__training": labelled(hire_rows, hires),
    }
