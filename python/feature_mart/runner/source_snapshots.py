"""Take and keep the dbt snapshots of overwritten sources, whose history cannot be rebuilt if it is lost.

dbt keeps the snapshots in `history/history.duckdb`. Another version of DuckDB may not be able to read this file. Each
table is therefore also written to a Parquet file in the same folder, from which the DuckDB file can be restored.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from feature_mart.core.duckdb_files import connect, copy_to, parquet
from feature_mart.core.errors import TerminalError, TransientError
from feature_mart.core.settings import Settings
from feature_mart.runner.dbt import invoke_dbt, require_success


def take_snapshots(
    settings: Settings, database: Path, variables: Mapping[str, object], *, is_taken: bool
) -> None:
    """Take the dbt snapshots of the overwritten sources, once per refresh.

    If ``is_taken``, the mart is already at the refresh and its seals cover the rows of the snapshots, so snapshots are
    taken only if the history file is missing. The snapshots are kept even if the build fails.

    Raises:
        TerminalError: dbt failed, or the history cannot be read and has no Parquet copy.
        TransientError: another program has the history open.
    """
    path = settings.history_path
    path.parent.mkdir(parents=True, exist_ok=True)
    _restore(path)
    if is_taken and path.is_file():
        return
    taken = {**variables, "snapshot_at": settings.now.isoformat()}
    result = invoke_dbt(settings, ["snapshot"], step="snapshot", database=database, variables=taken)
    require_success(result, "dbt snapshot of the overwritten sources")
    _keep(path)


def _restore(path: Path) -> None:
    """Restore the DuckDB file from the Parquet copies if the DuckDB file is missing or cannot be read."""
    copies = sorted(path.parent.glob("*.parquet"))
    if not path.is_file() and not copies:
        return
    try:
        if path.is_file():
            with connect(path, read_only=True) as con:
                con.execute("select count(*) from duckdb_tables()")
            return
    except duckdb.Error as error:
        if "lock" in str(error):
            raise TransientError(
                f"Another program has {path} open: close that program and try again."
            ) from None
        if not copies:
            raise TerminalError(
                f"{path} cannot be read ({str(error).splitlines()[0]}), and has no Parquet copy. The file contains "
                "the history of overwritten sources: use the DuckDB version that wrote it."
            ) from None
    new = path.with_name("restored.part")
    new.unlink(missing_ok=True)
    with connect(new) as con:
        for copy in copies:
            schema, _, table = copy.stem.partition(".")
            con.execute(f'create schema if not exists "{schema}"')
            con.execute(f'create table "{schema}"."{table}" as from {parquet(copy)}')
    if path.is_file():
        path.replace(path.with_name("unreadable.duckdb"))
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
    new.replace(path)


def _keep(path: Path) -> None:
    with connect(path) as con:
        con.execute("checkpoint")
        tables = con.execute(
            "select schema_name, table_name from duckdb_tables() where not temporary order by all"
        ).fetchall()
        for schema, table in tables:
            new = path.with_name(f"{schema}.{table}.part")
            copy_to(con, f'from "{schema}"."{table}"', new)
            new.replace(new.with_suffix(".parquet"))
