"""Write a dbt project of three models that builds in a second or two, for tests of the runner."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compiled_mart import PROJECT, RAW_TABLES, connect, load_table
from feature_mart.core.duckdb_files import copy_to

_PROJECT = """
name: toy
version: 0.1.0
config-version: 2
profile: feature_mart
vars:
  business_timezone: Asia/Tokyo
  refresh_hour: 3
  publish_lag_minutes: 60
  as_of: ""
  warehouse: sample
  overwritten_sources: []
  snapshot_at: ""
flags:
  send_anonymous_usage_stats: false
"""
_JOBS = """
select job_id, client_id, loaded_at
from {{ source('dwh', 'jobs') }}
"""
_DAILY = """
{{ config(materialized='incremental') }}
select cast('{{ var("as_of") }}' as timestamptz) as as_of_at, count(*) as job_count
from {{ ref('toy_jobs') }}
where loaded_at <= cast('{{ var("as_of") }}' as timestamptz)
{% if is_incremental() %}
having cast('{{ var("as_of") }}' as timestamptz) > (select max(as_of_at) from {{ this }})
{% endif %}
"""
_MART = """
select job_id, 1.5 as price_log, case when job_id = 'j1' then 'void' end as exclusion_reason
from {{ ref('toy_jobs') }}
"""
_YAML = """
version: 2
sources:
  - name: dwh
    tables: [{name: jobs}, {name: contracts}]
models:
  - name: toy_jobs
    columns:
      - name: client_id
        data_tests:
          - not_null:
              config:
                meta:
                  message: "jobs.client_id is NULL in some rows"
                  fix: "fill it in the raw table"
      - name: job_id
        data_tests: [unique]
"""


def write_project(folder: Path) -> Path:
    """Write the project with a copy of the mart's dbt profile into ``folder``, and return the folder."""
    files = {
        "dbt_project.yml": _PROJECT,
        "models/toy_jobs.sql": _JOBS,
        "models/toy_daily.sql": _DAILY,
        "models/mart_toy__training.sql": _MART,
        "models/toy.yml": _YAML,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip(), encoding="utf-8")
    shutil.copytree(PROJECT / "profiles", folder / "profiles")
    return folder


def job(number: int, loaded_at: str = "2024-03-01 00:00:00+00", **values: Any) -> dict[str, Any]:
    """Return a raw job whose key is ``number``; ``values`` override the defaults and add columns."""
    return {
        "job_id": f"j{number}",
        "client_id": "c1",
        "currency": "JPY",
        "posted_at": loaded_at,
        "loaded_at": loaded_at,
        **values,
    }


def write_warehouse(
    folder: Path, jobs: Sequence[dict[str, Any]] = (), **tables: Sequence[dict[str, Any]]
) -> Path:
    """Write the eight raw tables with these rows into ``folder``, and return the folder.

    A table that is not given has no rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    con = connect()
    for name, columns in RAW_TABLES.items():
        load_table(con, f"dwh.{name}", columns, jobs if name == "jobs" else tables.get(name, ()))
        copy_to(con, f"from dwh.{name}", folder / f"{name}.parquet")
    return folder
