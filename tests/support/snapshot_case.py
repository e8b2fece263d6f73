"""Build a small mart without dbt, and the dbt manifest that describes the mart."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from feature_mart.core.manifest import Consumer, Manifest, parse_manifest
from feature_mart.exporter import BuildContext, SourceSeal

MODEL = "mart_price_estimation__training"
COLUMNS: dict[str, dict[str, Any]] = {
    "job_id": {"data_type": "varchar", "role": "key"},
    "requested_at": {"data_type": "timestamptz", "role": "key"},
    "entered_at": {"data_type": "timestamptz", "role": "audit"},
    "job_budget_log": {"data_type": "double"},
    "job_skill_count": {"data_type": "bigint"},
    "category_code": {"data_type": "bigint", "categorical": True},
    "label_known_at": {"data_type": "timestamptz", "role": "audit"},
    "price_log": {"data_type": "double", "role": "label"},
    "exclusion_reason": {"data_type": "varchar", "role": "audit"},
}
FEATURES = ("job_budget_log", "job_skill_count", "category_code")
EXPOSURE: dict[str, Any] = {
    "consumer": "price_estimation",
    "features_model": "mart_price_estimation__features",
    "training_model": MODEL,
    "label": "price_log",
    "label_kind": "regression",
    "metrics": ["r2", "mae"],
}
AS_OF = datetime(2026, 11, 3, 18, tzinfo=UTC)
SEAL = SourceSeal("jobs", 120, datetime(2026, 11, 3, 17, tzinfo=UTC), "1234", 3)


def dbt_document(exposure: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the parts of dbt's manifest.json that the package reads.

    ``exposure`` has values that replace or extend `config.meta` of the exposure.
    """
    columns = {
        name: {
            "name": name,
            "data_type": column["data_type"],
            "description": f"{name}.",
            "config": {
                "meta": {key: value for key, value in column.items() if key != "data_type"},
            },
        }
        for name, column in COLUMNS.items()
    }
    return {
        "metadata": {"generated_at": "2026-11-03T18:00:00Z"},
        "nodes": {
            f"model.mart.{MODEL}": {
                "name": MODEL,
                "resource_type": "model",
                "raw_code": "select 1",
                "columns": columns,
                "config": {"meta": {"owner": "pricing"}},
                "description": "Rows to train on.",
            }
        },
        "macros": {},
        "exposures": {
            "exposure.mart.price_estimation": {
                "name": "price_estimation",
                "config": {"meta": {**EXPOSURE, **(exposure or {})}},
            }
        },
    }


def manifest(**exposure: Any) -> Manifest:
    return parse_manifest(dbt_document(exposure))


def consumer(**exposure: Any) -> Consumer:
    return manifest(**exposure).consumers[0]


def context(**changes: Any) -> BuildContext:
    values: dict[str, Any] = {
        "warehouse_id": "sample",
        "as_of_at": AS_OF,
        "created_at": datetime(2026, 11, 4, tzinfo=UTC),
        "business_timezone": "Asia/Tokyo",
        "git_commit": "0" * 40,
        "git_dirty": False,
        "dbt_manifest_sha256": "a" * 64,
        "rationale_sha256": "b" * 64,
        "tests_passed": 10,
        "tests_failed": 0,
        "tests_warned": 0,
        "sources": (SEAL,),
    }
    return BuildContext(**{**values, **changes})


def build_mart(folder: Path, rows: int = 400, change: str = "") -> Path:
    """Write a mart whose training table has `rows` rows over 100 days, and return the path of its file.

    Every 10th row is excluded as void and has no label. A label is known one day after the request. The label depends
    on the first and the third feature, with noise. `change` is SQL that is run on the finished mart.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mart.duckdb"
    path.unlink(missing_ok=True)
    types = ", ".join(f"{name} {column['data_type']}" for name, column in COLUMNS.items())
    with duckdb.connect(str(path)) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"create table {MODEL} ({types})")
        con.execute(
            f"""
            insert into {MODEL}
            select
                'job-' || lpad(i::varchar, 7, '0'),
                moment,
                moment + to_hours(1),
                case when i % 13 = 0 then null else 10 + hash(i, 1) % 1000 / 300.0 end,
                hash(i, 2) % 5,
                hash(i, 3) % 4,
                moment + to_hours(24),
                case when i % 10 = 0 then null
                    else 8 + hash(i, 1) % 1000 / 200.0 + hash(i, 3) % 4 + hash(i, 4) % 100 / 500.0
                    end, case when i % 10 = 0 then 'void' end from ( select i, timestamptz
                    '2026-01-01 00:00:00+00' + to_minutes((i * 144000 // {rows})::int) as moment
                    from range({rows}) as r (i) ) order by hash(i, 9)
            """
        )
        con.execute(change or "select 1")
    return path
