"""Test the mart on BigQuery: the unmodified dbt-bigquery and Google's client against an emulator, compared with DuckDB.

The emulator runs on DuckDB, so equal tables prove the translation of the SQL, not BigQuery's arithmetic.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import grpc
import pytest
from click.testing import CliRunner

from analyzed_statements import analyze_sent
from bigquery_emulator import Emulator, run_emulator
from compiled_mart import PROJECT
from emulated_mart import (
    EmulatedMart,
    call,
    emulated_mart,
    environment,
    environment_of,
    result_of,
    write_slice,
)
from feature_mart.cli import main
from feature_mart.conformance import TableComparison
from feature_mart.conformance.cases import check_cases
from feature_mart.core.settings import resolve_settings
from feature_mart.exporter import windows_between
from feature_mart.knowledge.site.profiles import measure_profiles
from feature_mart.runner import build_mart, open_engine, open_run, require_built
from feature_mart.runner.bulk_loads import find_bulks
from feature_mart.runner.dbt import invoke_dbt
from feature_mart.sample import write_sample
from read_api_proxy import ReadFault, ReadProxy, run_read_proxy
from typed_project import RESULTS, bigquery_output, results_of, write_project

MUNICIPAL = PROJECT.parent / "shared" / "data" / "municipal_awards"
EARLIER, LAST = "2026-03-20", "2026-04-01"
#: Conformance cases that fail only on the emulator. The NUMERIC of the emulator has 3 decimal places and 15 digits
#: (BigQuery's has 9 and 38), and the TRIM of the emulator removes spaces only.
LIMITS_OF_THE_EMULATOR = {
    *("fixed_log_of_the_greatest_decimal", "whole_amount_least_short_of_a_half"),
    *("whole_amount_just_short_of_a_negative_half", "whole_amount_greatest_after_rounding"),
    *("whole_amount_greatest_with_a_fraction", "code_word_trims_tab_and_newline"),
    "trimmed_of_every_white_space",
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with run_emulator() as running:
        yield running


@pytest.fixture(scope="module")
def mart(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> EmulatedMart:
    """Load the sample into the emulator, and build the mart in full as of EARLIER, without checks."""
    folder = tmp_path_factory.mktemp("bigquery")
    variables = environment_of(emulator, folder / "home", MART_DWH="sample", MART_DATASET="mart")
    loaded = result_of(variables, "sample", "--to", "bigquery", "--jobs", "800", "--seed", "5")
    assert loaded["dataset"] == "mart-test.sample" and loaded["rows"]["jobs"] > 800
    raw = folder / "sample"
    write_sample(raw, 800, 5)
    made = emulated_mart(variables, raw)
    made.build(EARLIER)
    shutil.copytree(made.settings.target_dir("build") / "run", folder / "first_run")
    return made


@pytest.fixture(scope="module")
def built(mart: EmulatedMart) -> None:
    """Append the rows up to the refresh LAST, without checks."""
    mart.build(LAST)


@pytest.mark.audit
def test_every_check_passes_on_the_appended_mart(mart: EmulatedMart, built: None) -> None:
    """Run all checks, including unit tests, as of the first refresh that contains the whole sample."""
    done = result_of(mart.variables, "build")
    assert done["full_because"] is None
    tests = done["tests"]
    assert isinstance(tests, dict)
    assert tests["failed"] == 0 and tests["passed"] > 400
    assert done["mart"] == "mart-test.mart"
    assert str(done["as_of_at"]).startswith("2026-03-31T18:00")
    with environment(mart.variables):
        assert require_built(resolve_settings()).published_at is not None


def test_its_bulk_loads_are_those_that_duckdb_finds(mart: EmulatedMart, tmp_path: Path) -> None:
    here = resolve_settings(dwh=str(mart.raw), environment={"MART_HOME": str(tmp_path)})
    for table in ("jobs", "proposals"):
        with open_engine(here).first_loads(table) as loads:
            assert loads is not None
            expected = find_bulks(table, loads)
        with open_engine(mart.settings).first_loads(table) as loads:
            assert loads is not None
            assert find_bulks(table, loads) == expected
        assert [bulk.line.untrusted_from for bulk in expected if bulk.line] == [None]


def sent_sql(folder: Path) -> dict[str, str]:
    """Return the statement that dbt sent for each model, in lower case and on one line."""
    return {
        path.stem: re.sub(r"\s+", " ", path.read_text(encoding="utf-8")).lower()
        for path in folder.rglob("*.sql")
        if path.parent.name == path.stem  # Leave out checks and their fixtures.
    }


def test_tables_are_partitioned_by_the_refresh_and_clustered_by_their_entity(
    mart: EmulatedMart, built: None
) -> None:
    first = sent_sql(mart.raw.parent / "first_run")
    for model, column, key in (
        ("feat_client__history", "as_of_at", "client_id"),
        ("feat_client_category__prices", "as_of_at", "client_id`,`category_id"),
        ("int_contract__facts", "seen_at", "contract_id"),
        ("feat_job__posting", "entered_at", "job_id"),
        ("mart_price_estimation__features", "entered_at", "job_id"),
        ("mart_price_estimation__training", "entered_at", "job_id"),
    ):
        head = first[model].partition(" as ( ")[0]
        assert f"partition by timestamp_trunc({column}, month)" in head, (model, head[:600])
        assert re.search(rf"cluster by `?{key}`?", head.replace(", ", "`,`")), (model, head[-300:])
    for model, sql in first.items():
        if model.startswith("feat_") and "create or replace table" in sql:
            assert "partition by" in sql and "cluster by" in sql, model


def test_a_later_run_only_appends_what_is_new_behind_a_literal(
    mart: EmulatedMart, built: None
) -> None:
    later = sent_sql(mart.settings.target_dir("build") / "run")
    history = later["feat_client__history"]
    assert "merge into" in history and "on (false)" in history and "delete" not in history
    assert "when not matched then insert" in history and "when matched" not in history
    compiled = sent_sql(mart.settings.target_dir("build") / "compiled")
    for model in ("feat_client__history", "feat_job__posting", "mart_hire_within_14d__features"):
        # The watermark must be a literal, because BigQuery prunes partitions only by constants.
        assert re.search(r"timestamp_micros\(\d{15,}\)", compiled[model]), model
        assert "select max(built" not in compiled[model]


@pytest.mark.audit
def test_every_statement_that_dbt_sent_is_googlesql(mart: EmulatedMart, built: None) -> None:
    kinds = analyze_sent(mart.settings, "mart", "sample")
    assert kinds["MergeStmt"] >= 36 and kinds["CreateTableAsSelectStmt"] >= 63


@pytest.mark.audit
def test_both_texts_of_sql_give_the_same_tables(
    mart: EmulatedMart, built: None, tmp_path: Path
) -> None:
    last = mart.settings.clock.refresh_of(date.fromisoformat(LAST))
    compared = mart.compare(last, tmp_path)
    assert_equal(compared)
    assert len(compared) > 30 and sum(table.rows for table in compared) > 20_000


def assert_equal(compared: tuple[TableComparison, ...]) -> None:
    apart = {table.model: (table.differences, table.example) for table in compared}
    assert not {model: each for model, each in apart.items() if each[0]}


@pytest.mark.audit
def test_a_slice_of_a_real_warehouse_gives_the_same_tables(
    emulator: Emulator, tmp_path: Path
) -> None:
    if not MUNICIPAL.is_dir():
        pytest.skip("shared/data/municipal_awards is not beside this checkout")
    raw = write_slice(MUNICIPAL, tmp_path / "municipal", 300)
    variables = environment_of(
        emulator, tmp_path / "home", MART_DWH="municipal", MART_DATASET="municipal_mart"
    )
    mart = emulated_mart(variables, raw)
    mart.load("municipal")
    mart.build("2026-11-01")
    with environment(variables):
        as_of_at = require_built(mart.settings).as_of_at
    assert_equal(mart.compare(as_of_at, tmp_path))


@pytest.fixture(scope="module")
def read_proxy(emulator: Emulator) -> Iterator[ReadProxy]:
    with run_read_proxy(emulator.storage_endpoint) as running:
        yield running


def snapshot_files(address: str) -> dict[str, bytes]:
    """Return the content of a snapshot's Parquet files, by path in the snapshot."""
    folder = Path(address)
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.parquet"))}


