"""Test that the sample passes the checks of quality and selection, and that the right check finds each planted fault.

The checks run as dbt compiled them from the YAML of the models. The models in MEASURES provide the measurements.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from built_sample import BuiltSample, build_sample
from compiled_mart import PROJECT, compile_mart
from feature_mart.knowledge.rationale import meta_of, read_columns, read_project

SHARES = {"stays_filled", "steady_exclusions"}
SELECTION = {"even_exclusions", "requests_of", "every_posting", "reasons_borne_out"}
OVER_TIME = {"null_rate", "cardinality", "volume_change", "psi", "freshness", "label_balance"}
KINDS = OVER_TIME | SHARES | SELECTION
#: The models that compute the measurements for the checks, in build order.
MEASURES = ("int_mart__profiles", "int_mart__unjudged", "int_mart__exclusions")
PROFILED = PROJECT / "macros" / "quality" / "profiles.sql"
NEWEST = "loaded_at > (select as_of_at from int_mart__clock) - interval 3 day"
RECENT = "{at} > (select as_of_at from int_mart__clock) - interval 28 day"
BREAKAGES = [
    ("update feat_job__posting set job_budget_log = null where {recent}", "null_rate job_budget_log"),
    ("update feat_job__posting set job_title_char_count = null where {recent}", "null_rate job_title_char_count"),
    ("update feat_job__category_at_request set category_code = 0 where {recent}", "cardinality category_code"),
    ("update feat_job__posting set job_title_char_count = 7 where {recent}", "cardinality job_title_char_count"),
    ("delete from feat_job__posting where {recent} and job_id not like '%77'", "volume_change"),
    ("insert into feat_job__posting select f.* from feat_job__posting f, range(12) where {recent}", "volume_change"),
    ("delete from feat_job__posting where {recent}", "freshness"),
    ("delete from feat_job__posting", "freshness"),
    ("update feat_job__client_category_at_request set job_expected_price_log = job_expected_price_log + 1 "
     "where {recent}", "psi job_expected_price_log 0.25"),
    ("update feat_job__client_category_at_request set job_expected_price_log = 3 where {recent}",
     "psi job_expected_price_log 3"),
    ("update feat_job__posting set job_posted_hour = (job_posted_hour + 9) % 24 where {recent}",
     "psi job_posted_hour 0.25"),
    ("update int_job__price_label set price_log = price_log / 2 where {label}", "psi price_log 3"),
    ("update int_job__hire_label set is_hired_within_14d = 1 where {label}", "label_balance is_hired_within_14d"),
    ("update dwh.contracts set agreed_price = null where {newest}", "stays_filled stg_dwh__contracts"),
    ("update dwh.jobs set title = ' ' where {newest}", "stays_filled stg_dwh__jobs"),
    ("update dwh.proposals set proposed_price = 0 where {newest}", "stays_filled stg_dwh__proposals"),
    ("update dwh.reviews set rating = null where {newest}", "stays_filled stg_dwh__reviews"),
    ("update mart_price_estimation__training set exclusion_reason = 'price_missing' where {label}",
     "steady_exclusions mart_price_estimation__training"),
    ("update mart_hire_within_14d__training set exclusion_reason = 'void' where {label}",
     "steady_exclusions mart_hire_within_14d__training"),
    ("update int_job__price_label set exclusion_reason = 'price_missing' where price_log < ln(2000)",
     "even_exclusions int_mart__exclusions"),
]  # fmt: skip
#: Faults that drop, exclude or redate rows, most of them by the label. Each fault is SQL with the name of the check
#: that must fail. Other checks may fail too.
SELECTIONS = [
    ("update int_job__price_label set exclusion_reason = 'label_not_yet_known' where price_log > ln(400000)",
     "even_exclusions int_mart__exclusions"),
    ("update int_job__hire_label set exclusion_reason = 'void' where is_hired_within_14d = 0 and hash(job_id) % 9 = 0",
     "even_exclusions int_mart__exclusions"),
    ("delete from int_job__hire_label where is_hired_within_14d = 0 and hash(job_id) % 3 > 0",
     "even_exclusions int_mart__exclusions"),
    *(
        (f"update int_job__price_label set exclusion_reason = '{reason}' where hash(job_id) % 50 = 0",
         "reasons_borne_out int_job__price_label")
        for reason in ("job_deleted", "label_known_before_request", "contract_deleted", "cancelled", "price_missing")
    ),
    ("update int_job__hire_label set exclusion_reason = 'void' where job_id not in "
     "(select job_id from int_proposal__versions where not is_deleted)", "reasons_borne_out int_job__hire_label"),
    ("update mart_price_estimation__training set requested_at = requested_at - interval 300 day "
     "where price_log >= 13", "requests_of mart_price_estimation__training"),
    ("update mart_hire_within_14d__features set entered_at = entered_at + interval 1 day where job_id like '%77'",
     "requests_of mart_hire_within_14d__features"),
    ("delete from mart_hire_within_14d__training where is_hired_within_14d = 0 and hash(job_id) % 3 > 0",
     "requests_of mart_hire_within_14d__training"),
    ("delete from int_job__requests where job_id in (select job_id from stg_dwh__jobs where is_deleted)",
     "every_posting int_job__requests"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quality:
    """A built sample, the SELECTs of the models in MEASURES, and the SELECTs of the checks by a short name."""

    sample: BuiltSample
    measures: Mapping[str, str]
    checks: Mapping[str, str]

    def red(self, folder: Path, breakage: str = "") -> dict[str, tuple[object, ...]]:
        """Copy the mart, run the SQL ``breakage``, measure the copy, and return the first row of each failing check."""
        mart = folder / "mart.duckdb"
        mart.unlink(missing_ok=True)
        shutil.copy(self.sample.mart, mart)
        with duckdb.connect(str(mart)) as con:
            con.execute("set TimeZone = 'UTC'")
            if breakage:
                recent, label = (RECENT.format(at=at) for at in ("entered_at", "label_known_at"))
                con.execute(breakage.format(recent=recent, label=label, newest=NEWEST))
            for name, sql in self.measures.items():
                con.execute(f"create table {name} as {sql}")
            rows = {name: con.execute(sql).fetchone() for name, sql in self.checks.items()}
        return {name: row for name, row in rows.items() if row is not None}


@pytest.fixture(scope="module")
def quality(tmp_path_factory: pytest.TempPathFactory) -> Quality:
    folder = tmp_path_factory.mktemp("quality")
    sample = build_sample(folder, jobs=8000, seed=6)
    compiled = compile_mart(folder, as_of=sample.as_of_at.isoformat())
    nodes = json.loads((folder / "target" / "manifest.json").read_text())["nodes"]
    checks = {}
    for node in nodes.values():
        kind = (node.get("test_metadata") or {}).get("name")
        if kind in KINDS:
            bound = node["test_metadata"]["kwargs"].get("at_most")
            parts = (kind, node.get("column_name"), bound if kind == "psi" else None)
            if kind in SHARES | SELECTION:
                parts = (kind, node["attached_node"].rpartition(".")[2])
            name = " ".join(str(part) for part in parts if part is not None)
            checks[name] = node["compiled_code"]
    return Quality(sample, {name: compiled.sql[name] for name in MEASURES}, checks)


def test_the_sample_is_within_all_thresholds(tmp_path: Path, quality: Quality) -> None:
    assert {name.split()[0] for name in quality.checks} == KINDS
    assert len(quality.checks) > 25
    assert quality.red(tmp_path) == {}
    assert unjudged(tmp_path) == []


def unjudged(folder: Path) -> list[tuple[object, ...]]:
    """Return the rows of `int_mart__unjudged` after the last `Quality.red` in this folder."""
    with duckdb.connect(str(folder / "mart.duckdb"), read_only=True) as con:
        return con.execute(
            "select model_name, history_days, needed_days, newest_rows, former_rows "
            "from int_mart__unjudged order by model_name"
        ).fetchall()


def entered() -> dict[str, str]:
    """Return, for each profiled table, the column with the time by which its rows are assigned to periods."""
    return dict(re.findall(r"'(\w+)': '(\w+)'", PROFILED.read_text()))


@pytest.mark.parametrize("days", [0, 2, 7, 70])
def test_a_young_warehouse_is_compared_with_nothing_and_said_to_be(
    tmp_path: Path, quality: Quality, days: int
) -> None:
    """Move the dates of older rows to the start of a young warehouse, so that no check has earlier rows to compare."""
    begins = f"((select as_of_at from int_mart__clock) - interval {days} day)"
    changes = [
        f"update {table} set {at} = {begins} where {at} < {begins}"
        for table, at in entered().items()
    ]
    columns = {
        "feat_job__category_at_request": "category_code = 0, category_log_price_mean_365d = null",
        "feat_job__client_category_at_request": "job_expected_price_log = null",
        "feat_job__client_at_request": "client_log_price_mean_365d = null",
    }
    changes += [
        f"update {table} set {empty} where entered_at = {begins}"
        for table, empty in columns.items()
    ]
    assert quality.red(tmp_path, "; ".join(changes)) == {}
    found = unjudged(tmp_path)
    assert {row[0] for row in found} == set(entered())
    assert {row[1:3] for row in found} == {(float(days), 84)}


def test_too_few_rows_are_said_to_be(tmp_path: Path, quality: Quality) -> None:
    few = "delete from int_job__price_label where {label} and hash(job_id) % 4 > 0"
    assert not {name for name in quality.red(tmp_path, few) if "price_log" in name}
    (found,) = unjudged(tmp_path)
    assert found[0] == "int_job__price_label"
    assert isinstance(found[3], int) and 0 < found[3] < 100


def test_a_few_old_rows_are_no_history(tmp_path: Path, quality: Quality) -> None:
    begins = "((select as_of_at from int_mart__clock) - interval 7 day)"
    changes = [
        f"update {table} set {at} = {begins} where {at} < {begins} and job_id not like '%77'"
        for table, at in entered().items()
    ]
    changes.append("update feat_job__client_category_at_request set job_expected_price_log = null")
    assert quality.red(tmp_path, "; ".join(changes)) == {}
    assert {row[1] for row in unjudged(tmp_path)} == {7.0}


def test_an_archive_is_told_the_last_refresh_that_passes(tmp_path: Path, quality: Quality) -> None:
    gone = "delete from feat_job__posting where entered_at > (select as_of_at from int_mart__clock) - interval 300 day"
    row = quality.red(tmp_path, gone)["freshness"]
    newest = quality.sample.as_of_at - timedelta(days=300)
    assert row[1] <= newest  # type: ignore[operator]
    told = quality.sample.clock.refresh_of(date.fromisoformat(str(row[2]).rpartition(" ")[2]))
    assert str(row[2]).startswith("mart build --as-of 2")
    with duckdb.connect(str(tmp_path / "mart.duckdb")) as con:
        con.execute("set TimeZone = 'UTC'")
        for days, is_red in ((0, False), (1, True)):
            con.execute(
                "create or replace table int_mart__clock as select ?::timestamptz as as_of_at",
                [told + timedelta(days=days)],
            )
            assert bool(con.execute(quality.checks["freshness"]).fetchall()) == is_red


@pytest.mark.parametrize(("breakage", "check"), BREAKAGES, ids=lambda text: text[:48])
def test_a_breakage_turns_its_check_red_and_those_of_other_models_stay_green(
    tmp_path: Path, quality: Quality, breakage: str, check: str
) -> None:
    red = quality.red(tmp_path, breakage)
    assert check in red
    assert len(red) <= 8
    if "_posting" not in breakage:
        assert not {"freshness", "volume_change"} & set(red)


def test_rows_chosen_by_their_label_turn_a_check_red(tmp_path: Path, quality: Quality) -> None:
    mart = tmp_path / "mart.duckdb"
    shutil.copy(quality.sample.mart, mart)
    missed = []
    with duckdb.connect(str(mart)) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(
            f"create view int_mart__exclusions as {quality.measures['int_mart__exclusions']}"
        )
        for breakage, check in SELECTIONS:
            con.execute("begin")
            con.execute(breakage)
            missed += [breakage] if con.execute(quality.checks[check]).fetchone() is None else []
            con.execute("rollback")
    assert missed == []


def test_every_feature_of_a_request_is_measured_the_passed_on_ones_too(quality: Quality) -> None:
    sql = quality.measures["int_mart__profiles"]
    described = read_columns(read_project(PROJECT))
    missing = [
        f"{model}.{name}"
        for model, (_, columns) in described.items()
        if model.startswith("feat_job__") and model != "feat_job__text"
        for name, column in columns.items()
        if "role" not in meta_of(column) and f"{model}.{name} as " not in sql
    ]
    assert "feat_job__client_at_request.client_rating_mean_all as " in sql
    assert missing == []


def test_profiles_count_what_is_there(tmp_path: Path, quality: Quality) -> None:
    mart = tmp_path / "mart.duckdb"
    shutil.copy(quality.sample.mart, mart)
    with duckdb.connect(str(mart)) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"create table int_mart__profiles as {quality.measures['int_mart__profiles']}")
        measured = con.execute(
            "select bin, row_count, distinct_count, least, greatest, total from int_mart__profiles "
            "where column_name = 'job_budget_log' and measured_at = ? order by bin",
            [quality.sample.as_of_at],
        ).fetchall()
        values = [
            row[0]
            for row in con.execute(
                "select job_budget_log from feat_job__posting where "
                + RECENT.format(at="entered_at")
            ).fetchall()
        ]
        instants = con.execute("select distinct measured_at from int_mart__profiles").fetchall()
    edges = [8, 9, 10, 11, 12, 13, 14, 15]
    wanted = {}
    for value in values:
        number = -1 if value is None else sum(value >= edge for edge in edges)
        wanted.setdefault(number, []).append(value)
    assert [row[0] for row in measured] == sorted(wanted)
    for number, rows, distinct, least, greatest, total in measured:
        own = wanted[number]
        assert rows == len(own)
        if number >= 0:
            assert (distinct, least, greatest) == (len(set(own)), min(own), max(own))
            assert total == pytest.approx(sum(own))
        else:
            assert (distinct, least, total) == (0, None, None)
    apart: list[datetime] = sorted(row[0] for row in instants)
    assert (apart[1] - apart[0]).days == 28 and len(apart) == 2
