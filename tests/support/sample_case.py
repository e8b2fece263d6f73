"""Write a sample and open views of the sample's tables, for tests of the sample's content."""

from pathlib import Path

import duckdb

from feature_mart.core.duckdb_files import parquet
from feature_mart.sample import write_sample
from feature_mart.sample.write import TABLES

JOBS = 20_000
#: KEYS maps each table with versions to its key column, and EVENTS maps it to the column with the event time.
KEYS = {
    "clients": "client_id",
    "freelancers": "freelancer_id",
    "jobs": "job_id",
    "proposals": "proposal_id",
    "contracts": "contract_id",
    "reviews": "review_id",
}
EVENTS = {
    "clients": "registered_at",
    "freelancers": "registered_at",
    "jobs": "posted_at",
    "proposals": "proposed_at",
    "contracts": "contracted_at",
    "reviews": "reviewed_at",
}


def open_sample(folder: Path) -> duckdb.DuckDBPyConnection:
    """Write a sample into a folder, and return an in-memory DuckDB with views of the sample's tables.

    Tables first_<table> and last_<table> have the first and the last row of each key. Views settled_jobs,
    settled_proposals and settled_contracts have the first row of each job and the last row of each proposal and
    contract, but only for keys whose event was after the bulk load and at least five months before the end of the
    sample, so that all versions of the key have been loaded.
    """
    write_sample(folder, JOBS)
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    for table in TABLES:
        con.execute(f"create view {table} as from {parquet(folder / f'{table}.parquet')}")
    for table, key in KEYS.items():
        for name, direction in (("first", "asc"), ("last", "desc")):
            con.execute(
                f"create table {name}_{table} as select distinct on ({key}) * from {table} "
                f"order by {key}, loaded_at {direction}"
            )
    for table, seen in (("jobs", "first"), ("proposals", "last"), ("contracts", "last")):
        con.execute(
            f"create view settled_{table} as from {seen}_{table} where {EVENTS[table]} between "
            "timestamptz '2023-10-15 00:00:00+00' and timestamptz '2025-11-01 00:00:00+00'"
        )
    return con


def ask(con: duckdb.DuckDBPyConnection, query: str) -> float:
    """Return the number in the only column of the first row of a query."""
    row = con.execute(query).fetchone()
    assert row is not None and row[0] is not None, query
    return float(row[0])