def test_a_snapshot_is_the_same_on_either_engine_to_the_byte(
    mart: EmulatedMart, built: None, read_proxy: ReadProxy, tmp_path: Path
) -> None:
    proxied = {**mart.variables, "MART_BQ_STORAGE_ENDPOINT": read_proxy.endpoint}
    there = result_of(proxied, "export", "--all")["snapshots"]
    read = [each.read_session.table.rpartition("/")[2] for each in read_proxy.sessions]
    assert len(read) == len(set(read)) == len(there) + 1, "a session each mart, and of the seals"
    assert all(each.read_session.table_modifiers.snapshot_time for each in read_proxy.sessions)
    embedded = {"MART_HOME": str(tmp_path / "home"), "MART_DWH": str(mart.raw)}
    with environment(embedded):
        settings = resolve_settings()
        with open_run(settings, "build") as log:
            build_mart(settings, log, as_of=LAST, is_checked=False)
        done = CliRunner().invoke(main, ["export", "--all", "--json"])
    assert done.exit_code == 0, done.output
    here = json.loads(done.stdout)["snapshots"]
    assert [each["id"] for each in there] == [each["id"] for each in here]
    for one, other in zip(there, here, strict=True):
        files = snapshot_files(one["address"])
        assert len(files) > 3 and files == snapshot_files(other["address"])
    manifest = json.loads(
        (Path(there[0]["address"]) / "_meta" / "manifest.json").read_text(encoding="utf-8")
    )
    assert manifest["engine"] == {"name": "bigquery", "version": "unknown"}
    assert manifest["warehouse_id"] == "mart-test.sample"


