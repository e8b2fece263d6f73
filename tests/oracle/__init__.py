"""The mart by brute force: every table, one entity at a time, from the definitions in its design.

It judges the SQL models and shares nothing with them. A state is counted afresh from the versions
known at a refresh; nothing enters, leaves or is carried over.
"""

from __future__ import annotations

from .category_prices import category_codes, category_prices
from .client_history import client_history
from .clock import Clock, LoadClockLine, Row, Tables, World
from .requests import (
    category_at_request,
    client_at_request,
    features,
    job_posting,
    job_requests,
    job_skills,
)
from .staging import row_versions
from .training import training

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

    requests = job_requests(jobs, world)
    skills = job_skills(requests, tables)
    posting = job_posting(requests, skills, world)
    history = client_history(clients, jobs, contracts, world)
    prices = category_prices(jobs, contracts, world)
    codes = category_codes(jobs, world)
    client_then = client_at_request(requests, history)
    category_then = category_at_request(requests, prices, codes)
    feature_rows = features(posting, client_then, category_then)
    return {
        "int_job__requests": requests,
        "int_job__skills": skills,
        "feat_job__posting": posting,
        "feat_client__history": history,
        "feat_category__prices": prices,
        "feat_category__codes": codes,
        "feat_job__client_at_request": client_then,
        "feat_job__category_at_request": category_then,
        "mart_price_estimation__features": feature_rows,
        "mart_price_estimation__training": training(feature_rows, jobs, contracts, world),
    }
