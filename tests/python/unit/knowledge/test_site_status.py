"""Test the mart's state on the front page: scores, the trend of the scores, the last checks, and the owners."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from feature_mart.core.settings import Settings, resolve_settings
from feature_mart.knowledge.evidence import write_evidence
from feature_mart.knowledge.evidence_files import trend_of, with_earlier
from feature_mart.knowledge.site.status import (
    LastChecks,
    OwnedPath,
    RunRecord,
    checks_text,
    owners_table,
    read_last_checks,
    read_owned_paths,
    scores_text,
)
from feature_mart.runner import BuiltMart, CheckCounts, GitState, RunLog
from feature_mart.runner.dbt import Node
from site_case import LINKS, facts

PROJECT = Path(__file__).resolve().parents[4]
TOKYO = ZoneInfo("Asia/Tokyo")
EVIDENCE = json.loads(
    (PROJECT / "docs/evidence/price_estimation.sample.json").read_text(encoding="utf-8")
)


def measured(
    snapshot: int, mean: float | None, *, spread: float = 0.001, metric: str = "r2"
) -> dict[str, Any]:
    """Return an evidence document with the validation score ``mean``, for the snapshot with the number ``snapshot``."""
    score = {"mean": mean, "spread": None if mean is None else spread}
    return EVIDENCE | {
        "snapshot": f"20260331T1800Z-{snapshot:012x}",
        "metric": metric,
        "all": {"columns": 92, "validation": score, "test": {"mean": 0.8, "spread": 0.002}},
    }


def after(*documents: dict[str, Any]) -> dict[str, Any]:
    """Return the last document with the scores of the earlier documents, as if all were written in this order."""
    whole = None
    for document in documents:
        whole = with_earlier(document, whole)
    assert whole is not None
    return whole


@pytest.mark.parametrize(
    ("documents", "trend"),
    [
        ([measured(1, 0.87)], "first measurement"),
        (
            [measured(1, 0.85), measured(2, 0.86), measured(3, 0.87)],
            "+0.0100, better (0.8500 → 0.8600 → 0.8700)",
        ),
        ([measured(1, 0.87), measured(2, 0.86)], "-0.0100, worse (0.8700 → 0.8600)"),
        (
            [measured(1, 0.87), measured(2, 0.8705)],
            "+0.0005, the same within the spread (0.8700 → 0.8705)",
        ),
        (
            [measured(1, 0.5, metric="logloss"), measured(2, 0.4, metric="logloss")],
            "-0.1000, better (0.5000 → 0.4000)",
        ),
        ([measured(1, 0.5, metric="mae"), measured(2, 0.87)], "first measurement"),
        ([measured(1, None), measured(2, 0.87)], "first measurement"),
        ([measured(1, 0.87), measured(2, None)], "first measurement"),
        ([measured(1, 0.5), measured(1, 0.87)], "first measurement"),
    ],
)
def test_a_trend_compares_with_the_measurement_before(
    documents: list[dict[str, Any]], trend: str
) -> None:
    assert trend_of(after(*documents)) == trend


def test_a_written_measurement_keeps_the_earlier_scores(tmp_path: Path) -> None:
    path = tmp_path / "price.sample.json"
    for number in range(1, 16):
        write_evidence(path, measured(number, number / 100))
    kept = [each["all"]["validation"]["mean"] for each in json.loads(path.read_text())["earlier"]]
    assert kept == [number / 100 for number in range(3, 15)]
    path.write_text("{}")
    write_evidence(path, measured(1, 0.5))
    assert json.loads(path.read_text()) == measured(1, 0.5)


def test_a_consumer_without_a_score_is_told_how_to_measure_it() -> None:
    text = scores_text([facts()], "sample", LINKS)
    assert "| sample | r2 | not measured |" in text
    assert "price has no score on this warehouse: run `mart knowledge evidence price`." in text


def test_a_score_says_which_snapshot_it_is_of_and_if_a_newer_one_has_none() -> None:
    here, there = measured(1, 0.87), measured(2, 0.59) | {"warehouse_id": "city"}
    text = scores_text([facts(there, here, snapshot=here["snapshot"])], "sample", LINKS)
    lines = text.splitlines()
    row = "| [price](#!/exposure/exposure.mart.price) | sample | r2 | 0.8700 ± 0.0010 | 0.8000 ± 0.0020 |"
    assert lines[2].startswith(row) and here["snapshot"] in lines[2]
    assert "| city | r2 | 0.5900" in lines[3]
    assert "run `" not in text
    newer = scores_text([facts(here, snapshot="20260401T1800Z-0")], "sample", LINKS)
    assert (
        "The last snapshot of price, `20260401T1800Z-0`, is not measured: run `mart knowledge evidence price`."
        in newer
    )


def test_the_last_checks_say_when_they_ran_and_which_warned() -> None:
    built = RunRecord(
        "20260401T030405Z-run-7",
        CheckCounts(passed=1559, warned=1),
        ("test.mart.assert_x__y.1a2b",),
    )
    text = checks_text(LastChecks(built), LINKS, TOKYO)
    assert "2026-04-01 12:04 Asia/Tokyo" in text
    assert "**1,559 passed, 0 failed, 1 warned**" in text
    assert "Warned: [assert_x__y](#!/test/test.mart.assert_x__y.1a2b)." in text
    assert "later build" not in text


def test_a_mart_that_was_not_checked_says_so() -> None:
    text = checks_text(LastChecks(RunRecord("odd", CheckCounts())), LINKS, TOKYO)
    assert "without checks: run `mart build`" in text


def test_a_later_build_that_failed_is_shown_with_its_failures() -> None:
    failed = tuple(f"test.mart.t{number}" for number in range(12))
    later = RunRecord("20260402T000000Z-build-8", CheckCounts(3, 12, 0), (), failed, True)
    built = RunRecord("20260401T000000Z-run-7", CheckCounts(15))
    text = checks_text(LastChecks(built, later), LINKS, TOKYO)
    assert "did not replace the mart that is shown here" in text
    assert "3 passed, 12 failed, 0 warned" in text
    assert "[t9](#!/test/test.mart.t9) and 2 more" in text and "t10" not in text


def settings_at(home: Path) -> Settings:
    return resolve_settings(environment={"MART_HOME": str(home)})


def record(settings: Settings, run_id: str, status: str, **nodes: str) -> None:
    """Write a run record with a build stage of the given status and nodes with the given statuses."""
    log = RunLog(settings, "build", run_id, GitState(None, False), datetime(2026, 4, 1, tzinfo=UTC))
    document = log.document(None) | {
        "stages": [{"name": "build", "status": status}],
        "nodes": [{"id": f"test.mart.{name}", "status": each} for name, each in nodes.items()],
        "tests": {"passed": 0, "failed": len(nodes), "warned": 0},
    }
    settings.runs_dir.mkdir(parents=True, exist_ok=True)
    (settings.runs_dir / f"{run_id}.json").write_text(json.dumps(document))


def node(name: str, status: str) -> Node:
    return Node(
        *(f"test.mart.{name}", name, "test", status, 0.1, "", None, None, "", None, None, "", ""),
        meta={},
    )


def built_by(run_id: str) -> BuiltMart:
    at = datetime(2026, 3, 31, tzinfo=UTC)
    return BuiltMart("a", at, "duckdb", {}, "d", run_id, CheckCounts(passed=9, warned=1))


def test_the_newest_failed_build_after_the_marts_own_is_found(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    log = RunLog(
        settings, "docs", "20260409T000000Z-docs-1", GitState(None, False), datetime.now(UTC)
    )
    record(settings, "20260401T000000Z-build-1", "failed", old="fail")
    record(settings, "20260402T000000Z-build-1", "done", vague="warn")
    record(settings, "20260403T000000Z-build-1", "failed", first="fail")
    record(settings, "20260404T000000Z-build-1", "failed", second="error", fine="pass")
    record(settings, "20260407T000000Z-build-1", "done", last="warn")
    (settings.runs_dir / "20260405T000000Z-build-1.json").write_text("{")
    (settings.runs_dir / "20260406T000000Z-build-1.json").write_text('{"run_id": "x"}')
    checks = read_last_checks(settings, built_by("20260402T000000Z-build-1"), log)
    assert checks.built.tests == CheckCounts(passed=9, warned=1)
    assert checks.built.warned == ("test.mart.vague",)
    assert checks.failed_since is not None
    assert checks.failed_since.failed == ("test.mart.second",)
    fresh = read_last_checks(settings, built_by("20260404T120000Z-build-1"), log)
    assert fresh.failed_since is None and fresh.built.warned == ()


def test_a_build_that_is_still_running_names_its_own_warnings(tmp_path: Path) -> None:
    run_id = "20260402T000000Z-run-1"
    log = RunLog(settings_at(tmp_path), "run", run_id, GitState(None, False), datetime.now(UTC))
    log.nodes = (node("vague", "warn"), node("fine", "pass"))
    checks = read_last_checks(log.settings, built_by(run_id), log)
    assert checks.built.warned == ("test.mart.vague",)


def test_owners_are_named_for_consumers_features_and_files() -> None:
    paths = [
        OwnedPath("*", ("@x/platform",)),
        OwnedPath("/models/", ("@x/features",)),
        OwnedPath("/seeds/", ("@x/features",)),
    ]
    text = owners_table([facts()], {"pricing": ["job", "client"]}, paths, LINKS)
    assert "| pricing, pricing@example.com |" in text
    assert "| features of client, job | pricing |" in text
    assert "| files that no other line names | `@x/platform` |" in text
    assert "| files in `models/`, `seeds/` | `@x/features` |" in text


def test_owned_paths_are_those_of_codeowners(tmp_path: Path) -> None:
    assert read_owned_paths(tmp_path) == ()
    (tmp_path / "CODEOWNERS").write_text("# x\n\n*  @a @b # why\n/nobody/\n")
    assert read_owned_paths(tmp_path) == (OwnedPath("*", ("@a", "@b")),)
    assert len(read_owned_paths(PROJECT)) > 5
