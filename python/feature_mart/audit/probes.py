"""Add synthetic requests at times at which a warehouse has few requests, to find leaks limited to such times.

Few requests fall into the hour between a refresh and its publication. `add_probes` adds requests there, for clients
with new rows in that refresh. A correct mart serves these requests the values of the refresh before.

A leak limited to one evening of the week, to month ends or to one week shows only if there is a request at that time.
`add_requests` adds requests, each with a contract, after every cutoff of a small warehouse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.core.duckdb_files import connect, copy_to, parquet
from feature_mart.core.settings import Clock

#: Maximum number of probes per cutoff.
_PROBES = 40
#: Number of synthetic requests per cutoff that `add_requests` writes.
_REQUESTS = 2
_LEARNED = {"contracts": "client_id", "jobs": "client_id", "clients": "client_id"}


def add_probes(
    raw: RawWarehouse, cutoffs: Sequence[datetime], clock: Clock, out: Path
) -> RawWarehouse:
    """Write probes into the folder ``out``, and return the warehouse with the probes.

    A probe is a copy, with another id, of the newest job of a client that has rows loaded between a cutoff and the next
    refresh. The probe is posted between this refresh and the publication of the refresh, and loaded ten minutes later.
    Without a publish lag, or without load times of jobs, there are no probes.
    """
    if clock.publish_lag_minutes == 0 or "jobs" in raw.untimed:
        return raw
    out.mkdir(parents=True, exist_ok=True)
    rows = raw.every_row()
    with connect() as con:
        for table in (*_LEARNED, "job_skills"):
            con.execute(f"create temp view {table} as {rows[table]}")
        con.execute(
            "create temp table gaps (number bigint, cut_at timestamptz, refresh_at timestamptz)"
        )
        gaps = [(number, at, clock.refresh_after(at)) for number, at in enumerate(cutoffs)]
        con.executemany("insert into gaps values (?, ?, ?)", gaps)
        learned = " union ".join(
            f"select g.number, g.refresh_at, t.{client} as client_id from {table} t "
            "join gaps g on t.loaded_at > g.cut_at and t.loaded_at <= g.refresh_at"
            for table, client in _LEARNED.items()
            if table not in raw.untimed
        )
        within = clock.publish_lag_minutes * 60_000_000
        con.execute(
            "create temp table probes as with chosen as ("
            f"select * from ({learned}) where client_id is not null "
            f"qualify row_number() over (partition by number order by hash(client_id)) <= {_PROBES}"
            "), newest as (select j.*, c.number, c.refresh_at from chosen c join jobs j using (client_id) "
            "qualify row_number() over (partition by c.number, client_id order by j.loaded_at desc, j.job_id) = 1"
            "), placed as (select *, refresh_at + to_microseconds(cast(hash(job_id, number) "
            f"% {within} as bigint)) as probe_at from newest) "
            "select * exclude (number, refresh_at, probe_at) replace ('probe' || number || '-' || job_id as job_id, "
            "probe_at as posted_at, false as is_deleted, probe_at + interval 10 minute as loaded_at), "
            "job_id as of_job_id from placed"
        )
        copy_to(con, "select * exclude (of_job_id) from probes", out / "jobs.parquet")
        skills = "select s.* replace (p.job_id as job_id) from job_skills s join probes p on s.job_id = p.of_job_id"
        copy_to(con, skills, out / "job_skills.parquet")
    return replace(raw, probes=out)


def add_requests(raw: RawWarehouse, cutoffs: Sequence[datetime], clock: Clock, out: Path) -> None:
    """Add copies of jobs, with skills and a contract each, to the probes in the folder ``out``, which may be empty.

    For each cutoff, _REQUESTS jobs that were posted by the cutoff are copied. A copy is posted at a random time between
    the cutoff and the next refresh, and loaded within an hour. Within 20 days, the copy gets a contract: a copy of a
    random contract, with the price multiplied by a random factor.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = raw.every_row()
    with connect() as con:
        for table in ("jobs", "job_skills", "contracts"):
            con.execute(f"create temp view {table} as {rows[table]}")
        con.execute(
            "create temp table gaps (number bigint, cut_at timestamptz, until_at timestamptz)"
        )
        gaps = [(number, at, clock.refresh_after(at)) for number, at in enumerate(cutoffs)]
        con.executemany("insert into gaps values (?, ?, ?)", gaps)
        draw = "cast(hash(job_id, number, '{}') % {} as bigint)".format
        con.execute(
            "create temp table requests as with firsts as (select * from jobs "
            "where not coalesce(is_deleted, false) "
            "qualify row_number() over (partition by job_id order by loaded_at) = 1"
            "), chosen as (select j.*, g.* from gaps g join firsts j on j.posted_at <= g.cut_at "
            f"qualify row_number() over (partition by number order by hash(job_id, number)) <= {_REQUESTS}) "
            f"select * exclude (number, cut_at, until_at) replace ('ask' || number || '-' || job_id as job_id, "
            f"cut_at + to_microseconds({draw('at', 1_000_003)} * date_diff('us', cut_at, until_at) // 1_000_003) "
            f"as posted_at), job_id as of_job_id, to_minutes({draw('loaded', 60)}) as lag, "
            f"to_minutes({draw('contract', 28_800)}) as until_contract, 1 + {draw('price', 40)} as factor "
            "from chosen"
        )
        con.execute("update requests set loaded_at = posted_at + lag")
        con.execute(
            "create temp table hires as select c.* replace ('ask-' || r.job_id as contract_id, r.job_id as job_id, "
            "r.client_id as client_id, r.posted_at + until_contract as contracted_at, "
            "r.posted_at + until_contract + interval 1 hour as loaded_at, "
            "c.agreed_price * r.factor as agreed_price) from requests r join contracts c on c.contract_id = "
            "(select min_by(d.contract_id, hash(d.contract_id, r.job_id)) from contracts d) "
            "qualify row_number() over (partition by r.job_id order by c.loaded_at) = 1"
        )
        skills = "select s.* replace (r.job_id as job_id) from job_skills s join requests r on s.job_id = r.of_job_id"
        written = {
            "jobs": "select * exclude (of_job_id, lag, until_contract, factor) from requests",
            "job_skills": skills,
            "contracts": "from hires",
        }
        for table, select in written.items():
            path = out / f"{table}.parquet"
            if path.exists():
                con.execute(f"create temp table earlier_{table} as from {parquet(path)}")
                select = f"select * from ({select}) union all by name from earlier_{table}"
            copy_to(con, select, path)
