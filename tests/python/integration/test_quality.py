"""Quality over time: the project's own thresholds are kept by the sample, and each breakage planted in it is named.

The checks are those that dbt compiled from the YAML beside the models, the measures those of int_mart__profiles.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from built_sample import BuiltSample, build_sample
from compiled_mart import compile_mart

KINDS = {"null_rate", "cardinality", "volume_change", "psi", "freshness", "label_balance"}
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
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quality:
    """A built sample, the SELECT that measures it, and its checks by what they are called here."""

    sample: BuiltSample
    profiles: str
    checks: Mapping[str, str]

    def red(self, folder: Path, breakage: str = "") -> dict[str, tuple[object, ...]]:
        """The checks that fail after a breakage, each with its first row."""
        mart = folder / "mart.duckdb"
        shutil.copy(self.sample.mart, mart)
        with duckdb.connect(str(mart)) as con:
            con.execute("set TimeZone = 'UTC'")
            if breakage:
                recent, label = (RECENT.format(at=at) for at in ("entered_at", "label_known_at"))
                con.execute(breakage.format(recent=recent, label=label))
            con.execute(f"create table int_mart__profiles as {self.profiles}")
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
            name = " ".join(str(part) for part in parts if part is not None)
            checks[name] = node["compiled_code"]
    return Quality(sample, compiled.sql["int_mart__profiles"], checks)


def test_the_sample_is_within_all_thresholds(tmp_path: Path, quality: Quality) -> None:
    assert {name.split()[0] for name in quality.checks} == KINDS
    assert len(quality.checks) > 25
    assert quality.red(tmp_path) == {}


@pytest.mark.parametrize(("breakage", "check"), BREAKAGES, ids=lambda text: text[:48])
def test_a_breakage_turns_its_check_red_and_those_of_other_models_stay_green(
    tmp_path: Path, quality: Quality, breakage: str, check: str
) -> None:
    red = quality.red(tmp_path, breakage)
    assert check in red
    assert len(red) <= 8
    if "_posting" not in breakage:
        assert not {"freshness", "volume_change"} & set(red)


def test_profiles_count_what_is_there(tmp_path: Path, quality: Quality) -> None:
    mart = tmp_path / "mart.duckdb"
    shutil.copy(quality.sample.mart, mart)
    with duckdb.connect(str(mart)) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"create table int_mart__profiles as {quality.profiles}")
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
