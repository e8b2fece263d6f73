"""Write raw tables as Parquet, so that the models read the same rows as the oracle."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .clock import Tables

_TEXT = pa.string()
_TIME = pa.timestamp("us", tz="UTC")
_MONEY = pa.decimal128(18, 3)
_FLAG = pa.bool_()

COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "categories": {"category_id": _TEXT, "parent_category_id": _TEXT, "name": _TEXT},
    "clients": {
        "client_id": _TEXT,
        "client_kind": _TEXT,
        "prefecture": _TEXT,
        "registered_at": _TIME,
        "loaded_at": _TIME,
        "is_deleted": _FLAG,
    },
    "freelancers": {
        "freelancer_id": _TEXT,
        "freelancer_kind": _TEXT,
        "registered_at": _TIME,
        "loaded_at": _TIME,
        "is_deleted": _FLAG,
    },
    "jobs": {
        "job_id": _TEXT,
        "client_id": _TEXT,
        "category_id": _TEXT,
        "title": _TEXT,
        "description": _TEXT,
        "job_type": _TEXT,
        "budget_min": _MONEY,
        "budget_max": _MONEY,
        "currency": _TEXT,
        "posted_at": _TIME,
        "apply_deadline_at": _TIME,
        "status": _TEXT,
        "loaded_at": _TIME,
        "is_deleted": _FLAG,
    },
    "job_skills": {
        "job_id": _TEXT,
        "skill": _TEXT,
        "loaded_at": _TIME,
        "is_deleted": _FLAG,
    },
    "proposals": {
        "proposal_id": _TEXT,
        "job_id": _TEXT,
        "freelancer_id": _TEXT,
        "proposed_price": _MONEY,
        "proposed_at": _TIME,
        "loaded_at": _TIME,
        "is_deleted": _FLAG,
    },
    "contracts": {
        "contract_id": _TEXT,
        "job_id": _TEXT,
        "client_id": _TEXT,
        "freelancer_id": _TEXT,
        "agreed_price": _MONEY,
        "currency": _TEXT,
        "contracted_at": _TIME,
        "status": _TEXT,
        "loaded_at": _TIME,
        "is_deleted": _FLAG,
    },
    "reviews": {
        "review_id": _TEXT,
        "contract_id": _TEXT,
        "reviewer_kind": _TEXT,
        "rating": pa.float64(),
        "reviewed_at": _TIME,
        "loaded_at": _TIME,
        "is_deleted": _FLAG,
    },
}


def write_warehouse(tables: Tables, folder: Path) -> None:
    """Write all eight raw tables as ``<folder>/<table>.parquet``, including tables without rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, columns in COLUMNS.items():
        schema = pa.schema(list(columns.items()))
        rows = pa.Table.from_pylist(tables.get(table, []), schema=schema)
        pq.write_table(rows, folder / f"{table}.parquet")
