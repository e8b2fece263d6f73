"""Generate dbt's documentation of the mart: a page without data, a manifest and a catalog."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_mart.core.settings import Settings
from feature_mart.runner.build import dbt_variables
from feature_mart.runner.dbt import Progress, invoke_dbt, require_success
from feature_mart.runner.mart import open_engine
from feature_mart.runner.state import BuiltMart


@dataclass(frozen=True, slots=True)
class DbtDocs:
    """dbt's HTML page without data, and the two JSON documents that the page shows."""

    page: str
    manifest: dict[str, Any]
    catalog: dict[str, Any]


def generate_docs(
    settings: Settings, built: BuiltMart, progress: Progress | None = None
) -> DbtDocs:
    """Run `dbt docs generate` on the built mart and return its documents.

    Raises:
        TerminalError: dbt failed.
    """
    target = settings.target_dir("docs")
    _share_parse(settings, target)
    engine = open_engine(settings)
    engine.open_for_docs()
    result = invoke_dbt(
        settings,
        ["docs", "generate", *_without_catalog(settings)],
        step="docs",
        database=engine.database,
        variables=dbt_variables(settings, built.as_of_at),
        progress=progress,
    )
    require_success(result, "dbt docs generate")
    engine.database.unlink(missing_ok=True)
    return DbtDocs(
        (target / "index.html").read_text(encoding="utf-8"),
        json.loads((target / "manifest.json").read_bytes()),
        json.loads((target / "catalog.json").read_bytes()),
    )


def _without_catalog(settings: Settings) -> list[str]:
    """Return dbt's option for an empty catalog if BigQuery is an emulator, whose catalog dbt cannot read."""
    is_stand_in = settings.bigquery is not None and settings.bigquery.endpoint
    return ["--empty-catalog"] if is_stand_in else []


def _share_parse(settings: Settings, target: Path) -> None:
    """Copy dbt's parsed project from the build to ``target``, so that dbt does not parse every file again."""
    parsed = settings.target_dir("build") / "partial_parse.msgpack"
    if parsed.is_file():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(parsed, target / parsed.name)
