"""Write the eight raw tables without rows, with the columns and types of the raw contract."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb

from feature_mart.core.duckdb_files import check_path, connect, copy_to
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.files import expand_user
from feature_mart.core.raw_contract import CONTRACT
from feature_mart.raw.warehouse import DEFAULT_TYPES


def write_empty(out: str | Path) -> Path:
    """Write each raw table as a Parquet file without rows into a new or empty folder, and return the folder.

    The files have every column that the contract requires. Optional columns are left out.

    Raises:
        UsageError: ``out`` is not a folder, or it has files already.
        TerminalError: the folder cannot be written. Files already written are removed again.
    """
    folder = expand_user(str(out), "--empty").absolute()
    check_path(folder, "--empty")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is not an empty folder: name a new or empty folder, so that no file is overwritten."
        )
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with connect() as con:
            for table, columns in CONTRACT.items():
                typed = ", ".join(
                    f"cast(null as {DEFAULT_TYPES[kind]}) as {column}"
                    for column, kind in columns.items()
                )
                copy_to(
                    con,
                    f"select {typed} where false",
                    folder / f"{table}.parquet",
                    "format parquet",
                )
    except (OSError, duckdb.Error) as error:
        for table in CONTRACT:
            (folder / f"{table}.parquet").unlink(missing_ok=True)
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise TerminalError(
            f"The empty tables could not be written to {folder}: {error}. Make room there, or choose another folder."
        ) from error
    return folder
