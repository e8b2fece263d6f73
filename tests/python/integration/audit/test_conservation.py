"""Test that the row accounts from raw files to snapshots balance, and that a planted fault unbalances an account."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

import snapshot_case as case
from built_sample import BuiltSample, build_sample
from feature_mart.audit.accounts import ConservationReport, take_accounts
from feature_mart.audit.raw_rows import RawWarehouse
from feature_mart.core.duckdb_files import copy_to, parquet
from feature_mart.exporter import export_snapshot
from feature_mart.storage import FolderStore

FAULTS = [
    ("delete from int_contract__versions where {first}", "int_contract__versions"),
    ("insert into int_job__versions from int_job__versions where {first}", "int_job__versions"),
    ("update int_contract__versions set agreed_price_amount = agreed_price_amount + 1 where {first}", "amount"),
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
class Shipped:
    """A mart and a snapshot of each of its consumers."""

    sample: BuiltSample
    snapshots: dict[str, Path]

    def judge(self, mart: Path | None = None) -> ConservationReport:
        of = self.sample
        path = mart or of.mart
        return take_accounts(path, of.raw, of.clock, of.as_of_at, of.manifest, self.snapshots)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("conservation")
    sample = build_sample(folder, jobs=1200, seed=9)
    context = case.context(as_of_at=sample.as_of_at, sources=())
    snapshots = {
        consumer.name: Path(
            export_snapshot(
                sample.mart,
                sample.manifest,
                consumer,
                FolderStore(folder / "snapshots"),
                context=context,
            ).address
        )
        for consumer in sample.manifest.consumers
    }
    return Shipped(sample, snapshots)


def test_every_account_of_a_built_mart_is_balanced(shipped: Shipped) -> None:
    report = shipped.judge()
    assert report.is_clean and report.not_judged == ()
    amounts = {about: amount for each in report.accounts for about, amount in each.lines}
    assert amounts["loaded after the refresh"] < 0, "the warehouse goes on after the refresh"
    assert {"exact duplicates", "superseded before the next refresh", "without a price"} <= {
        *amounts
    }


@pytest.mark.parametrize(("fault", "account"), FAULTS, ids=lambda text: text[:40])
def test_a_row_lost_doubled_moved_or_changed_unbalances_its_account(
    tmp_path: Path, shipped: Shipped, fault: str, account: str
) -> None:
    mart = Path(shutil.copy(shipped.sample.mart, tmp_path / "mart.duckdb"))
    table = next(word for word in fault.split() if word.startswith(("int_", "feat_", "mart_")))
    with duckdb.connect(str(mart)) as con:
        con.execute(fault.format(first=f"rowid = (select min(rowid) from {table})"))
    wrong = [each for each in shipped.judge(mart).accounts if not each.is_balanced]
    assert any(account in f"{each.name} {each.unit}" for each in wrong)


def test_a_raw_row_that_vanished_unbalances_staging_and_names_its_key(
    tmp_path: Path, shipped: Shipped
) -> None:
    of = shipped.sample
    shutil.copytree(of.raw.folder, tmp_path / "raw")
    with duckdb.connect() as con:
        path = tmp_path / "raw" / "proposals.parquet"
        con.execute(
            f"create table kept as from {parquet(path)} "
            f"where proposal_id > (select min(proposal_id) from {parquet(path)})"
        )
        copy_to(con, "from kept", path)
    raw = RawWarehouse(tmp_path / "raw", of.raw.load_clock, of.raw.untimed)
    report = take_accounts(of.mart, raw, of.clock, of.as_of_at, of.manifest, {})
    wrong = [each for each in report.accounts if not each.is_balanced]
    assert "proposals" in wrong[0].name
    assert "proposal_id=" in str(wrong[0].example) and "is unexpected" in str(wrong[0].example)
    assert sorted(report.not_judged) == [
        *("hire_within_14d: there is no snapshot", "price_estimation: there is no snapshot")
    ]


def test_a_snapshot_of_another_refresh_is_not_judged(shipped: Shipped) -> None:
    of = shipped.sample
    other = of.as_of_at.replace(year=2024)
    report = take_accounts(of.mart, of.raw, of.clock, other, of.manifest, shipped.snapshots)
    assert len(report.not_judged) == 2
    assert all(
        "the latest snapshot is not of the mart's refresh" in line for line in report.not_judged
    )
