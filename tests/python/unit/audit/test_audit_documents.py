"""Test that comparing the manifests of a snapshot and of its rebuild reports every difference and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from feature_mart.audit.documents import compare_manifests

MANIFEST: dict[str, Any] = {
    "id": "20260331T1800Z-0123456789ab",
    "as_of_at": "2026-03-31T18:00:00Z",
    "engine": {"name": "duckdb", "version": "2.0.0"},
    "git": {"commit": "c0ffee", "dirty": False},
    "dbt_manifest_sha256": "a" * 64,
    "columns": [{"name": "price_log", "type": "float32"}, {"name": "age", "type": "float32"}],
    "splits": [
        {"name": "train", "from": "2023", "to": "2025", "rows": 10, "content_hash": "ab"},
        {"name": "test", "from": "2025", "to": "2026", "rows": 3, "content_hash": "cd"},
    ],
    "excluded": {"void": 2, "cancelled": 1},
    "purged": {"train": 1, "test": 0},
    "sources": [
        {"table": "jobs", "rows": 9, "max_loaded_at": None, "keys_hash": "77", "assumed_rows": 1}
    ],
    "parts": [{"path": "data/train/part-00000.parquet", "sha256": "e" * 64}],
}


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    other = copy.deepcopy(MANIFEST)
    change(other)
    return other


def differing(now: dict[str, Any]) -> list[str]:
    checks, _ = compare_manifests(MANIFEST, now)
    return [check.name for check in checks if not check.is_same]


def test_the_same_manifest_differs_in_nothing_and_leaves_nothing_unjudged() -> None:
    checks, not_judged = compare_manifests(MANIFEST, copy.deepcopy(MANIFEST))
    assert all(check.is_same for check in checks) and len(checks) == 16
    assert not_judged == ()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda m: m.update(dbt_manifest_sha256="b" * 64), "definitions (dbt manifest)"),
        (lambda m: m.update(as_of_at="2026-04-01T18:00:00Z"), "refresh"),
        (lambda m: m["columns"].pop(), "columns"),
        (lambda m: m["splits"][0].update(rows=11), "train rows"),
        (lambda m: m["splits"][1].update(content_hash="ce"), "test content hash"),
        (lambda m: m["splits"][1].update(to="2027"), "test to"),
        (lambda m: m["excluded"].update(void=3), "excluded"),
        (lambda m: m["purged"].update(train=0), "purged"),
        (lambda m: m["sources"][0].update(rows=10), "raw jobs"),
        (lambda m: m["sources"][0].update(keys_hash="78"), "raw jobs"),
        (
            lambda m: m["parts"][0].update(sha256="f" * 64),
            "SHA-256 of data/train/part-00000.parquet",
        ),
        (lambda m: m.update(id="20260331T1800Z-ba9876543210"), "id"),
    ],
)
def test_what_differs_is_named_and_nothing_else(
    change: Callable[[dict[str, Any]], object], name: str
) -> None:
    assert differing(changed(change)) == [name]


def test_a_split_and_a_part_that_are_not_there_any_more_are_named() -> None:
    assert differing(changed(lambda m: m["splits"].pop())) == [
        *("test from", "test to", "test rows", "test content hash")
    ]
    part = {"path": "data/train/part-00001.parquet", "sha256": "1" * 64}
    assert differing(changed(lambda m: m["parts"].append(part))) == [f"SHA-256 of {part['path']}"]


def test_another_engine_leaves_files_and_key_hashes_unjudged_and_says_so() -> None:
    def upgrade(manifest: dict[str, Any]) -> None:
        manifest["engine"]["version"] = "2.1.0"
        manifest["parts"][0]["sha256"] = "f" * 64
        manifest["sources"][0]["keys_hash"] = "78"

    now = changed(upgrade)
    assert differing(now) == []
    _, not_judged = compare_manifests(MANIFEST, now)
    assert "made with duckdb 2.0.0, the rebuild with duckdb 2.1.0" in not_judged[0]


def test_uncommitted_changes_are_said_to_be_unjudged() -> None:
    then = changed(lambda m: m["git"].update(dirty=True))
    _, not_judged = compare_manifests(then, MANIFEST)
    assert "uncommitted changes" in not_judged[0]
