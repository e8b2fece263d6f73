"""Render the project's SQL for BigQuery, for evaluation with GoogleSQL's reference implementation. No service is used.

`googlesql` is not a target of dbt. dbt renders for the target `bigquery_dev` with a placeholder address.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter

from feature_mart.bigquery.googlesql_values import Table
from feature_mart.core.errors import TerminalError
from feature_mart.core.services import BigQueryAddress
from feature_mart.core.settings import Settings
from feature_mart.runner.dbt import invoke_dbt
from feature_mart.runner.failures import describe_failures
from feature_mart.runner.offline_bigquery import OfflineBigQuery, offline

#: The value of `--target` that selects the reference implementation.
GOOGLESQL = "googlesql"
#: The datasets of the mart and the raw tables in the rendered SQL.
MART, RAW = "unset-project.mart", "unset-project.dwh"
_COMPILE = (
    *("compile", "--select", "resource_type:model", "--indirect-selection", "empty"),
    *("--threads", "1", "--no-populate-cache"),
)


@dataclass(frozen=True, slots=True)
class BigQueryModel:
    """A model as dbt compiles it for BigQuery.

    `select` is the compiled SELECT; None for a Python model. `unique_key` has the columns by which a later run
    replaces rows; it is empty if a later run only appends. `is_incremental` is False for tables and views.
    """

    name: str
    select: str | None
    is_incremental: bool
    unique_key: tuple[str, ...]


def reference_settings(settings: Settings) -> Settings:
    """Return the settings with the target `bigquery_dev` at a placeholder address, for use in `offline`."""
    project, _, dataset = MART.partition(".")
    address = BigQueryAddress(
        project=project,
        location="US",
        raw=RAW,
        dataset=dataset,
        max_bytes=0,
        timeout_s=60,
        retry_s=0,
        price_per_tib=0.0,
        expires_days=None,
        endpoint="",
        storage_endpoint="",
    )
    return replace(settings, target="bigquery_dev", bigquery=address)


def compile_for_bigquery(
    settings: Settings,
    as_of_at: datetime | None,
    tables: Mapping[str, Table],
    answer: Callable[[str, str], Table],
) -> tuple[BigQueryModel, ...]:
    """Compile all models for BigQuery.

    Args:
        settings: settings of the embedded engine.
        as_of_at: the refresh, dbt var `as_of`; None to leave the var empty.
        tables: the tables that exist. An incremental model whose own table exists is compiled as a later run.
        answer: evaluates a query that a model sends while it is compiled, called with the model's name and the query.

    Raises:
        TerminalError: dbt could not compile a model, or GoogleSQL is not installed.
    """

    def answer_node(node: str, query: str) -> Table:
        return answer(node.rpartition(".")[2], query)

    # The analyzer needs only the columns. Rows would be sent to it again for each statement.
    bigquery = OfflineBigQuery(
        {name: Table(table.columns) for name, table in tables.items()}, answer_node
    )
    there = reference_settings(settings)
    given = {
        "as_of": "" if as_of_at is None else as_of_at.isoformat(),
        "warehouse": settings.warehouse,
    }
    with offline(bigquery):
        result = invoke_dbt(
            there,
            _COMPILE,
            step="googlesql",
            database=settings.state_dir / "googlesql.duckdb",
            variables=given,
        )
    if not result.success:
        head = "The models could not be compiled for BigQuery."
        raise TerminalError(describe_failures(there, result, lambda _: (), head))
    document = json.loads((result.target / "manifest.json").read_text(encoding="utf-8"))
    return tuple(
        BigQueryModel(
            name=node["name"],
            select=None if node["language"] == "python" else node["compiled_code"],
            is_incremental=node["config"]["materialized"] == "incremental",
            unique_key=_columns(node["config"].get("unique_key")),
        )
        for node in sorted(document["nodes"].values(), key=itemgetter("name"))
        if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral"
    )


def _columns(key: str | Sequence[str] | None) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else tuple(key or ())
