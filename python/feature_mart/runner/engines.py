"""Choose the engine of a target."""

from __future__ import annotations

from feature_mart.runner.engine import Engine
from feature_mart.settings import Settings


def open_engine(settings: Settings) -> Engine:
    """Return the engine of the settings' target."""
    if settings.bigquery is not None:
        from feature_mart.runner.bigquery_engine import BigQueryEngine

        return BigQueryEngine(settings, settings.bigquery)
    from feature_mart.runner.duckdb_engine import DuckDBEngine

    return DuckDBEngine(settings)
