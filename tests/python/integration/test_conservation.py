"""Accounts from the raw files to a snapshot: balanced on a built mart, and each fault planted in a copy is named."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from feature_mart.audit.accounts import ConservationReport, take_accounts
from feature_mart.audit.raw_rows import RawWarehouse, read_raw_warehouse
from feature_mart.exporter import export_snapshot
from feature_mart.manifest import Manifest
from feature_mart.runner.compiled import build_compiled, compile_project
from feature_mart.sample import write_sample
from feature_mart.settings import Clock, resolve_settings
from feature_mart.warehouse import newest_load
from python.unit import snapshot_case as case

FAULTS = [
    ("delete from int_contract__versions where {first}", "int_contract__versions"),
    ("insert into int_job__versions from int_job__versions where {first}", "int_job__versions"),
    ("update int_contract__versions set agreed_price_jpy = agreed_price_jpy + 1 where {first}", "yen"),
    ("update int_review__versions set seen_at = seen_at + interval 1 day where {first}", "int_review__versions"),
    ("delete from int_job__requests where {first}", "jobs → int_job__requests"),
    ("delete from feat_job__text where {first}", "feat_job__text"),
    ("update feat_job__posting set job_id = 'nobody' where {first}", "feat_job__posting"),
    ("insert into mart_price_estimation__features from mart_price_estimation__features where {first}",
     "mart_price_estimation__features"),
    ("update feat_market__prices set market_contract_count_all = market_contract_count_all - 1",
     "feat_market__prices"),
    ("delete from feat_client__history where client_id = (select min(client_id) from feat_client__history "
     "where client_contract_count_all > 0)", "feat_client__history"),
    ("update int_job__price_label set price_log = price_log + 0.01 where job_id = "
     "(select min(job_id) from int_job__price_label where price_log is not null)", "int_job__price_label"),
    ("update mart_price_estimation__training set price_log = null where job_id = "
     "(select min(job_id) from mart_price_estimation__training where price_log is not null)", "labelled"),
    ("delete from mart_hire_within_14d__training where job_id = "
     "(select min(job_id) from mart_hire_within_14d__training where exclusion_reason is null)",
     "mart_hire_within_14d__training → "),
    ("update mart_price_estimation__training set price_log = price_log + 0.001 "
     "where exclusion_reason is null", "price_log → "),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Built:
    mart: Path
    raw: RawWarehouse
    clock: Clock
    as_of_at: datetime
    manifest: Manifest
    snapshots: dict[str, Path]

    def judge(self, mart: Path) -> ConservationReport:
        return take_accounts(
            mart, self.raw, self.clock, self.as_of_at, self.manifest, self.snapshots
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("conservation")
    write_sample(folder / "sample", jobs=1200, seed=9)
    settings = resolve_settings(
        dwh=str(folder / "sample"), environment={"MART_HOME": str(folder / "home")}
    )
    # A refresh before the end: some rows are loaded after it.
    as_of_at = settings.clock.refresh_before(newest_load(settings.dwh).replace(month=1))
    project = compile_project(settings, as_of_at, folder)
    raw = read_raw_warehouse(settings.dwh, project.seeds, settings.warehouse)
    mart = folder / "built.duckdb"
    build_compiled(project, mart, raw.every_row(), as_of_at)
    snapshots = {
        consumer.name: Path(
            export_snapshot(
                mart,
                project.manifest,
                consumer,
                folder / "snapshots",
                context=case.context(as_of_at=as_of_at, sources=()),
            ).address
        )
        for consumer in project.manifest.consumers
    }
    return Built(mart, raw, settings.clock, as_of_at, project.manifest, snapshots)


def test_every_account_of_a_built_mart_is_balanced(built: Built) -> None:
    report = built.judge(built.mart)
    assert report.is_clean and report.not_judged == ()
    amounts = {about: amount for each in report.accounts for about, amount in each.lines}
    assert amounts["loaded after the refresh"] < 0, "the warehouse goes on after the refresh"
    assert {"exact duplicates", "replaced before a refresh saw them", "without a price"} <= {
        *amounts
    }


@pytest.mark.parametrize(("fault", "account"), FAULTS, ids=lambda text: text[:40])
def test_a_row_lost_doubled_moved_or_changed_unbalances_its_account(
    tmp_path: Path, built: Built, fault: str, account: str
) -> None:
    mart = Path(shutil.copy(built.mart, tmp_path / "mart.duckdb"))
    table = next(word for word in fault.split() if word.startswith(("int_", "feat_", "mart_")))
    with duckdb.connect(str(mart)) as con:
        con.execute(fault.format(first=f"rowid = (select min(rowid) from {table})"))
    wrong = [each for each in built.judge(mart).accounts if not each.is_balanced]
    assert any(account in f"{each.name} {each.unit}" for each in wrong)


def test_a_raw_row_that_vanished_unbalances_staging_and_names_its_key(
    tmp_path: Path, built: Built
) -> None:
    shutil.copytree(built.raw.folder, tmp_path / "raw")
    with duckdb.connect() as con:
        path = tmp_path / "raw" / "proposals.parquet"
        con.execute(
            f"create table kept as from '{path}' where proposal_id > (select min(proposal_id) from '{path}'); "
            f"copy kept to '{path}'"
        )
    raw = RawWarehouse(tmp_path / "raw", built.raw.load_clock, built.raw.untimed)
    report = take_accounts(built.mart, raw, built.clock, built.as_of_at, built.manifest, {})
    wrong = [each for each in report.accounts if not each.is_balanced]
    assert "proposals" in wrong[0].name
    assert "proposal_id=" in str(wrong[0].example) and "is too much" in str(wrong[0].example)
    assert sorted(report.not_judged) == [
        *("hire_within_14d has no snapshot", "price_estimation has no snapshot")
    ]


def test_a_snapshot_of_another_refresh_is_not_judged(built: Built) -> None:
    other = built.as_of_at.replace(year=2024)
    report = take_accounts(
        built.mart, built.raw, built.clock, other, built.manifest, built.snapshots
    )
    assert len(report.not_judged) == 2
    assert all("of another refresh" in line for line in report.not_judged)
