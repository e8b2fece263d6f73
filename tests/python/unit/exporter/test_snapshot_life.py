"""Test retention, pins, cleaning, rollback and comparison of snapshots."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import snapshot_case as case
from feature_mart.core.errors import TransientError, UsageError
from feature_mart.core.services import S3Options
from feature_mart.exporter import (
    Rule,
    SnapshotReport,
    clean_snapshots,
    diff_snapshots,
    export_snapshot,
    find_snapshot,
    list_snapshots,
    pin_snapshot,
    read_latest,
    release,
    roll_back,
    unpin_snapshot,
    verify_snapshot,
)
from feature_mart.snapshot_files import REMOVED
from feature_mart.storage import FolderStore
from python.unit.exporter.test_exporter_verify import edit

NO_S3 = S3Options()
NAME = "price_estimation"
NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return case.build_mart(tmp_path_factory.mktemp("mart"))


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "s")


def export(mart: Path, store: FolderStore, day: int = 0, **options: Any) -> SnapshotReport:
    """Export a snapshot as of ``day`` days after `case.AS_OF`, created six hours after that refresh."""
    manifest = case.manifest(part_rows=150)
    context = case.context(
        as_of_at=case.AS_OF + timedelta(days=day),
        created_at=case.AS_OF + timedelta(days=day, hours=6),
    )
    return export_snapshot(mart, manifest, manifest.consumers[0], store, context=context, **options)


def ids(store: FolderStore) -> list[str]:
    return [line.id for line in list_snapshots(store)]


def test_a_csv_snapshot_reads_back_to_the_bit_and_is_never_the_latest(
    mart: Path, store: FolderStore
) -> None:
    report = export(mart, store, file_format="csv")
    assert (report.status, report.latest) == ("written", "csv")
    assert read_latest(store, NAME) is None
    verdict = verify_snapshot(report.address)
    assert verdict.ok, verdict.problems
    parquet = export(mart, store)
    assert parquet.id != report.id and parquet.latest == "moved"
    schema = json.loads(Path(report.address, "_meta/schema.json").read_text())
    assert schema["format"] == "csv"
    assert "format" not in json.loads(Path(parquet.address, "_meta/schema.json").read_text())
    found = diff_snapshots(Path(parquet.address), Path(report.address))
    assert found.is_same and found.facts == {}
    first = Path(report.address, "data/train/part-00000.csv").read_text().splitlines()[0]
    assert len(first.split(",")) == 4 and float(first.split(",")[0]) > 0
    assert any(
        ",," in line
        for line in Path(report.address, "data/train/part-00000.csv").read_text().splitlines()
    )
    assert export(mart, store, file_format="csv").status == "unchanged"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("\n", ",1\n", 1), "cannot be read"),
        (lambda text: text.split("\n", 1)[1], "rows, but manifest.json has"),
        (lambda text: text.replace(text[:3], "9.9", 1), "values were changed"),
    ],
)
def test_verify_judges_csv_parts_too(
    mart: Path, store: FolderStore, change: Callable[[str], str], said: str
) -> None:
    report = export(mart, store, file_format="csv")
    folder, path = Path(report.address), "data/train/part-00000.csv"
    data = change((folder / path).read_text()).encode()
    (folder / path).write_bytes(data)

    def sign(document: dict[str, Any]) -> None:
        for part in document["parts"]:
            if part["path"] == path:
                part.update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    edit(folder, sign)
    assert any(said in problem.what for problem in verify_snapshot(folder).problems)


def test_clean_keeps_the_newest_the_young_the_latest_and_the_pinned(
    mart: Path, store: FolderStore
) -> None:
    made = [export(mart, store, day).id for day in range(6)]
    roll_back(store, NAME, made[1], "the newest ones have a broken category")
    pin_snapshot(store, NAME, made[0], "the model in production was fitted on it", NOW)
    for rule, gone in (
        (Rule(), []),
        (Rule(keep=3), [made[2]]),
        (Rule(keep_days=24), [made[2]]),
        (Rule(keep=1, keep_days=24), [made[2]]),
        (Rule(keep=2, keep_days=1000), []),
        (Rule(keep_days=0), [made[2], made[3], made[4]]),
    ):
        found = clean_snapshots(store, rule, now=NOW, dry_run=True)
        assert [each.id for each in found.removed] == gone, rule
        assert found.kept == 6 - len(gone)
    assert ids(store) == made, "a dry run removes nothing"
    done = clean_snapshots(store, Rule(keep=1, keep_days=24), now=NOW)
    assert [each.id for each in done.removed] == [made[2]] and done.removed[0].bytes > 1000
    assert ids(store) == [made[0], made[1], *made[3:]]
    assert not Path(store.address(f"{NAME}/snapshots/{made[2]}")).exists()
    assert all(verify_snapshot(line.address).ok for line in list_snapshots(store))
    assert unpin_snapshot(store, NAME, made[0]) and not unpin_snapshot(store, NAME, made[0])
    clean_snapshots(store, Rule(keep=1), now=NOW)
    assert ids(store) == [made[1], made[5]]


def test_clean_without_a_latest_keeps_the_newest(mart: Path, store: FolderStore) -> None:
    made = [export(mart, store, day).id for day in range(2)]
    store.delete(f"{NAME}/latest.json")
    clean_snapshots(store, Rule(keep_days=0), now=NOW)
    assert ids(store) == made[1:]


def test_clean_takes_dead_attempts_by_age_and_leaves_the_living_and_the_damaged(
    mart: Path, store: FolderStore
) -> None:
    whole, damaged, dead, living = (export(mart, store, day).id for day in range(4))
    for name in (dead, living):
        store.delete(f"{NAME}/snapshots/{name}/_meta/_SUCCESS")
    Path(store.address(f"{NAME}/snapshots/{damaged}/_meta/schema.json")).write_text("{}")
    roll_back(store, NAME, whole, "test")
    now = datetime.now(UTC)
    old = (now - timedelta(hours=25)).timestamp()
    for path in Path(store.address(f"{NAME}/snapshots/{dead}")).rglob("*"):
        os.utime(path, (old, old))
    assert clean_snapshots(store, Rule(attempt_hours=26), now=now).removed == ()
    done = clean_snapshots(store, Rule(keep=1, keep_days=0), now=now)
    assert [(each.id, each.kind) for each in done.removed] == [(dead, "attempt")]
    assert ids(store) == [whole, damaged, living]
    clean_snapshots(store, Rule(attempt_hours=0), now=now + timedelta(minutes=1))
    assert ids(store) == [whole, damaged]


class Interleaved(FolderStore):
    """Call ``meanwhile`` once, just after _SUCCESS of a snapshot was overwritten to mark its removal."""

    meanwhile: Callable[[], object] | None = None

    def swap(self, key: str, data: bytes, expected: bytes | None) -> bool:
        done = super().swap(key, data, expected)
        if data == REMOVED and self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
        return done


@pytest.mark.parametrize("who", ["rollback", "pin"])
def test_clean_puts_back_what_was_named_while_it_was_going(
    mart: Path, store: FolderStore, who: str
) -> None:
    old, _ = (export(mart, store, day).id for day in range(2))
    between = Interleaved(Path(store.address()))

    def want() -> None:
        # The writer checked the snapshot before the removal, and writes the pin or latest.json during the removal.
        if who == "pin":
            store.put(
                f"{NAME}/pins/{old}.json",
                json.dumps(
                    {"schema": 1, "id": old, "reason": "x", "pinned_at": "2026-12-01T00:00:00Z"}
                ).encode(),
            )
        else:
            latest = json.loads(store.read(f"{NAME}/latest.json") or b"")
            del latest["manifest_sha256"]
            store.put(f"{NAME}/latest.json", json.dumps({**latest, "id": old}).encode())

    between.meanwhile = want
    done = clean_snapshots(between, Rule(keep=1), now=NOW)
    assert done.removed == ()
    assert verify_snapshot(store.address(f"{NAME}/snapshots/{old}")).ok


def test_latest_never_ends_on_a_snapshot_that_was_cleaned_meanwhile(
    mart: Path, store: FolderStore
) -> None:
    class Cleaned(FolderStore):
        def swap(self, key: str, data: bytes, expected: bytes | None) -> bool:
            done = super().swap(key, data, expected)
            if json.loads(data)["id"] == old:
                super().delete(f"{NAME}/snapshots/{old}/_meta/_SUCCESS")
            return done

    old, new = (export(mart, store, day).id for day in range(2))
    with pytest.raises(
        TransientError, match="was removed by `mart snapshot clean` at the same time"
    ):
        roll_back(Cleaned(Path(store.address())), NAME, old, "test")
    latest = read_latest(store, NAME)
    assert latest is not None and latest.id == new


def test_rollback_holds_latest_until_it_is_released(mart: Path, store: FolderStore) -> None:
    first, second = (export(mart, store, day).id for day in range(2))
    before = roll_back(store, NAME, first, "labels of the second are wrong")
    assert before is not None and before.id == second
    latest = read_latest(store, NAME)
    assert latest is not None
    assert (latest.id, latest.held, latest.reason) == (
        first,
        True,
        "labels of the second are wrong",
    )
    assert export(mart, store, 2).latest == "held"
    assert [line.is_held for line in list_snapshots(store)] == [True, False, False]
    freed = release(store, NAME)
    assert freed is not None and freed.id == first and not freed.held and freed.reason is None
    assert release(store, NAME) is None
    assert export(mart, store, 2).latest == "moved"


@pytest.mark.parametrize("wanted", ["20260101T1800Z-aaaaaaaaaaaa", "../x", "csv"])
def test_rollback_and_pin_refuse_what_is_no_sound_snapshot(
    mart: Path, store: FolderStore, wanted: str
) -> None:
    made = export(mart, store).id
    if wanted == "csv":
        wanted = export(mart, store, 1, file_format="csv").id
    else:
        with pytest.raises(UsageError, match="is not a usable snapshot of price_estimation"):
            pin_snapshot(store, NAME, wanted, "x", NOW)
    with pytest.raises(UsageError, match=r"is not a usable snapshot of price_estimation|is in CSV"):
        roll_back(store, NAME, wanted, "x")
    latest = read_latest(store, NAME)
    assert latest is not None and latest.id == made and not latest.held


def test_a_snapshot_is_found_by_id_by_consumer_and_by_address(
    mart: Path, store: FolderStore
) -> None:
    first, second = export(mart, store), export(mart, store, 1)
    assert find_snapshot(store, first.id, NO_S3) == first.address
    assert find_snapshot(store, NAME, NO_S3) == second.address
    assert find_snapshot(store, first.address, NO_S3) == first.address
    with pytest.raises(UsageError, match=rf"has price_estimation \({first.id}, {second.id}\)"):
        find_snapshot(store, "other", NO_S3)


def test_diff_tells_columns_rows_labels_and_distributions(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "s")
    old = export(case.build_mart(tmp_path / "a"), store)
    change = (
        "update mart_price_estimation__training set job_budget_log = job_budget_log + 1;"
        "update mart_price_estimation__training set price_log = 1 where job_id = 'job-0000001';"
        "update mart_price_estimation__training set exclusion_reason = 'void' where job_id = 'job-0000002';"
        "update mart_price_estimation__training set category_code = null"
    )
    new = export(case.build_mart(tmp_path / "b", change=change), store, 1)
    found = diff_snapshots(Path(old.address), Path(new.address))
    train = found.splits[0]
    assert (train.only_a, train.only_b, train.relabelled) == (1, 0, 1)
    assert train.both == old.splits[0].rows - 1
    assert not found.is_same
    assert found.facts["as of"] == ("2026-11-03T18:00:00Z", "2026-11-04T18:00:00Z")
    columns = {column.name: column for column in found.columns}
    budget, code = columns["job_budget_log"], columns["category_code"]
    assert budget.mean[0] is not None and budget.mean[1] is not None
    assert budget.mean[1] - budget.mean[0] == pytest.approx(1, abs=0.02)
    assert budget.psi > 0.5
    assert (code.null_share, code.mean[1], code.median[1]) == ((0.0, 1.0), None, None)
    # One label of 352 moved to another bin, and one row was removed.
    assert 0 < columns["price_log"].psi < 0.01
    assert columns["job_skill_count"].psi < 0.001
    same = diff_snapshots(Path(old.address), Path(old.address))
    assert same.is_same and same.facts == {}
