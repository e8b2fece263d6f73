"""Test what a build prints besides failures: hints on loads, warnings with example rows, and what was not judged."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from feature_mart import pipeline
from feature_mart.cli import documents, summary
from feature_mart.core.settings import parse_as_of, resolve_settings
from feature_mart.pipeline import UnusualLoads
from feature_mart.raw.warehouse import newest_event
from feature_mart.runner import BuildReport
from feature_mart.runner.archive import Archive, find_archive
from feature_mart.runner.bulk_loads import BulkLoad
from feature_mart.runner.dbt import DbtResult, Node
from feature_mart.runner.failures import build_failure, describe_warning
from feature_mart.runner.first_loads import Moved
from feature_mart.runner.load_clock import LoadClockLine
from feature_mart.runner.state import CheckCounts
from feature_mart.runner.unjudged import Unjudged, read_unjudged
from toy_project import job, write_project, write_warehouse

BULK = BulkLoad(
    "jobs",
    "2026-04-01",
    keys=200,
    of=200,
    line=LoadClockLine(datetime(2026, 4, 1, 0, 0, 1, tzinfo=UTC), 24),
    moved=Moved(150, timedelta(days=30), timedelta(days=90), "j1"),
    compared=0,
)


class Asked:
    """Stand in for an engine with the given rows of int_mart__unjudged and the given first rows of any failed check."""

    def __init__(self, rows: Any = (), first: tuple[str, ...] = ()) -> None:
        self.rows, self.first = rows, first

    def ask(self, table: str, sql: str, published_at: datetime | None) -> Any:
        assert (table, published_at) == ("int_mart__unjudged", None)
        assert "{table}" in sql
        return self.rows

    def first_rows(self, node: Node) -> tuple[str, ...]:
        assert node
        return self.first

    def abandon(self, result: DbtResult) -> str:
        assert result
        return "no mart was published"


def said(*rows: tuple[Any, ...]) -> list[str]:
    return [each.line() for each in read_unjudged(Asked(rows), None)]  # type: ignore[arg-type]


def check(status: str, failures: int, **meta: Any) -> Node:
    return Node(
        *("id", "filled", "test", status, 0.1, "", None, failures, "stg_dwh__contracts"),
        *(None, None, "tests/generic/filled.sql", "", meta),
    )


@pytest.mark.parametrize(
    ("days", "wanted"),
    [(3.0, "3 days of history"), (1.9, "1 day of history"), (83.0, "83 days of history")],
)
def test_a_short_history_is_one_line_for_all_models(days: float, wanted: str) -> None:
    rows = [(name, days, 84, 500, 0, 100) for name in ("feat_job__posting", "int_job__price_label")]
    assert said(*rows) == [
        f"null rates, distinct values, distributions, volumes: {wanted}; 84 are needed"
    ]


def test_a_first_refresh_has_no_shares_to_compare_either() -> None:
    lines = said(("feat_job__posting", 0.0, 84, 500, 0, 100))
    assert len(lines) == 2
    assert lines[1].startswith("columns that become empty, shares of exclusions: this is the first")


def test_too_few_rows_are_a_line_for_features_and_one_for_each_label() -> None:
    few = (76, 1070, 100)
    lines = said(
        ("feat_job__posting", 900.0, 84, *few),
        ("feat_job__text", 900.0, 84, *few),
        ("int_job__price_label", 900.0, 84, 44, 39, 100),
    )
    assert len(lines) == 2
    assert "of features: 76 recent rows and 1,070 earlier ones; 100 are needed of each" in lines[0]
    assert "of int_job__price_label: 44 recent rows" in lines[1]
    assert said(("feat_job__text", None, 84, 5, 0, 100)) == [
        "null rates, distinct values, distributions, volumes: there are fewer than 100 jobs so far"
    ]


def test_a_summary_tells_bulk_loads_before_warnings_and_what_is_not_judged_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = resolve_settings(environment={"MART_HOME": str(tmp_path)})
    unjudged = (Unjudged("null rates", "3 days of history; 84 are needed", ("feat_job__text",)),)
    at = datetime(2026, 4, 1, 18, tzinfo=UTC)
    done = BuildReport(at, "no mart yet", 49, CheckCounts(5, 0, 1), ("a column empties",), unjudged)
    summary.print_build(done, settings, UnusualLoads((BULK,), None))
    text = capsys.readouterr().out
    order = (
        "were first loaded together",
        "a column empties",
        "  not judged yet: null rates: 3 days",
    )
    assert [text.index(each) for each in order] == sorted(text.index(each) for each in order)
    document = documents.build_document(done, "r", settings, UnusualLoads((BULK,), None))
    assert document["archive"] is None and len(document["bulk_loads"]) == 1
    assert document["not_judged_yet"] == [
        {
            "what": "null rates",
            "why": "3 days of history; 84 are needed",
            "models": ("feat_job__text",),
        }
    ]


def test_an_archive_is_told_the_as_of_of_its_end(tmp_path: Path) -> None:
    settings = resolve_settings(environment={"MART_HOME": str(tmp_path)})
    ends = datetime(2021, 6, 29, 12, tzinfo=UTC)

    def found(as_of_at: datetime, *lines: LoadClockLine) -> Archive | None:
        engine: Any = SimpleNamespace(newest_event=lambda: ("reviews.reviewed_at", ends))
        return find_archive(settings, engine, as_of_at, lines)

    assert found(ends + timedelta(days=29)) is None
    # The newest event is at 21:00 in Tokyo, so the first refresh after it is at 03:00 on the next day.
    archive = found(datetime(2026, 4, 1, 18, tzinfo=UTC))
    assert archive == Archive("reviews.reviewed_at", ends, 1737, date(2021, 6, 30))
    assert parse_as_of(archive.as_of.isoformat(), settings.clock) == settings.clock.refresh_at(ends)
    late = found(datetime(2026, 4, 1, 18, tzinfo=UTC), LoadClockLine(ends, 48))
    assert late is not None and late.as_of == date(2021, 7, 2)
    text = "\n".join(summary.load_lines(UnusualLoads((), archive), settings))
    assert "the data end on 2021-06-29 21:00 (reviews.reviewed_at), 1,737 days before" in text
    assert "--as-of 2021-06-30 --full-refresh" in text and "load_clock" not in text
    both = "\n".join(summary.load_lines(UnusualLoads((BULK,), archive), settings))
    assert both.index("rows of a bulk load count as known") < both.index("first loaded together")
    assert "--full-refresh, after you have added the lines above to seeds/load_clock.csv" in both


def test_the_newest_event_of_the_raw_tables_is_found(tmp_path: Path) -> None:
    assert newest_event(write_warehouse(tmp_path / "none")) is None
    rows = [job(1, posted_at="2024-03-05 00:00:00+00"), job(2)]
    found = newest_event(write_warehouse(tmp_path / "some", rows))
    assert found == ("jobs.posted_at", datetime(2024, 3, 5, tzinfo=UTC))


def test_a_refresh_that_was_chosen_is_not_called_in_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_project(tmp_path / "toy"))
    raw = write_warehouse(tmp_path / "raw", [job(1)])
    settings = resolve_settings(dwh=str(raw), environment={"MART_HOME": str(tmp_path / "home")})
    log: Any = SimpleNamespace(as_of_at=datetime(2026, 4, 1, 18, tzinfo=UTC))
    found = pipeline.find_unusual_loads(settings, log, None).archive
    assert found is not None and found.as_of == date(2024, 3, 2)
    assert pipeline.find_unusual_loads(settings, log, "2026-04-01").archive is None


def test_a_failed_build_tells_bulk_loads_before_the_first_failure(tmp_path: Path) -> None:
    settings = resolve_settings(environment={"MART_HOME": str(tmp_path)})
    result = DbtResult((check("fail", 3, message="too few values"),), False, None, tmp_path)
    hints = summary.bulk_lines([BULK], settings.warehouse)
    error = build_failure(settings, Asked(), result, hints)  # type: ignore[arg-type]
    text = str(error)
    assert (
        text.index("no mart was published")
        < text.index("first loaded together")
        < text.index("too few values")
    )
    assert '"jobs","2026-04-01 00:00:01+00"' in text


def test_a_warning_shows_rows_that_are_findings_and_a_single_row() -> None:
    engine: Any = Asked(first=("column_name=price", "column_name=title"))
    assert describe_warning(engine, check("warn", 2, message="it empties", fix="look")) == (
        "it empties (stg_dwh__contracts): 2 rows; look"
    )
    found = check("warn", 2, message="it empties", fix="look", shows_rows=True)
    assert "; column_name=price; column_name=title; look" in describe_warning(engine, found)
    assert "; column_name=price; " in describe_warning(engine, check("warn", 1, message="m"))