def test_an_export_survives_a_read_that_fails_once_and_ends_in_75_where_it_always_does(
    mart: EmulatedMart, built: None, read_proxy: ReadProxy, tmp_path: Path
) -> None:
    proxied = {
        **mart.variables,
        "MART_BQ_STORAGE_ENDPOINT": read_proxy.endpoint,
        "MART_BQ_RETRY_S": "2",
    }
    unavailable = ReadFault("ReadRows", grpc.StatusCode.UNAVAILABLE, "gone", 1)
    read_proxy.faults = [unavailable]
    try:
        done = call(proxied, "export", "--all", "--to", str(tmp_path / "once"))
        assert done.exit_code == 0, done.output
        unavailable.times = 10_000
        done = call(proxied, "export", "--all", "--to", str(tmp_path / "always"))
    finally:
        read_proxy.faults = []
    assert done.exit_code == 75, done.output
    assert "try again later" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("always/**/*.parquet"))


@pytest.mark.audit
def test_the_site_is_made_of_a_mart_on_bigquery(mart: EmulatedMart, built: None) -> None:
    page = Path(result_of(mart.variables, "docs")["site"])
    assert "feat_client__history" in page.read_text(encoding="utf-8")
    found = page.parent.glob("assets/mart_price_estimation__training/*.svg")
    drawings = {path.name.partition(".")[0] for path in found}
    assert {"job_budget_log", "client_contract_count_365d"} <= drawings


def test_profiles_are_the_same_on_either_engine(
    mart: EmulatedMart, built: None, tmp_path: Path
) -> None:
    table = "mart_price_estimation__training"
    names = ("job_budget_log", "client_contract_count_365d", "job_title_kana_ratio")
    columns = {name: name for name in names}
    edges = [datetime(year, 1, 2, tzinfo=UTC) for year in (1, 2025, 2026, 9999)]
    splits = windows_between(edges, embargo_days=0)
    with environment(mart.variables):
        engine, published_at = open_engine(mart.settings), require_built(mart.settings).published_at
        there = list(
            measure_profiles(
                lambda sql: engine.ask(table, sql, published_at), columns, "price_log", splits
            )
        )
        with engine.local_mart([table], published_at) as copy, duckdb.connect(str(copy)) as con:
            con.execute("set TimeZone = 'UTC'")
            here = list(
                measure_profiles(
                    lambda sql: con.execute(sql.format(table=table)).fetchall(),
                    columns,
                    "price_log",
                    splits,
                )
            )
    assert all(each.edges for each in here)
    for one, other in zip(there, here, strict=True):
        assert (one.unknown, one.rows("train")) == (other.unknown, other.rows("train"))
        assert one.edges == pytest.approx(other.edges)
        assert [m.rows for m in one.months] == [m.rows for m in other.months]
        assert one.quantile("train", 0.5) == pytest.approx(other.quantile("train", 0.5))


def test_golden_values_are_right_but_for_what_the_emulator_cannot_do(mart: EmulatedMart) -> None:
    with environment(mart.variables), open_run(mart.settings, "conformance") as log:
        results = check_cases(mart.settings, log)
    wrong = {result.name: result.found for result in results if not result.is_same}
    assert set(wrong) == LIMITS_OF_THE_EMULATOR, wrong


