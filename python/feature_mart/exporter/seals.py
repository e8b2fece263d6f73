"""Read the seals of the raw tables from a mart, for `sources` in manifest.json."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from feature_mart.core.duckdb_files import connect
from feature_mart.core.errors import TerminalError
from feature_mart.snapshot_files import instant_text

SEALS = "int_mart__seals"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SourceSeal:
    """The seal of one raw table: the row versions known at the newest refresh.

    Attributes:
        rows: number of distinct pairs of key and load time.
        max_loaded_at: the newest load time; None for an empty table.
        keys_hash: an order-independent hash of the pairs of key and load time.
        assumed_rows: number of pairs that were known only because the load clock assumes an earlier `known_at`.
    """

    table: str
    rows: int
    max_loaded_at: datetime | None
    keys_hash: str | None
    assumed_rows: int

    def document(self) -> dict[str, Any]:
        """Return the table's entry in `sources` of manifest.json."""
        return {
            "table": self.table,
            "rows": self.rows,
            "max_loaded_at": None
            if self.max_loaded_at is None
            else instant_text(self.max_loaded_at),
            "keys_hash": self.keys_hash,
            "assumed_rows": self.assumed_rows,
        }


def read_seals(mart_path: Path) -> tuple[SourceSeal, ...]:
    """Return the seals of the newest refresh in a DuckDB mart, sorted by table name.

    Raises:
        TerminalError: the mart does not exist, or its seals cannot be read.
    """
    if not mart_path.is_file():
        raise TerminalError(f"There is no mart at {mart_path}; run `mart build` first.")
    try:
        with connect(mart_path, read_only=True) as con:
            rows = con.execute(
                "select table_name, key_count::bigint, epoch_us(max_loaded_at), "
                "keys_hash::varchar, "
                f"assumed_row_count::bigint from main.{SEALS} "
                f"where as_of_at = (select max(as_of_at) from main.{SEALS}) order by table_name"
            ).fetchall()
    except duckdb.Error as error:
        raise TerminalError(
            f"The seals of {mart_path} cannot be read: {error}. Run `mart build` again."
        ) from error
    return tuple(
        SourceSeal(
            table,
            count,
            None if loaded is None else _EPOCH + timedelta(microseconds=loaded),
            keys,
            assumed,
        )
        for table, count, loaded, keys, assumed in rows
    )
