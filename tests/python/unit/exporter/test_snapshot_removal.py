"""Test concurrent removals and exports, killed or suspended: only complete snapshots are ever marked as complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import snapshot_case as case
from feature_mart.core.errors import FeatureMartError, TerminalError, TransientError
from feature_mart.core.services import S3Options
from feature_mart.exporter import (
    Rule,
    SnapshotReport,
    clean_snapshots,
    export_snapshot,
    find_snapshot,
    list_snapshots,
    pin_snapshot,
    read_latest,
    roll_back,
    verify_snapshot,
)
from feature_mart.exporter.removal import remove_attempt, remove_snapshot
from feature_mart.snapshot_files import REMOVED
from feature_mart.storage import Entry, FolderStore
from python.unit.exporter.test_snapshot_life import NAME, NOW, export, ids


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return case.build_mart(tmp_path_factory.mktemp("mart"))


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "s")


class Overtaken(FolderStore):
    """Call ``meanwhile`` once, after the files of a snapshot that is being removed have been listed."""

    meanwhile: Callable[[], object] | None = None

    def entries(self, prefix: str) -> tuple[Entry, ...]:
        found = super().entries(prefix)
        if self.read(f"{prefix}/_meta/_SUCCESS") == REMOVED and self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
        return found


def test_a_removal_that_another_overtook_takes_nothing_of_what_was_begun_anew(
    mart: Path, store: FolderStore
) -> None:
    made = export(mart, store)
    prefix = f"{NAME}/snapshots/{made.id}"
    store.delete(f"{prefix}/_meta/_SUCCESS")

    def others() -> None:
        assert remove_attempt(store, prefix)
        assert export(mart, store).status == "written"

    asleep = Overtaken(Path(store.address()))
    asleep.meanwhile = others
    assert not remove_attempt(asleep, prefix)
    assert verify_snapshot(made.address).ok
    latest = read_latest(store, NAME)
    assert latest is not None and latest.id == made.id


def test_a_removal_that_cannot_ask_who_wants_it_is_taken_back(
    mart: Path, store: FolderStore
) -> None:
    made = export(mart, store)
    asked = iter([False])

    def is_wanted() -> bool:
        for answer in asked:
            return answer
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        remove_snapshot(store, f"{NAME}/snapshots/{made.id}", is_wanted)
    assert verify_snapshot(made.address).ok


@pytest.mark.parametrize("how", ["latest", "pinned", "nobody"])
def test_a_removal_that_died_as_it_began_is_taken_back_where_the_snapshot_is_wanted(
    mart: Path, store: FolderStore, how: str
) -> None:
    old, new = (export(mart, store, day) for day in range(2))
    dead = new if how == "latest" else old
    if how == "pinned":
        pin_snapshot(store, NAME, old.id, "in production", NOW)
    store.put(f"{NAME}/snapshots/{dead.id}/_meta/_SUCCESS", REMOVED)
    assert not verify_snapshot(dead.address).ok
    planned = clean_snapshots(store, Rule(), now=NOW, dry_run=True)
    assert store.read(f"{NAME}/snapshots/{dead.id}/_meta/_SUCCESS") == REMOVED
    done = clean_snapshots(store, Rule(), now=NOW)
    assert [each.id for each in done.removed] == ([old.id] if how == "nobody" else [])
    assert (planned.removed, planned.kept) == (done.removed, done.kept)
    assert ids(store) == ([new.id] if how == "nobody" else [old.id, new.id])
    assert all(verify_snapshot(line.address).ok for line in list_snapshots(store))


@pytest.mark.parametrize("step", ["check parts", "put _meta/manifest.json", "put _meta/_SUCCESS"])
def test_an_export_that_was_asleep_touches_nothing_of_what_others_committed_meanwhile(
    mart: Path, store: FolderStore, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Suspend an export without a lock, as on S3, while its files are cleaned up and another export runs."""

    @contextmanager
    def no_lock(self: FolderStore, consumer: str) -> Iterator[None]:
        yield

    monkeypatch.setattr(FolderStore, "exclusive", no_lock)
    manifest = case.manifest(part_rows=60)
    others: list[SnapshotReport] = []

    def meanwhile(name: str) -> None:
        if name == step and not others:
            later = datetime.now(UTC) + timedelta(hours=1)
            clean_snapshots(store, Rule(attempt_hours=0), now=later)
            consumer, context = manifest.consumers[0], case.context()
            others.append(export_snapshot(mart, manifest, consumer, store, context=context))

    with suppress(FeatureMartError):
        assert export(mart, store, progress=meanwhile).status == "unchanged"
    assert others[0].status == "written"
    assert verify_snapshot(others[0].address).ok


def test_an_export_says_so_where_its_snapshot_was_cleaned_before_it_could_commit(
    mart: Path, store: FolderStore
) -> None:
    class Cleaned(FolderStore):
        def put_if_absent(self, key: str, data: bytes) -> bool:
            if key.endswith("_SUCCESS") and data != REMOVED:
                prefix = key.removesuffix("/_meta/_SUCCESS")
                super().put_if_absent(key, REMOVED)
                is_put = super().put_if_absent(key, data)
                assert remove_attempt(store, prefix)
                return is_put
            return super().put_if_absent(key, data)

    with pytest.raises(TransientError, match=r"removed by .* during the export. Export again"):
        export(mart, Cleaned(Path(store.address())))
    assert ids(store) == []


def test_a_damaged_pin_or_latest_is_said_and_hides_nothing_else(
    mart: Path, store: FolderStore
) -> None:
    made = export(mart, store)
    store.put(f"{NAME}/pins/x.json", b"{}")
    assert find_snapshot(store, NAME, S3Options()) == made.address
    lines = list_snapshots(store)
    assert [(line.id, line.is_latest) for line in lines] == [("pins", False), (made.id, True)]
    assert "Remove the file, then pin the snapshot again" in str(lines[0].problem)
    with pytest.raises(TerminalError, match="Remove the file, then pin the snapshot again"):
        clean_snapshots(store, Rule(keep=1), now=NOW)
    store.delete(f"{NAME}/pins/x.json")
    store.put(f"{NAME}/latest.json", b"?")
    assert [line.id for line in list_snapshots(store)] == ["latest.json", made.id]
    with pytest.raises(TerminalError, match="Correct the file with `mart snapshot rollback"):
        export(mart, store, 1)
    assert roll_back(store, NAME, made.id, "latest.json was damaged") is None
    assert find_snapshot(store, NAME, S3Options()) == made.address
