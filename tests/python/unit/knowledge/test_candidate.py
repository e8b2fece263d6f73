"""Test how a candidate is computed, measured, drawn and described, and which candidates are refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import pytest
from click.testing import CliRunner

import snapshot_case as case
from feature_mart.cli import main
from feature_mart.core.duckdb_files import parquet
from feature_mart.core.errors import TerminalError, TransientError, UsageError
from feature_mart.core.settings import resolve_settings
from feature_mart.exporter import export_snapshot
from feature_mart.knowledge.candidate import measure_candidate, write_candidate
from feature_mart.knowledge.candidate_plot import describe_plot, draw_candidate
from feature_mart.knowledge.candidate_rows import (
    CandidateRows,
    compile_candidate,
    find_candidate,
    run_candidate,
)
from feature_mart.knowledge.evidence_files import sql_sha256
from feature_mart.storage import FolderStore

PROJECT = Path(__file__).resolve().parents[4]
SVG = "{http://www.w3.org/2000/svg}"
MOST_BYTES = 30_000
AS_OF = datetime(2026, 3, 31, 18, tzinfo=UTC)
#: SQL for the number in a job's id, from which snapshot_case computes the features and the label of the job.
NUMBER = "cast(substr(job_id, 5) as bigint)"
#: A candidate that explains the label as well as the budget does, and is never NULL, unlike the budget.
PLANTED = f"select job_id, hash({NUMBER}, 1) % 1000 as told from {case.MODEL}"
SQL = {"sql_sha256": sql_sha256(PLANTED)}
NOISE = f"select job_id, hash({NUMBER}, 77) % 1000 as told from {case.MODEL}"


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return case.build_mart(tmp_path_factory.mktemp("mart"), rows=1500)


@pytest.fixture(scope="module")
def snapshot(mart: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    described = case.manifest()
    report = export_snapshot(
        mart,
        described,
        described.consumers[0],
        FolderStore(tmp_path_factory.mktemp("snapshots")),
        context=case.context(),
    )
    return Path(report.address)


def measured(mart: Path, snapshot: Path, sql: str, seeds: int = 2) -> dict[str, Any]:
    rows = run_candidate(mart, "tried", sql)
    return measure_candidate(snapshot, "price_estimation", "sample", rows, seeds=seeds)


@pytest.fixture(scope="module")
def planted(mart: Path, snapshot: Path) -> dict[str, Any]:
    return measured(mart, snapshot, PLANTED) | SQL


def test_a_column_that_holds_the_label_raises_the_score(planted: dict[str, Any]) -> None:
    gained = planted["with"]["mean"] - planted["without"]["mean"]
    assert gained > 0.01 + planted["with"]["spread"] + planted["without"]["spread"]
    assert planted["metric"] == "r2" and planted["seeds"] == 2 and planted["columns"] == ["told"]
    assert planted["known_ratio"] == 1


def test_noise_does_not_raise_it(mart: Path, snapshot: Path) -> None:
    found = measured(mart, snapshot, NOISE)
    assert found["with"]["mean"] - found["without"]["mean"] < 0.005


def test_the_same_rows_in_another_order_give_the_same_figures(
    mart: Path, snapshot: Path, planted: dict[str, Any]
) -> None:
    again = measured(mart, snapshot, f"{PLANTED} order by hash(job_id)")
    assert again | SQL == planted


def test_the_test_split_is_not_looked_at(
    mart: Path, snapshot: Path, planted: dict[str, Any]
) -> None:
    keys = parquet(sorted((snapshot / "keys" / "test").iterdir()))
    without = f"{PLANTED} where job_id not in (select job_id from {keys})"
    assert measured(mart, snapshot, without) | SQL == planted
    assert set(planted["rows"]) == {"train", "validation"}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (f"{PLANTED} union all {PLANTED}", r"returns 2 rows of job_id job-0000000: .*one row"),
        (f"{PLANTED} union all select null, 1", "returns 1 rows without a job_id"),
        (
            f"select 1 as told from {case.MODEL}",
            "returns told: it must return job_id and at least one",
        ),
        (
            f"select job_id from {case.MODEL}",
            "returns job_id: it must return job_id and at least one",
        ),
        (f"{PLANTED}; copy (select 1) to '/nowhere/x.csv'", "must be a single SELECT statement"),
        ("create table x as select 1", "must be a single SELECT statement"),
        ("", "must be a single SELECT statement"),
        (f'select job_id, 1 as "a[b" from {case.MODEL}', "not a valid feature name"),
        (f"select job_id, [1] as told from {case.MODEL}", "numbers, booleans"),
        (f"select job_id, requested_at from {case.MODEL}", "requested_at is a TIMESTAMP WITH"),
    ],
)
def test_what_is_not_one_row_of_numbers_a_job_is_refused(
    mart: Path, sql: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run_candidate(mart, "tried", sql)


def test_sql_that_does_not_run_says_why(mart: Path) -> None:
    with pytest.raises(TerminalError, match=r"tried\.sql failed on .*nowhere"):
        run_candidate(mart, "tried", "select * from nowhere")


def test_the_mart_is_only_read_beside_other_readers(mart: Path) -> None:
    with duckdb.connect(str(mart), read_only=True) as con:
        assert len(run_candidate(mart, "tried", PLANTED).places) == 1500
        assert con.execute("select table_name from duckdb_tables()").fetchall() == [(case.MODEL,)]


def test_a_mart_that_is_being_written_is_to_be_tried_again(mart: Path) -> None:
    code = f"import duckdb; con = duckdb.connect({str(mart)!r}); print('open', flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"open\n"
        with pytest.raises(
            TransientError, match="open for writing: close that program and try again"
        ):
            run_candidate(mart, "tried", PLANTED)
        writer.communicate(b"\n")


def test_what_overwritten_sources_held_is_there_to_be_read(mart: Path, tmp_path: Path) -> None:
    history = tmp_path / "it's" / "history.duckdb"
    history.parent.mkdir()
    with duckdb.connect(str(history)) as con:
        con.execute("create table held as select 'a' as job_id, 7 as told")
    rows = run_candidate(mart, "tried", "select * from history.main.held", history)
    assert values_of(rows, "a") == [7]


def test_a_job_without_a_row_is_refused(mart: Path, snapshot: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no row for \d+ of [\d,]+ jobs in train .*, for example job-00"
    ):
        measured(mart, snapshot, f"{PLANTED} where {NUMBER} % 7 > 0")


@pytest.mark.parametrize(
    "sql",
    [
        f"select job_id, cast(null as double) as told from {case.MODEL}",
        f"select job_id, 1 as told from {case.MODEL}",
    ],
)
def test_a_candidate_that_says_nothing_here_is_not_measured(
    mart: Path, snapshot: Path, sql: str
) -> None:
    with pytest.raises(TerminalError, match=r"tried is NULL or constant in train of"):
        measured(mart, snapshot, sql)


def test_a_feature_cannot_be_its_own_candidate(mart: Path, snapshot: Path) -> None:
    with pytest.raises(UsageError, match="already has a column job_skill_count"):
        measured(mart, snapshot, f"select job_id, job_skill_count from {case.MODEL}")
    rows = run_candidate(mart, "tried", PLANTED)
    with pytest.raises(
        UsageError, match="a snapshot of price_estimation of sample, not of hire_within_14d"
    ):
        measure_candidate(snapshot, "hire_within_14d", "sample", rows)


def values_of(rows: CandidateRows, job: str) -> list[float]:
    return [float(value) for value in rows.values[rows.places[job]]]


def test_texts_become_the_places_of_their_values_and_booleans_0_and_1(mart: Path) -> None:
    sql = (
        "select * from (values ('a', '東京', true, 7), ('b', 'akita', false, null), "
        "('c', null, null, 9), ('d', 'akita', true, 3)) as t (job_id, place, is_so, price)"
    )
    rows = run_candidate(mart, "tried", sql)
    assert rows.columns == ("place", "is_so", "price")
    assert rows.texts == {"place": ("akita", "東京")}
    assert values_of(rows, "a") == [1, 1, 7]
    assert values_of(rows, "b") == pytest.approx([0, 0, float("nan")], nan_ok=True)
    assert values_of(rows, "c") == pytest.approx([float("nan"), float("nan"), 9], nan_ok=True)
    assert values_of(rows, "d") == [0, 1, 3]


def test_bins_hold_every_row_of_train_and_name_texts(mart: Path, snapshot: Path) -> None:
    sql = (
        f"select job_id, case hash({NUMBER}, 3) % 4 when 0 then 'low' when 3 then 'high' end as band, "
        f"hash({NUMBER}, 78) % 900 as noise from {case.MODEL}"
    )
    found = measured(mart, snapshot, sql, seeds=1)
    assert found["telling"]["column"] == "band", "the label has the band in it, and no noise"
    bins = {each["name"]: each for each in found["telling"]["bins"]}
    assert set(bins) == {"low", "high", "unknown"}
    assert bins["high"]["mean"] - bins["low"]["mean"] == pytest.approx(3, abs=0.3)
    assert sum(each["rows"] for each in bins.values()) == found["rows"]["train"]
    assert found["known_ratio"] == 1, "noise is known in every row"


def test_the_document_fits_its_schema_and_is_written_whole(
    planted: dict[str, Any], tmp_path: Path
) -> None:
    evidence, plot = write_candidate(tmp_path, planted)
    assert evidence == tmp_path / "docs/evidence/rejected/tried.price_estimation.sample.json"
    assert plot == tmp_path / "docs/assets/rejected/tried.price_estimation.sample.svg"
    assert json.loads(evidence.read_text()) == planted
    assert plot.read_bytes() == draw_candidate(planted)
    assert sorted(each.suffix for each in tmp_path.rglob("*.*")) == [".json", ".svg"]


@pytest.mark.parametrize("change", [{"with": {"mean": None}}, {"test": {}}, {"seeds": 0}])
def test_a_document_that_does_not_fit_is_not_written(
    planted: dict[str, Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    with pytest.raises(TerminalError):
        write_candidate(tmp_path, planted | change)
    assert not list(tmp_path.iterdir())


def test_the_plot_is_small_the_same_every_time_and_told_in_words(planted: dict[str, Any]) -> None:
    svg = draw_candidate(planted)
    assert len(svg) < MOST_BYTES and svg == draw_candidate(dict(planted))
    root = ElementTree.fromstring(svg)
    assert root.findtext(f"{SVG}title") == "tried: price_estimation of sample"
    assert root.findtext(f"{SVG}desc") == describe_plot(planted)
    width = root.attrib["width"]
    assert width.endswith("pt") and float(width.removesuffix("pt")) * 96 / 72 <= 480
    assert root.find(f".//{SVG}text") is not None, "text is text, not paths"
    assert b"<metadata" not in svg and b"dc:date" not in svg


def test_the_plot_reads_without_colour(planted: dict[str, Any]) -> None:
    colours = set(re.findall(r"#([0-9a-f]{6})\b", draw_candidate(planted).decode()))
    assert colours
    for colour in colours:
        assert len({colour[:2], colour[2:4], colour[4:]}) == 1, f"#{colour} is no grey"
    assert b"stroke-dasharray" in draw_candidate(planted)


def test_a_line_joins_numbers_and_neither_texts_nor_the_unknown(planted: dict[str, Any]) -> None:
    def lines(*names: str, is_text: bool = False) -> int:
        bins = [{"name": name, "rows": 10, "mean": at} for at, name in enumerate(names)]
        telling = {"column": "told", "is_text": is_text, "bins": bins}
        svg = draw_candidate(planted | {"telling": telling}).decode()
        return len(re.findall(r'<g id="line2d_\d+">\s*<path d="M[^"]*L[^"]*"', svg))

    none = lines("2024", "high", "unknown", is_text=True)
    assert lines("1", "2.5", "unknown") == none + 1 == lines("1", "2.5", "3")
    assert lines("1", "unknown") == none


def test_another_figure_is_another_plot(planted: dict[str, Any]) -> None:
    other = planted | {"with": {"mean": 0.5, "spread": 0.1}}
    assert draw_candidate(other) != draw_candidate(planted)
    assert "0.5000 ± 0.1000 with the candidate" in describe_plot(other)


def test_an_unknown_candidate_is_told_from_its_neighbours(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main,
        ["knowledge", "candidate", "budget_decile", "price_estimation"],
        env={"MART_HOME": str(tmp_path)},
    )
    assert result.exit_code == 2
    line = result.stderr.strip().splitlines()[-1]
    assert "no candidate 'budget_decile'" in line and "budget_deciles" in line
    with pytest.raises(
        UsageError, match=r"no candidate 'new' in analyses/rejected: write it there"
    ):
        find_candidate(tmp_path, "new")


def test_a_candidate_is_compiled_without_the_mart(tmp_path: Path) -> None:
    settings = resolve_settings(environment={"MART_HOME": str(tmp_path)})
    path = find_candidate(settings.project, "budget_roundness")
    sql = compile_candidate(settings, path, AS_OF)
    assert '"mart"."main"."int_job__requests"' in sql and "{{" not in sql
    assert not settings.mart_path.exists()
    elsewhere = resolve_settings(
        environment={
            "MART_HOME": str(tmp_path),
            "MART_TARGET": "bigquery_dev",
            "MART_GCP_PROJECT": "p",
            "MART_GCP_LOCATION": "US",
        }
    )
    with pytest.raises(UsageError, match="mart knowledge candidate works on DuckDB only"):
        compile_candidate(elsewhere, path, AS_OF)
