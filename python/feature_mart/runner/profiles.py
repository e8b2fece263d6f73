"""Keep the profiles of earlier refreshes beside the mart, since a full build cannot measure them again."""

from __future__ import annotations

from pathlib import Path

from feature_mart.duckdb_files import connect, copy_to, parquet
from feature_mart.settings import Settings

PROFILES = "int_mart__profiles"


def restore_profiles(settings: Settings, draft: Path) -> None:
    """Copy the kept profiles, if there are any, into the empty DuckDB file of a full build."""
    if not settings.profiles_path.is_file():
        return
    with connect(draft) as con:
        con.execute(f"create table main.{PROFILES} as from {parquet(settings.profiles_path)}")


def keep_profiles(settings: Settings, draft: Path) -> None:
    """Copy the profiles of a finished build to the kept file; do nothing if the project has no such model."""
    with connect(draft, read_only=True) as con:
        found = con.execute(
            "select 1 from duckdb_tables() where schema_name = 'main' and table_name = ?",
            [PROFILES],
        ).fetchone()
        if found is None:
            return
        path = settings.profiles_path
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".part")
        copy_to(con, f"from main.{PROFILES} order by all", new)
    new.replace(path)
