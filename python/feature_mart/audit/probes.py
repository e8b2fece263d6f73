"""Synthetic requests between a refresh and its publication, which reveal values served too early.

Between a refresh and its publication few requests fall: an hour a night. There, probes are added for clients about whom
something was learned at that refresh. In a correct mart they are served what was published the night before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.duckdb_files import connect, copy_to
from feature_mart.settings import Clock

#: The most probes of one cutoff.
_PROBES = 40
_LEARNED = {"contracts": "client_id", "jobs": "client_id", "clients": "client_id"}


def add_probes(
    raw: RawWarehouse, cutoffs: Sequence[datetime], clock: Clock, out: Path
) -> RawWarehouse:
    """Write probes into the folder ``out`` and return the warehouse with them.

    A probe is a copy of a client's newest job with its own id, posted between the first refresh after a cutoff and
    its publication, and loaded ten minutes later. Without a publish lag there is none.
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
