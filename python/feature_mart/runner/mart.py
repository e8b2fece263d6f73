"""Open the engine of a target, and read the documents of its mart: the record of the build and dbt's manifest."""

from __future__ import annotations

import json
from typing import Any

from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.settings import Settings
from feature_mart.runner.engine import Engine
from feature_mart.runner.state import BuiltMart, check_address, parse_built


def open_engine(settings: Settings) -> Engine:
    """Return the engine of the settings' target."""
    if settings.bigquery is not None:
        from feature_mart.runner.bigquery_engine import BigQueryEngine

        return BigQueryEngine(settings, settings.bigquery)
    from feature_mart.runner.duckdb_engine import DuckDBEngine

    return DuckDBEngine(settings)


def require_built(settings: Settings) -> BuiltMart:
    """Return the record of the present mart.

    Raises:
        UsageError: there is no mart, or the state folder belongs to another warehouse.
        TransientError: another program has the file open for writing, or BigQuery is temporarily unavailable.
    """
    check_address(settings)
    built = parse_built(open_engine(settings).read_document("built"))
    if built is None:
        raise UsageError(
            f"There is no mart at {settings.mart_address} yet: run `mart build` first."
        )
    return built


def read_dbt_manifest(settings: Settings) -> dict[str, Any]:
    """Return dbt's manifest.json of the build that made the present mart.

    Raises:
        TerminalError: the mart has no manifest.
    """
    text = open_engine(settings).read_document("dbt_manifest")
    if text is None:
        raise TerminalError(
            f"{settings.mart_address} has no dbt manifest: run `mart build --full-refresh`."
        )
    document: dict[str, Any] = json.loads(text)
    return document
