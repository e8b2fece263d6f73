"""Analyze with GoogleSQL the statements that an emulated BigQuery received."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from emulated_mart import PROJECT_ID
from feature_mart.bigquery import open_client
from feature_mart.bigquery.googlesql_values import Table
from feature_mart.bigquery.resolved_tree import kind
from feature_mart.core.settings import Settings
from feature_mart.runner.offline_bigquery import OfflineBigQuery

#: The Python models. The notebook writes their temporary tables, so no statement creates these tables.
_PYTHON_MODELS = ("int_job__terms", "feat_job__text")
_QUERY = re.compile(r"\s*(?:select|with)\b")
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)


def analyze_sent(settings: Settings, *datasets: str) -> Counter[str]:
    """Analyze each statement that made or changed a table, and return the number of statements of each kind.

    The statements are analyzed in the order in which they were sent. They read the tables that ``datasets`` have now,
    or those that an earlier statement made. The linter analyzes the queries.

    Raises:
        RefusedError: GoogleSQL refused a statement.
    """
    kinds: Counter[str] = Counter()
    assert settings.bigquery is not None
    client = open_client(settings.bigquery)
    tables = _columns_in(client, datasets)
    bigquery = OfflineBigQuery(tables)
    jobs = [job for job in client.list_jobs(max_results=10_000) if job.job_type == "query"]
    for job in sorted(jobs, key=lambda job: job.created):
        if _QUERY.match(_COMMENT.sub("", job.query)):
            continue
        for name, model in re.findall(r"`((\w+)__dbt_tmp\d+)`", job.query):
            if model in _PYTHON_MODELS:
                place = f"{PROJECT_ID}.{datasets[0]}"
                tables.setdefault(f"{place}.{name}", tables[f"{place}.{model}"])
        kinds[kind(bigquery.send("model", job.query))] += 1
    return kinds


def _columns_in(client: Any, datasets: tuple[str, ...]) -> dict[str, Table]:
    names = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
    return {
        f"{PROJECT_ID}.{dataset}.{listed.table_id}": Table(
            {
                field.name: names.get(field.field_type, field.field_type)
                for field in client.get_table(listed).schema
            }
        )
        for dataset in datasets
        for listed in client.list_tables(f"{PROJECT_ID}.{dataset}")
    }
