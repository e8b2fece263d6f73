"""Write a dbt project with one feature, one label and one consumer, small enough to be audited within seconds."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from compiled_mart import PROJECT
from toy_project import job, write_warehouse

_PROJECT = """
name: toy
version: 0.1.0
config-version: 2
profile: feature_mart
models:
  +materialized: table
seeds:
  toy:
    +fast: false
    load_clock:
      +column_types: {trusted_from: timestamptz, assumed_lag_hours: double, untrusted_from: timestamptz}
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
#: The SQL of int_mart__clock. The model's `as_of_at`, the refresh that is built, is dbt var `as_of` or, if the var is
#: not set, the first refresh at or after the newest load. Refreshes are at 18:00 UTC, which is 3:00 in Tokyo.
_CLOCK_MODEL = """
{% if var('as_of') -%}
select cast('{{ var("as_of") }}' as timestamptz) as as_of_at
{%- else -%}
select date_trunc('day', max(loaded_at) - interval 18 hour - interval 1 microsecond) + interval 42 hour as as_of_at
from (
    select loaded_at from {{ source('dwh', 'jobs') }}
    union all
    select loaded_at from {{ source('dwh', 'contracts') }}
)
{%- endif %}
"""
_KNOWN = "(select as_of_at from {{ ref('int_mart__clock') }})"
_SPINE = f"""
select job_id, client_id, posted_at as requested_at, min(loaded_at) as known_at
from {{{{ source('dwh', 'jobs') }}}}
where loaded_at <= {_KNOWN}
group by job_id, client_id, posted_at
"""
_LABEL = f"""
select job_id, min(loaded_at) as label_known_at, max(agreed_price) as price
from {{{{ source('dwh', 'contracts') }}}}
where loaded_at <= {_KNOWN}
group by job_id
"""
_HISTORY = """
{{ config(materialized='incremental') }}
select client_id, known_at as as_of_at, count(*) over seen as client_job_count
from {{ ref('int_job__requests') }}
window seen as (partition by client_id order by known_at, job_id WINDOW)
"""
#: Window frames of a client's job count. _SO_FAR counts the jobs known so far. _ALL also counts later jobs, which is a
#: leak.
_SO_FAR = "range between unbounded preceding and current row"
_ALL = "rows between unbounded preceding and unbounded following"
#: The filter of an incremental build. APART is replaced by `0 day` or, to plant a mistake, by `3 day`. With the
#: mistake, the build appends rows of the last 3 days before the watermark a second time.
_APPENDED = """
{% if is_incremental() %}
qualify known_at > (select max(as_of_at) - interval APART from {{ this }})
{% endif %}
"""
_FEATURES = """
with served as (
    -- A row is available one hour after the first refresh at or after as_of_at.
    select
        client_id,
        date_trunc('day', as_of_at - interval 18 hour - interval 1 microsecond) + interval 43 hour as served_at,
        max(client_job_count) as client_job_count
    from {{ ref('feat_client__history') }}
    group by client_id, served_at
)
select requests.job_id, requests.requested_at, history.client_job_count
from {{ ref('int_job__requests') }} as requests
asof left join served as history
    on requests.client_id = history.client_id and requests.requested_at >= history.served_at
qualify row_number() over (partition by requests.job_id order by requests.known_at) = 1
"""
_TRAINING = """
select features.*, labels.price
from {{ ref('mart_toy__features') }} as features
inner join {{ ref('int_job__price_label') }} as labels on features.job_id = labels.job_id
"""
_YAML = """
version: 2
models:
  - name: feat_client__history
    columns:
      - {name: client_id, data_type: varchar, data_tests: [not_null], config: {meta: {role: key}}}
      - {name: as_of_at, data_type: timestamptz, config: {meta: {role: key}}}
      - {name: client_job_count, data_type: bigint}
  - name: mart_toy__features
    columns: &features
      - {name: job_id, data_type: varchar, config: {meta: {role: key}}}
      - {name: requested_at, data_type: timestamptz, config: {meta: {role: audit}}}
      - {name: client_job_count, data_type: bigint}
  - name: mart_toy__training
    columns:
      - {name: job_id, data_type: varchar, config: {meta: {role: key}}}
      - {name: requested_at, data_type: timestamptz, config: {meta: {role: audit}}}
      - {name: client_job_count, data_type: bigint}
      - {name: price, data_type: double, config: {meta: {role: label}}}
"""
_SOURCES = """
version: 2
sources:
  - name: dwh
    schema: dwh
    tables: [{name: jobs}, {name: contracts}]
exposures:
  - name: toy
    type: ml
    owner: {name: toy}
    depends_on: [ref('mart_toy__training'), ref('mart_toy__features')]
"""
_CLOCK = "warehouse,table,trusted_from,assumed_lag_hours,note,untrusted_from\nother,jobs,2020-01-01 00:00:00+00,1,,\n"


def write_audited_project(
    folder: Path, *, leaks: bool = False, overlaps: bool = False, clock: str = ""
) -> Path:
    """Write the project into ``folder``, and return the folder.

    Args:
        folder: the project folder, which is created if necessary.
        leaks: if True, the feature also counts the client's later jobs.
        overlaps: if True, an incremental build appends some rows that the table already has.
        clock: CSV lines of the load clock, in addition to one line for another warehouse.
    """
    window = _ALL if leaks else _SO_FAR
    appended = _APPENDED.replace("APART", "3 day" if overlaps else "0 day")
    files = {
        "dbt_project.yml": _PROJECT,
        "seeds/load_clock.csv": _CLOCK + clock,
        "models/int_mart__clock.sql": _CLOCK_MODEL,
        "models/int_job__requests.sql": _SPINE,
        "models/int_job__price_label.sql": _LABEL,
        "models/feat_client__history.sql": _HISTORY.replace("WINDOW", window) + appended,
        "models/mart_toy__features.sql": _FEATURES,
        "models/mart_toy__training.sql": _TRAINING,
        "models/sources.yml": _SOURCES,
        "models/toy.yml": _YAML.replace("&features", ""),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip(), encoding="utf-8")
    shutil.copytree(PROJECT / "profiles", folder / "profiles")
    return folder


def write_audited_warehouse(folder: Path, days: int = 120) -> Path:
    """Write a warehouse of ``days`` days to ``folder``, and return the folder.

    Two jobs are posted a day, each loaded on the next day. Every second job has a contract, which is signed six days
    after the job was posted, and loaded on the day after it was signed.
    """
    start = datetime(2024, 1, 1, tzinfo=UTC)
    jobs: list[dict[str, Any]] = []
    contracts: list[dict[str, Any]] = []
    for number in range(2 * days):
        posted = start + timedelta(hours=12 * number)
        loaded = posted.replace(hour=17, minute=number % 60) + timedelta(days=1)
        jobs.append(job(number, client_id=f"c{number % 7}", posted_at=posted, loaded_at=loaded))
        if number % 2:
            contracts.append(
                {
                    "contract_id": f"d{number}",
                    "job_id": f"j{number}",
                    "agreed_price": 1000 * number,
                    "contracted_at": posted + timedelta(days=6),
                    "loaded_at": loaded + timedelta(days=6),
                    "status": "active",
                }
            )
    return write_warehouse(folder, jobs, contracts=contracts)
