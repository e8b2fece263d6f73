"""A plugin of dbt-duckdb that lets the models see the raw warehouse: a view for each raw table, in the schema `dwh`.

profiles/profiles.yml names it, so that `mart` and plain dbt read the raw files by the same SELECTs. On BigQuery the raw
dataset is simply there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from feature_mart.raw_contract import CONTRACT
from feature_mart.warehouse import raw_select


class Plugin(BasePlugin):  # type: ignore[misc]  # dbt-duckdb ships no types
    """Opens the raw tables of the folder ``dwh`` of its configuration, as far as they are there."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Take the folder."""
        self._folder = Path(plugin_config["dwh"])

    def configure_connection(self, conn: Any) -> None:
        """Make the views; a table that is not there has none, and dbt names it where a model reads it."""
        conn.execute("set TimeZone = 'UTC'; create schema if not exists dwh")
        for table in CONTRACT:
            if (self._folder / f"{table}.parquet").exists():
                conn.execute(
                    f"create or replace view dwh.{table} as {raw_select(self._folder, table, conn)}"
                )
