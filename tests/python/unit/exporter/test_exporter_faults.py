"""Test exports that are killed, concurrent or of an older refresh: what readers see, and what a retry does."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import snapshot_case as case
from busy_machine import PATIENCE_S
from feature_mart.core.errors import TerminalError
from feature_mart.exporter import SnapshotReport, export_snapshot, list_snapshots, verify_snapshot
from feature_mart.exporter.latest import move_latest, read_latest
from feature_mart.storage import FolderStore
from feature_mart.training import load_snapshot

PARTS = {"part_rows": 150}


LATEST = {"price_estimation/latest.json"}


class Killed(BaseException):
    """Simulate the death of the process. ``except Exception`` does not catch this exception."""


def export(
    mart: Path, root: Path, exposure: dict[str, Any] | None = None, **options: Any
) -> SnapshotReport:
    manifest = case.manifest(**(PARTS if exposure is None else exposure))
    context = case.context(**options.pop("context", {}))
    return export_snapshot(
        mart, manifest, manifest.consumers[0], FolderStore(root), context=context, **options
    )


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".scratch" not in path.parts
    }


def all_steps(mart: Path, root: Path) -> list[str]:
    steps: list[str] = []
    export(mart, root, progress=steps.append)
    return steps


@pytest.fixture(scope="module")
def mart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return case.build_mart(tmp_path_factory.mktemp("mart"))


def test_export_killed_before_any_step_leaves_nothing_to_be_mistaken(
    mart: Path, tmp_path: Path
) -> None:
    steps = all_steps(mart, tmp_path / "whole")
    whole = tree(tmp_path / "whole")
    assert len(steps) > 15
    earlier = export(
        mart, tmp_path / "earlier", context={"as_of_at": case.AS_OF - timedelta(days=1)}
    )
    for number, fatal in enumerate(steps):
        root = tmp_path / str(number)
        shutil.copytree(tmp_path / "earlier", root)
        before = tree(root)

        def kill(step: str, fatal: str = fatal) -> None:
            if step == fatal:
                raise Killed(step)

        with pytest.raises(Killed):
            export(mart, root, progress=kill)
        lines = {line.id: line for line in list_snapshots(FolderStore(root))}
        broken = [line for line in lines.values() if line.problem is not None]
        committed = fatal == "move latest.json"
        assert len(lines) - len(broken) == (2 if committed else 1)
        for line in broken:
            with pytest.raises(TerminalError, match="not committed"):
                load_snapshot(line.address)
        after = tree(root)
        assert {name: after[name] for name in before} == before, (
            "an earlier snapshot or latest.json was touched"
        )

        report = export(mart, root)
        has_manifest = number > steps.index("put _meta/manifest.json")
        expected = "unchanged" if committed else "adopted" if has_manifest else "written"
        assert (report.status, report.latest) == (expected, "moved")
        assert report.id != earlier.id
        final = tree(root)
        # The compared files are byte-identical to those of an undisturbed export. The SageMaker manifest files of the
        # splits, in _meta, differ because they contain absolute addresses.
        for name in whole:
            if "/_meta/" not in name or name.endswith("schema.json"):
                assert final[name] == whole[name]
        assert {name: final[name] for name in before if name not in LATEST} == {
            name: digest for name, digest in before.items() if name not in LATEST
        }
        assert not list((root / ".scratch").glob("files-*/*"))


KILL_AT = [
    "write train part 2 of 2",
    "put data/train/part-00001.parquet",
    "put _meta/manifest.json",
    "put _meta/_SUCCESS",
]
CHILD = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
import snapshot_case as case
from feature_mart.exporter import export_snapshot
from feature_mart.storage import FolderStore
def step(name):
    if name == {fatal!r}:
        os.kill(os.getpid(), signal.SIGKILL)
manifest = case.manifest(**{exposure!r})
places = Path({mart!r}), manifest, manifest.consumers[0], FolderStore(Path({root!r}))
print(export_snapshot(*places, context=case.context(), progress=step).status)
"""


def child(mart: Path, root: Path, fatal: str = "") -> "subprocess.Popen[str]":
    tests = Path(__file__).parents[3]
    paths = [str(tests / "support"), str(tests.parent / "python")]
    code = CHILD.format(paths=paths, fatal=fatal, exposure=PARTS, mart=str(mart), root=str(root))
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root.parent
    )


@pytest.mark.parametrize("fatal", KILL_AT)
def test_export_survives_sigkill(fatal: str, mart: Path, tmp_path: Path) -> None:
    root = tmp_path / "snapshots"
    process = child(mart, root, fatal)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert list((root / ".scratch").glob("files-*")), "a killed export leaves its scratch folder"
    assert all(line.problem for line in list_snapshots(FolderStore(root)))
    report = export(mart, root)
    assert report.status in ("written", "adopted")
    assert verify_snapshot(report.address).ok
    assert not list((root / ".scratch").glob("files-*")), "the next export removes it"


