"""Test that the grain of a model decides which comparison of two builds reports a changed value."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from feature_mart.audit.compare import (
    AS_OF,
    JOB,
    OTHER,
    compare_features,
    compare_marts,
    compare_requests,
    grain,
)
from feature_mart.core.manifest import Manifest, parse_manifest

AT = datetime(2025, 1, 2, tzinfo=UTC)
NAMES = ("feat_client__history", "feat_job__posting", "mart_daily__counts", "mart_daily__notes")
KEYS: dict[str, tuple[str, ...]] = {
    "feat_client__history": ("client_id", "as_of_at"),
    "feat_job__posting": ("job_id",),
    "mart_daily__counts": ("entered_at",),
    "mart_daily__notes": (),
}


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    def node(name: str) -> dict[str, object]:
        names = (*KEYS[name], "x")
        meta = {each: {"role": "key"} if each != "x" else {"serve": "online"} for each in names}
        columns = {
            each: {"name": each, "description": "", "data_type": "bigint", "meta": meta[each]}
            for each in names
        }
        return {
            "resource_type": "model",
            "name": name,
            "columns": columns,
            "config": {},
            "depends_on": {"nodes": []},
        }

    return parse_manifest(
        {
            "metadata": {"project_name": "toy", "adapter_type": "duckdb"},
            "nodes": {f"model.toy.{name}": node(name) for name in NAMES},
            "sources": {},
            "macros": {},
            "exposures": {},
        }
    )


def write(
    path: Path, *, history: int = 1, posting: int = 1, counts: int = 1, notes: int = 1
) -> Path:
    with duckdb.connect(str(path)) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(
            "create table int_job__requests as select 'j1' as job_id, timestamptz '2025-01-01' as requested_at, "
            "timestamptz '2025-01-01' as known_at"
        )
        con.execute(
            "create table feat_client__history as "
            f"select 'c1' as client_id, timestamptz '2025-01-01' as as_of_at, {history} as x"
        )
        con.execute(f"create table feat_job__posting as select 'j1' as job_id, {posting} as x")
        con.execute(
            "create table mart_daily__counts as "
            f"select timestamptz '2025-01-01' as entered_at, {counts} as x"
        )
        con.execute(f"create table mart_daily__notes as select {notes} as x")
    return path


def test_the_key_says_what_one_row_is(manifest: Manifest) -> None:
    assert [grain(manifest, name) for name in NAMES] == [AS_OF, JOB, OTHER, OTHER]


@pytest.mark.parametrize(
    ("changed", "by_features", "by_requests", "by_marts"),
    [
        ({}, [], [], []),
        ({"history": 2}, ["feat_client__history.x"], [], []),
        ({"posting": 2}, ["feat_job__posting.x"], ["feat_job__posting.x"], []),
        ({"counts": 2}, [], [], ["mart_daily__counts.x"]),
        ({"notes": 2}, [], [], ["mart_daily__notes."]),
    ],
)
def test_a_changed_value_is_named_by_the_comparison_that_its_rows_belong_to(
    manifest: Manifest,
    tmp_path: Path,
    changed: dict[str, int],
    by_features: list[str],
    by_requests: list[str],
    by_marts: list[str],
) -> None:
    whole, other = write(tmp_path / "whole.duckdb"), write(tmp_path / "other.duckdb", **changed)
    for found, wanted in (
        (compare_features(manifest, NAMES, whole, other, AT), by_features),
        (compare_requests(manifest, NAMES, whole, other, AT), by_requests),
        (compare_marts(manifest, NAMES, whole, other), by_marts),
    ):
        differences, compared = found
        assert [f"{each.model}.{each.column}" for each in differences] == wanted
        assert all(each.rows > 0 for each in compared)
