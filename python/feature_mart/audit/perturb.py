"""Write a copy of a warehouse with many corrected, late and duplicated rows, most of them just after given timestamps.

A real warehouse has few rows that would reveal an error at one timestamp. In the copy, shares of the keys are
corrected, cancelled, repriced, deleted or recategorised, each within 36 hours after one of the timestamps. Further rows
are loaded late, before their events, twice or in bulk. The rows of the original warehouse stay, except that some are
duplicated, and some that were loaded shortly before a timestamp are loaded in bulk after the timestamp.
The raw contract holds: rows with the same key and load time are equal, a contract keeps its job, and an active contract
has no price of zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb

from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.core.duckdb_files import connect, copy_to
from feature_mart.core.raw_contract import CONTRACT, EVENTS

#: The kinds of changed versions of existing keys: for each table, the share of the keys that get a version of this
#: kind, and the columns that the version replaces.
_VERSIONS: dict[str, tuple[tuple[float, str], ...]] = {
    "jobs": (
        (0.10, "title || ' 至急 追記3000文字' as title, budget_max * 3 as budget_max"),
        (
            0.08,
            "{other_category} as category_id, apply_deadline_at + interval 30 day as apply_deadline_at",
        ),
        (0.04, "{other_client} as client_id, 'hourly' as job_type"),
        (0.04, "posted_at - interval 10 day as posted_at, 'closed' as status"),
        (0.04, "true as is_deleted"),
    ),
    "contracts": (
        (0.12, "agreed_price * 10 as agreed_price"),
        (0.08, "'cancelled' as status"),
        (0.04, "'void' as status"),
        (0.04, "contracted_at - interval 20 day as contracted_at"),
        (0.04, "{other_client} as client_id, null as freelancer_id"),
        (0.04, "true as is_deleted"),
    ),
    "clients": (
        (0.10, "registered_at - interval 1000 day as registered_at, '沖縄県' as prefecture"),
        (0.04, "true as is_deleted"),
    ),
    "freelancers": ((0.05, "registered_at - interval 500 day as registered_at"),),
    "proposals": (
        (0.04, "proposed_price * 5 as proposed_price"),
        (0.04, "true as is_deleted"),
    ),
    "reviews": ((0.10, "1 as rating"), (0.04, "true as is_deleted")),
}

#: The kinds of new keys, which are copies of existing keys: for each table, the share of the keys that are copied, and
#: the greatest number of days from the timestamp to the event of the copy, negative for events before the timestamp.
_COPIES: dict[str, tuple[tuple[float, int], ...]] = {
    "jobs": ((0.04, -100), (0.08, -1), (0.05, 0), (0.02, 60)),
    "contracts": ((0.05, -30), (0.04, 0), (0.02, 60)),
    "proposals": ((0.04, -10), (0.03, 0)),
    "reviews": ((0.08, -10), (0.03, 60)),
}
_DAY_US = 86_400_000_000
_WITHIN_US = 129_600_000_000  # New rows are loaded within 36 hours after the timestamp.
_DUPLICATED, _IN_BULK = 0.02, 0.05


def perturb_warehouse(
    raw: RawWarehouse, out: Path, around: Sequence[datetime], seed: int = 0
) -> RawWarehouse:
    """Write a perturbed copy of a warehouse into the folder ``out``, and return the copy.

    ``around`` has one or more timestamps just after which rows change. The same seed gives the same rows.
    """
    out.mkdir(parents=True, exist_ok=True)
    with connect() as con:
        con.execute("create table instants (number bigint, storm_at timestamptz)")
        con.executemany("insert into instants values (?, ?)", list(enumerate(around)))
        for table, select in raw.every_row().items():
            con.execute(f"create table {table} as {select}")
        for table, key in (("categories", "category_id"), ("clients", "client_id")):
            con.execute(
                f"create table other_{table} as select row_number() over (order by {key}) - 1 as number, {key} "
                f"from (select distinct {key} from {table})"
            )
        for table in _VERSIONS:
            if table not in raw.untimed:
                _Table(con, table, seed).perturb()
        _follow_copied_jobs(con)
        for table in CONTRACT:
            absent = "exclude (loaded_at)" if table in raw.untimed else ""
            rows = f"select * {absent} from {table} order by all"
            copy_to(con, rows, out / f"{table}.parquet")
    return RawWarehouse(out, raw.load_clock, raw.untimed)


class _Table:
    """A raw table of the copy, in a DuckDB database, with the perturbations to apply."""

    def __init__(self, con: duckdb.DuckDBPyConnection, table: str, seed: int) -> None:
        self.con, self.table, self.seed = con, table, seed
        self.key = next(iter(CONTRACT[table]))

    def perturb(self) -> None:
        """Apply every perturbation to this table."""
        self.load_in_bulk()
        self.con.execute(
            f"create or replace temp table firsts as select * from {self.table} "
            f"qualify row_number() over (partition by {self.key} order by loaded_at) = 1"
        )
        for number, (share, changes) in enumerate(_VERSIONS[self.table], start=1):
            self.add(number, share, changes.format(**self.others(number)))
        for number, (share, days) in enumerate(_COPIES.get(self.table, ()), start=9):
            self.add(number, share, self.copy(number, days))
        self.con.execute(
            f"insert into {self.table} select * from {self.table} "
            f"where {self.draw('twice', 1000)} < {_DUPLICATED * 1000}"
        )

    def draw(self, salt: object, below: int) -> str:
        """Return SQL for a pseudo-random whole number from 0 to ``below`` - 1, determined by the key and ``salt``."""
        return f"cast(hash({self.key}, '{self.seed}/{self.table}/{salt}') % {below} as bigint)"

    def others(self, number: int) -> dict[str, str]:
        """Return a mapping from the placeholders in _VERSIONS to SQL for a pseudo-random category or client."""
        return {
            f"other_{name}": f"(select o.{name}_id from other_{table} o where o.number = "
            f"{self.draw(f'{number}/{name}', 1_000_003)} % (select count(*) from other_{table}))"
            for name, table in (("category", "categories"), ("client", "clients"))
        }

    def copy(self, number: int, days: int) -> str:
        """Return SQL for a new key and for the time of its event.

        The event is up to ``days`` days after the timestamp, or before the timestamp if ``days`` is negative.
        """
        apart = self.draw(f"{number}/days", abs(days) * _DAY_US) if days else "0"
        sign = "-" if days < 0 else "+"
        return (
            f"'x{number}-' || {self.key} as {self.key}, "
            f"storm_at {sign} to_microseconds({apart} + 1) as {EVENTS[self.table]}"
        )

    def add(self, number: int, share: float, changes: str) -> None:
        """For a share of the keys, insert a copy of the key's first row in which the SQL ``changes`` replaces columns.

        The row is loaded within 36 hours after a timestamp by which the key had been loaded. ``number`` differs between
        calls, so that no two rows of one key are loaded in the same microsecond.
        """
        within = self.draw(f"{number}/within", _WITHIN_US // 16)
        self.con.execute(
            f"insert into {self.table} by name "
            f"select * exclude (storm_at, added_at) replace ({changes}, added_at as loaded_at) from ("
            f"select f.*, i.storm_at, i.storm_at + to_microseconds({number} + 16 * {within}) as added_at "
            "from firsts f "
            f"join instants i on i.number = {self.draw(f'{number}/at', 1_000_003)} % (select count(*) from instants) "
            f"where f.loaded_at <= i.storm_at and {self.draw(number, 10_000)} < {share * 10_000})"
        )

    def load_in_bulk(self) -> None:
        """Set the load time of some rows to one hour after a timestamp.

        The rows are the only ones of their keys, and were loaded up to 60 days before the timestamp.
        """
        self.con.execute(
            f"update {self.table} set loaded_at = i.storm_at + interval 1 hour from instants i "
            f"where i.number = {self.draw('bulk/at', 1_000_003)} % (select count(*) from instants) "
            f"and {self.draw('bulk', 10_000)} < {_IN_BULK * 10_000} "
            "and loaded_at between i.storm_at - interval 60 day and i.storm_at "
            f"and {self.key} in (select {self.key} from {self.table} group by all having count(*) = 1)"
        )


def _follow_copied_jobs(con: duckdb.DuckDBPyConnection) -> None:
    """Give each copied job the skills of the original job, and the original's contracts at twenty times the price."""
    con.execute(
        "create temp table copies as select job_id, regexp_replace(job_id, '^x[0-9]+-', '') as of_job_id, "
        "posted_at, loaded_at from jobs where job_id like 'x%-%' "
        "qualify row_number() over (partition by job_id order by loaded_at) = 1"
    )
    con.execute(
        "insert into job_skills by name select distinct s.* replace (c.job_id as job_id) "
        "from job_skills s join copies c on s.job_id = c.of_job_id"
    )
    con.execute(
        "insert into contracts by name select d.* replace (c.job_id || '-' || d.contract_id as contract_id, "
        "c.job_id as job_id, d.agreed_price * 20 as agreed_price, "
        "c.posted_at + interval 2 day as contracted_at, "
        "greatest(c.posted_at, c.loaded_at) + interval 3 day as loaded_at) "
        "from contracts d join copies c on d.job_id = c.of_job_id "
        "where d.contract_id not like 'x%-%' "
        "qualify row_number() over (partition by d.contract_id, c.job_id order by d.loaded_at) = 1"
    )
