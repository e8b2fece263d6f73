"""Read and write the documents of a DuckDB mart, and keep the profiles of earlier refreshes.

The documents are in the mart's file, so that tables and documents are replaced in one step. The profiles are copied to
a separate file, because a full build cannot measure earlier refreshes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from feature_mart.core.duckdb_files import connect, copy_to, parquet
from feature_mart.core.errors import FeatureMartError, TerminalError, TransientError
from feature_mart.core.settings import Settings

PROFILES = "int_mart__profiles"


def read_document(mart_path: Path, name: str) -> str | None:
    """Return a document of a mart; None if there is no mart that this DuckDB can read, or no such document.

    Raises:
        TransientError: another program has the file open for writing.
    """
    if not mart_path.is_file():
        return None
    try:
        with connect(mart_path, read_only=True) as con:
            row = con.execute(f"select document from mart_state.{name}").fetchone()
    except duckdb.Error as error:
        refused = unreadable(mart_path, error)
        if isinstance(refused, TransientError):
            raise refused from None
        return None
    return None if row is None else str(row[0])


#: DuckDB's errors for a table or column that does not exist.
_UNKNOWN_NAME = (duckdb.BinderException, duckdb.CatalogException)


def unreadable(mart_path: Path, error: duckdb.Error) -> FeatureMartError:
    """Translate an error of DuckDB on reading a mart into an error that says what to do.

    The result is a TransientError if another program has the file open for writing, otherwise a TerminalError.
    """
    if isinstance(error, duckdb.IOException) and "lock" in str(error):
        return TransientError(
            f"Another program has {mart_path} open for writing: close that program and try again."
        )
    first = str(error).partition("\n")[0]
    older = (
        " The mart may be older than the project: run `mart build`."
        if isinstance(error, _UNKNOWN_NAME)
        else ""
    )
    return TerminalError(f"{mart_path} could not be read: {first}.{older}")


def write_documents(mart_path: Path, documents: Mapping[str, str]) -> None:
    """Write documents into the finished copy of a mart, before it is published.

    The function also drops the temporary tables that dbt-duckdb leaves behind after appending rows of a Python model.
    """
    with connect(mart_path) as con:
        left = con.execute(
            "select schema_name, table_name from duckdb_tables() where contains(table_name, '__dbt_tmp')"
        ).fetchall()
        for schema, table in left:
            con.execute(f'drop table "{schema}"."{table}"')
        con.execute("create schema if not exists mart_state")
        for name, text in documents.items():
            con.execute(
                f"create or replace table mart_state.{name} as select ? as document", [text]
            )
        con.execute("checkpoint")


def restore_profiles(settings: Settings, draft: Path) -> None:
    """Copy the kept profiles, if there are any, into the empty DuckDB file ``draft`` of a full build."""
    if not settings.profiles_path.is_file():
        return
    with connect(draft) as con:
        con.execute(f"create table main.{PROFILES} as from {parquet(settings.profiles_path)}")


def keep_profiles(settings: Settings, draft: Path) -> None:
    """Copy the profiles of the finished build ``draft`` to the kept file.

    Nothing is copied if the project has no model of profiles.
    """
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