def test_two_exporting_processes_make_one_snapshot(mart: Path, tmp_path: Path) -> None:
    processes = [child(mart, tmp_path / "snapshots") for _ in range(3)]
    said = sorted(process.communicate()[0].strip() for process in processes)
    assert said == ["unchanged", "unchanged", "written"]
    (line,) = list_snapshots(FolderStore(tmp_path / "snapshots"))
    assert line.is_latest
    assert verify_snapshot(line.address).ok


def test_exporters_at_once_of_one_content_cut_differently_make_one_snapshot(
    mart: Path, tmp_path: Path
) -> None:
    gate = threading.Barrier(6)

    def run(part_rows: int) -> str:
        def step(name: str) -> None:
            if name == "wait for other exports":
                gate.wait(PATIENCE_S)

        return export(mart, tmp_path, {"part_rows": part_rows}, progress=step).status

    with ThreadPoolExecutor(6) as pool:
        said = sorted(pool.map(run, (50, 100, 150, 50, 100, 150)))
    assert said == ["unchanged"] * 5 + ["written"]
    (line,) = list_snapshots(FolderStore(tmp_path))
    assert verify_snapshot(line.address).ok


def test_commit_does_not_rest_on_the_lock(
    mart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def no_lock(self: FolderStore, consumer: str) -> Iterator[None]:
        yield

    monkeypatch.setattr(FolderStore, "exclusive", no_lock)
    for number, where in enumerate(
        ("put data/test/part-00000.parquet", "put _meta/manifest.json", "put _meta/_SUCCESS")
    ):
        root = tmp_path / str(number)
        gate = threading.Barrier(3)

        def run(
            created: int, root: Path = root, gate: threading.Barrier = gate, where: str = where
        ) -> str:
            def step(name: str) -> None:
                if name == where:
                    gate.wait(PATIENCE_S)

            context = {"created_at": datetime(2026, 11, 4, created, tzinfo=UTC)}
            return export(mart, root, context=context, progress=step).status

        with ThreadPoolExecutor(3) as pool:
            said = list(pool.map(run, range(3)))
        assert said.count("unchanged") == 2
        (line,) = list_snapshots(FolderStore(root))
        assert line.problem is None
        assert verify_snapshot(line.address).ok


def stop_at(mart: Path, root: Path, fatal: str, **options: Any) -> None:
    def kill(step: str) -> None:
        if step == fatal:
            raise Killed

    with pytest.raises(Killed):
        export(mart, root, progress=kill, **options)


def test_retry_adopts_the_manifest_of_the_dead_attempt(mart: Path, tmp_path: Path) -> None:
    stop_at(mart, tmp_path, "put _meta/_SUCCESS")
    later = datetime.now(UTC) + timedelta(hours=23)
    report = export(mart, tmp_path, context={"created_at": later})
    assert report.status == "adopted"
    manifest = json.loads(Path(report.address, "_meta/manifest.json").read_text())
    assert manifest["created_at"] == "2026-11-04T00:00:00Z"


def test_an_attempt_that_died_a_day_ago_is_begun_anew(mart: Path, tmp_path: Path) -> None:
    stop_at(mart, tmp_path, "put _meta/_SUCCESS", exposure={"part_rows": 60})
    later = datetime.now(UTC) + timedelta(hours=25)
    report = export(mart, tmp_path, context={"created_at": later})
    assert (report.status, report.parts) == ("written", 8)
    assert verify_snapshot(report.address).ok


def test_retry_mends_parts_of_the_dead_attempt_before_committing(
    mart: Path, tmp_path: Path
) -> None:
    stop_at(mart, tmp_path, "put _meta/_SUCCESS")
    (folder,) = tmp_path.glob("price_estimation/snapshots/*")
    (folder / "data/train/part-00000.parquet").write_bytes(b"half")
    (folder / "keys/test/part-00000.parquet").unlink()
    (folder / "data/test/part-00009.parquet").write_bytes(b"left by an attempt with more parts")
    assert export(mart, tmp_path).status == "adopted"
    assert verify_snapshot(folder).ok


def test_retry_with_other_parts_stops_where_a_manifest_is_and_overwrites_where_none_is(
    mart: Path, tmp_path: Path
) -> None:
    stop_at(mart, tmp_path / "a", "put _meta/_SUCCESS")
    with pytest.raises(
        TerminalError, match="has other part files of an export that was not committed"
    ):
        export(mart, tmp_path / "a", {"part_rows": 60})
    stop_at(mart, tmp_path / "b", "put _meta/manifest.json", exposure={"part_rows": 60})
    report = export(mart, tmp_path / "b")
    assert report.status == "written"
    assert verify_snapshot(report.address).ok


def test_export_stops_where_a_part_changes_under_its_hands(mart: Path, tmp_path: Path) -> None:
    def meddle(step: str) -> None:
        if step == "check parts":
            (part,) = tmp_path.glob("price_estimation/snapshots/*/data/test/*")
            part.write_bytes(b"meddled")

    with pytest.raises(TerminalError, match="was changed during the export"):
        export(mart, tmp_path, progress=meddle)
    assert all(line.problem for line in list_snapshots(FolderStore(tmp_path)))


def test_export_does_not_call_a_damaged_snapshot_unchanged(mart: Path, tmp_path: Path) -> None:
    report = export(mart, tmp_path)
    part = Path(report.address, "data/train/part-00001.parquet")
    part.unlink()
    with pytest.raises(TerminalError, match=r"data/train/part-00001.parquet is missing.*never"):
        export(mart, tmp_path)
    Path(report.address, "_meta/manifest.json").write_text("{}")
    with pytest.raises(TerminalError, match="changed after the commit"):
        export(mart, tmp_path)


def test_export_reads_one_mart_although_it_is_replaced_meanwhile(
    mart: Path, tmp_path: Path
) -> None:
    path = case.build_mart(tmp_path / "m")
    other = case.build_mart(tmp_path / "n", rows=200)

    def replace(step: str) -> None:
        if step == "hash content":
            other.replace(path)

    report = export(path, tmp_path / "s", progress=replace)
    assert report.id == export(mart, tmp_path / "t").id
    assert verify_snapshot(report.address).ok


def test_export_that_cannot_write_says_so_and_commits_nothing(
    mart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: FolderStore, key: str, local: Path, sha256: str, **_: bool) -> bool:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "put_file", full)
        with pytest.raises(TerminalError, match=r"No space left on device.*Nothing was committed"):
            export(mart, tmp_path)
    assert export(mart, tmp_path).status == "written"