@pytest.mark.audit
def test_the_same_refresh_again_changes_nothing(mart: EmulatedMart, built: None) -> None:
    counted = "select count(*) from `mart-test.mart.feat_client__history`"
    before = [row[0] for row in mart.client.query(counted).result()]
    mart.build(LAST)
    assert [row[0] for row in mart.client.query(counted).result()] == before


def test_a_sample_is_never_loaded_over_a_dataset_of_somebody_elses(mart: EmulatedMart) -> None:
    mart.client.create_dataset("theirs")
    done = call(mart.variables, "sample", "--to", "bigquery", "--jobs", "10", "--out", "theirs")
    assert done.exit_code == 2, done.output
    assert "was not made by `mart sample`" in done.stderr


def test_going_back_wants_a_full_refresh(mart: EmulatedMart, built: None) -> None:
    done = call(mart.variables, "build", "--as-of", EARLIER)
    assert done.exit_code == 2 and "--full-refresh" in done.stderr


@pytest.mark.audit
def test_one_command_compares_a_sample_on_both_engines(emulator: Emulator, tmp_path: Path) -> None:
    variables = environment_of(emulator, tmp_path / "home", MART_DATASET="judged")
    done = call(variables, "conformance", "--tables", "--jobs", "200", "--json")
    report = json.loads(done.stdout)
    assert len(report["tables"]) > 30 and not any(t["differences"] for t in report["tables"])
    wrong = {case["name"] for case in report["cases"] if not case["is_same"]}
    assert wrong == LIMITS_OF_THE_EMULATOR and done.exit_code == 1


def test_duckdb_gives_the_golden_values(tmp_path: Path) -> None:
    settings = resolve_settings(
        dwh=str(tmp_path / "none"), environment={"MART_HOME": str(tmp_path / "home")}
    )
    write_sample(tmp_path / "none", 10, 1)
    with open_run(settings, "conformance") as log:
        results = check_cases(settings, log)
    assert not [result for result in results if not result.is_same]
    assert len(results) > 150


def test_overwritten_sources_are_kept_by_dbt_snapshots(emulator: Emulator, tmp_path: Path) -> None:
    raw = tmp_path / "over"
    write_sample(raw, 40, 3)
    variables = environment_of(
        emulator, tmp_path / "home", MART_DWH="over", MART_DATASET="over_mart"
    )
    mart = emulated_mart(variables, raw)
    mart.load("over")

    def take(at: str) -> None:
        taken = {"snapshot_at": at, "overwritten_sources": ["clients"], "warehouse": "over"}
        with environment(variables):
            done = invoke_dbt(
                mart.settings,
                ["snapshot"],
                step="snapshot",
                database=tmp_path / "none.duckdb",
                variables=taken,
            )
        assert done.success, [node.message for node in done.nodes] or done.problem

    def rows(query: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in mart.client.query(query).result()]

    # Keep only the newest row of each client, because an overwritten source has no other versions.
    rows(
        "create or replace table over.clients as select * from over.clients where true "
        "qualify row_number() over (partition by client_id order by loaded_at desc) = 1"
    )
    take("2026-05-01 03:00:00+00:00")
    (first, gone), *_ = zip(
        *rows("select client_id from over.clients group by client_id order by client_id limit 2"),
        strict=True,
    )
    rows(f"update over.clients set prefecture = 'elsewhere' where client_id = '{first}'")
    rows(f"delete from over.clients where client_id = '{gone}'")
    take("2026-05-02 03:00:00+00:00")
    history = "over_mart_history.snap_dwh__clients"
    kept = f"select prefecture, dbt_is_deleted from {history} where client_id = '{{}}' order by dbt_valid_from"
    assert [row[0] for row in rows(kept.format(first))][-1] == "elsewhere"
    assert len(rows(kept.format(first))) >= 2
    assert rows(kept.format(gone))[-1][1] == "True"


@pytest.mark.audit
def test_a_contract_refuses_another_type_than_yaml_states(
    emulator: Emulator, tmp_path: Path
) -> None:
    write_project(tmp_path, bigquery_output(emulator.endpoint))
    assert (
        results_of(tmp_path, "--exclude", "resource_type:seed") | {"seeded": "success"} == RESULTS
    )


def test_a_pull_requests_tables_expire(mart: EmulatedMart) -> None:
    dataset = mart.client.get_dataset("mart")
    assert dataset.default_table_expiration_ms == 7 * 24 * 60 * 60 * 1000
