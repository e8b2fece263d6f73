"""Create a view of each raw table in the schema `dwh`, as a plugin of dbt-duckdb.

profiles/profiles.yml names the plugin, so `mart` and plain dbt read the raw files with the same SELECTs. On BigQuery
there is no plugin, because the models read the raw dataset directly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from feature_mart.core.raw_contract import CONTRACT
from feature_mart.raw.warehouse import raw_select


class Plugin(BasePlugin):  # type: ignore[misc]  # dbt-duckdb ships no types
    """A dbt-duckdb plugin that makes the raw tables in the configured folder ``dwh`` available to the models."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Read the raw folder from the plugin's configuration."""
        self._folder = Path(plugin_config["dwh"])

    def configure_connection(self, conn: Any) -> None:
        """Create a view of each raw table that exists. dbt reports a missing table when a model reads that table."""
        conn.execute("set TimeZone = 'UTC'; create schema if not exists dwh")
        for table in CONTRACT:
            if (self._folder / f"{table}.parquet").exists():
                conn.execute(
                    f"create or replace view dwh.{table} as {raw_select(self._folder, table, conn)}"
                )