def test_latest_never_moves_to_an_older_as_of(mart: Path, tmp_path: Path) -> None:
    newer = export(mart, tmp_path)
    older = export(mart, tmp_path, context={"as_of_at": case.AS_OF - timedelta(days=1)})
    assert (older.status, older.latest) == ("written", "newer")
    latest = read_latest(FolderStore(tmp_path), "price_estimation")
    assert latest is not None
    assert latest.id == newer.id


def test_latest_that_is_held_stays(mart: Path, tmp_path: Path) -> None:
    first = export(mart, tmp_path)
    path = tmp_path / "price_estimation/latest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "held": True}))
    later = export(mart, tmp_path, context={"as_of_at": case.AS_OF + timedelta(days=1)})
    assert later.latest == "held"
    assert json.loads(path.read_text())["id"] == first.id


def test_latest_refuses_an_older_lease_and_never_lowers_the_number(
    mart: Path, tmp_path: Path
) -> None:
    days = iter(range(1, 9))

    def run(fencing: int) -> str | None:
        later = case.AS_OF + timedelta(days=next(days))
        return export(mart, tmp_path, context={"as_of_at": later, "fencing": fencing}).latest

    assert [run(5), run(4), run(0), run(4), run(6)] == [
        "moved",
        "fenced",
        "moved",
        "fenced",
        "moved",
    ]
    latest = read_latest(FolderStore(tmp_path), "price_estimation")
    assert latest is not None
    assert latest.fencing == 6


def test_latest_swap_of_many_at_once_ends_at_the_newest(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    def move(day: int) -> str:
        name = f"202611{day:02d}T1800Z-{'a' * 12}"
        instant = datetime(2026, 11, day, 18, tzinfo=UTC)
        store.put(f"c/snapshots/{name}/_meta/_SUCCESS", b"0" * 64)
        return move_latest(
            store, "c", snapshot_id=name, as_of_at=instant, warehouse_id="sample", fencing=0
        )

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(move, [3, 9, 1, 8, 2, 7, 5, 4]))
    assert set(said) <= {"moved", "newer"}
    latest = read_latest(store, "c")
    assert latest is not None
    assert latest.as_of_at.day == 9


def test_swap_and_put_if_absent_refuse_what_they_did_not_expect(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    assert store.put_if_absent("a/b", b"1")
    assert not store.put_if_absent("a/b", b"2")
    assert not store.swap("a/b", b"3", b"0")
    assert not store.swap("a/b", b"3", None)
    assert store.read("a/b") == b"1"
    assert store.swap("a/b", b"3", b"1")
    assert store.read("a/b") == b"3"
    assert store.read("a/c") is None
    assert store.sha256("a/c") is None


def test_two_warehouses_never_mix_in_one_folder(mart: Path, tmp_path: Path) -> None:
    export(mart, tmp_path)
    before = tree(tmp_path)
    with pytest.raises(
        TerminalError, match="snapshots of the warehouse sample, not of municipal_awards"
    ):
        export(mart, tmp_path, context={"warehouse_id": "municipal_awards"})
    assert tree(tmp_path) == before
