"""Test that the command line and the site explain the rows left out of a snapshot, and show each column's type."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from feature_mart.cli import snapshot_summary
from feature_mart.core.settings import resolve_settings
from feature_mart.core.zones import load_zone
from feature_mart.knowledge.site.catalogue import _feature_line
from feature_mart.knowledge.site.enrich import known_types
from feature_mart.knowledge.site.pages import Links, _snapshot_lines
from feature_mart.knowledge.why import Why
from feature_mart.snapshot_files.left_out import MEANINGS, count_left_out, explain_left_out

PROJECT = Path(__file__).resolve().parents[4]
MANIFEST: dict[str, Any] = {
    "id": "20260331T1800Z-aaaaaaaaaaaa",
    "consumer": "price_estimation",
    "warehouse_id": "sample",
    "as_of_at": "2026-03-31T18:00:00Z",
    "created_at": "2026-04-01T00:00:00Z",
    "git": {"commit": None, "dirty": False},
    "engine": {"name": "duckdb", "version": "2.0.0"},
    "tests": {"passed": 5, "failed": 0, "warned": 1},
    "splits": [
        {"name": name, "rows": 9, "from": "2025-01-01T15:00:00Z", "to": "2025-02-01T15:00:00Z"}
        for name in ("train", "validation", "test")
    ],
    "purged": {"train": 2, "validation": 0, "test": 0},
    "excluded": {"label_not_yet_known": 7, "another": 1},
    "parts": [{"bytes": 10}],
    "warnings": [{"split": "validation", "what": "9 rows are fewer than 30"}],
}
SCHEMA: dict[str, Any] = {
    "label": "price_log",
    "label_kind": "regression",
    "columns": [{"role": "label"}, {"role": "feature"}],
}


def test_every_exclusion_reason_of_the_marts_has_a_meaning() -> None:
    reasons: set[str] = set()
    for path in PROJECT.glob("models/**/*.yml"):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models") or ():
            for column in model.get("columns") or ():
                for check in column.get("data_tests") or ():
                    if column["name"] == "exclusion_reason" and "accepted_values" in check:
                        reasons |= set(check["accepted_values"]["arguments"]["values"])
    assert len(reasons) >= 5 and reasons <= set(MEANINGS)


def test_only_what_was_left_out_is_explained_and_counted_over_snapshots() -> None:
    counts = count_left_out({"void": 2}, (0, 0))
    assert [name for name, _ in explain_left_out(counts)] == ["void"]
    both = count_left_out({"void": 1, "own_reason": 4}, (3, 1), counts)
    assert both == {"void": 3, "own_reason": 4, "purged": 4}
    assert [name for name, _ in explain_left_out(both)] == ["purged", "void"]


def test_a_snapshot_is_shown_with_what_was_left_out_and_its_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = resolve_settings(environment={"MART_HOME": str(tmp_path)})
    snapshot_summary.print_shown(MANIFEST, SCHEMA, "s3://b/x", settings)
    said = capsys.readouterr().out
    assert "  as of      2026-04-01 03:00 Asia/Tokyo, warehouse sample" in said
    assert re.search(r"total, with purged rows +37$", said, re.MULTILINE)
    assert "  purged: the label became known only after the next split began" in said
    assert "  label_not_yet_known: no outcome was known at the refresh" in said
    assert "  warning    validation: 9 rows are fewer than 30" in said
    document = snapshot_summary.shown_document(MANIFEST, SCHEMA, "s3://b/x")
    assert set(document["meanings"]) == {"purged", "label_not_yet_known"}


def test_the_site_explains_what_was_left_out_and_warns() -> None:
    class Facts:
        problem, snapshot = None, MANIFEST

    text = "\n\n".join(_snapshot_lines(Facts(), load_zone("Asia/Tokyo")))  # type: ignore[arg-type]
    assert "**Left out.** `purged`: the label became known" in text
    assert "`label_not_yet_known`: no outcome was known" in text
    assert "**Warning.** validation: 9 rows are fewer than 30." in text


def test_a_column_without_a_type_in_the_yaml_has_the_one_of_the_database() -> None:
    node = {
        "unique_id": "model.p.a",
        "columns": {"a": {"data_type": None}, "b": {"data_type": "bigint"}, "c": {}},
    }
    stored = {"A": {"type": "DOUBLE"}, "b": {"type": "INTEGER"}}
    catalog = {"nodes": {"model.p.a": {"columns": stored}}}
    assert known_types(node, catalog) == {"a": "double", "b": "integer"}
    assert known_types(node, {}) == {"b": "bigint"}
    why = Why("a", "model", "path", "what", {"unit": "ratio"}, {}, (), {}, (), ())
    assert _feature_line(why, "", [], Links("p"))[2] == "ratio"
    assert _feature_line(why, "double", [], Links("p"))[2] == "double, ratio"
