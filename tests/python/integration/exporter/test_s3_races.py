"""Test concurrent exports to a bucket, with cleaning and rollbacks, and the age limit of abandoned attempts."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import snapshot_case as case
from busy_machine import PATIENCE_S
from feature_mart.core.errors import FeatureMartError, TerminalError
from feature_mart.exporter import (
    Rule,
    SnapshotReport,
    clean_snapshots,
    read_latest,
    release,
    roll_back,
)
from feature_mart.exporter.removal import DEAD_AFTER
from s3_export_case import (
    ALONE,
    ATTEMPT,
    BOTH,
    COMMITTED,
    CONSUMER,
    PARTS,
    Meddled,
    Place,
    at_step,
    note_fault,
    soon,
)

OTHERWISE = "has other part files of an export that was not committed"
#: A part size that gives one part per split.
UNCUT = {"part_rows": 1000}

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("step", "many"),
    [
        ("wait for other exports", 20),
        ("put data/train/part-00000.parquet", 5),
        ("put _meta/manifest.json", 5),
        ("put _meta/_SUCCESS", 20),
    ],
)
def test_many_exporters_at_once_make_one_snapshot(step: str, many: int, place: Place) -> None:
    gate = threading.Barrier(many)

    def run(number: int) -> SnapshotReport:
        context = {"created_at": datetime(2026, 11, 4, number, tzinfo=UTC)}
        mine = replace(place, work=place.work / str(number))
        return mine.export(context=context, progress=at_step(step, lambda: gate.wait(PATIENCE_S)))

    with place.watched(), ThreadPoolExecutor(many) as pool:
        reports = list(pool.map(run, range(many)))
    said = [report.status for report in reports]
    assert said.count("unchanged") == many - 1
    assert sorted(report.latest or "" for report in reports) == ["already"] * (many - 1) + ["moved"]
    assert place.saw() == BOTH
    place.assert_untouched(is_latest_free=True)
    note_fault(
        place, f"{many} exporters at once, at: {step}", BOTH, "one written, the others unchanged"
    )
    # No part was accepted twice.
    sent = [r.path for r in place.bench.proxy.asked("PUT", ".parquet") if r.status == 200]
    assert len(sent) == len(set(sent)) == 8


@pytest.mark.parametrize("step", ["put data/train/part-00000.parquet", "put _meta/manifest.json"])
def test_exporters_at_once_of_one_content_cut_differently_make_one_snapshot(
    step: str, place: Place
) -> None:
    gate = threading.Barrier(6)

    def run(part_rows: int) -> str:
        mine = replace(place, work=place.work / str(part_rows))
        try:
            # If an export fails, the barrier is aborted below, so that no other export waits for the failed one.
            return mine.export(
                exposure={"part_rows": part_rows},
                progress=at_step(step, lambda: gate.wait(PATIENCE_S)),
            ).status
        except TerminalError as error:
            gate.abort()
            return str(error)
        except threading.BrokenBarrierError:
            return "stopped"

    with place.watched(), ThreadPoolExecutor(6) as pool:
        said = list(pool.map(run, (50, 100, 150, 50, 100, 150)))
    assert all(s in {"written", "unchanged", "stopped"} or OTHERWISE in s for s in said), said
    if step.startswith("put data"):
        assert said.count("written") == 1
        assert place.saw() == BOTH
    place.assert_untouched(is_latest_free=True)
    for part_rows in (50, 100, 150):
        assert export_or_clean(place, part_rows) in {"written", "adopted", "unchanged"}
        assert place.saw(is_verified=False) == BOTH


def export_or_clean(place: Place, part_rows: int) -> str:
    """Export. If an attempt with another part size prevents this, remove it as the message advises and export again."""
    exposure = {"part_rows": part_rows}
    try:
        return place.export(exposure=exposure).status
    except TerminalError as error:
        assert "mart snapshot clean --attempts 0" in str(error)  # noqa: PT017 - success is right too
        clean_snapshots(place.store(), Rule(attempt_hours=0), now=soon())
        return place.export(exposure=exposure).status


@pytest.mark.parametrize(
    "step",
    [
        "put keys/train/part-00000.parquet",
        "put data/test/part-00000.parquet",
        "put _meta/manifest.json",
        "put _meta/_SUCCESS",
    ],
)
def test_an_export_is_cut_otherwise_than_a_crashed_one(step: str, place: Place) -> None:
    place.stop_at(step, exposure=PARTS)
    there = place.objects()
    with place.watched():
        with pytest.raises(TerminalError, match=OTHERWISE) as failed:
            place.export(exposure=UNCUT)
        note_fault(
            place, f"cut otherwise than one killed before: {step}", ATTEMPT, str(failed.value)
        )
        assert place.objects() == there, "the attempt of the other is as it was"
        assert place.saw() == ATTEMPT
        clean_snapshots(place.store(), Rule(attempt_hours=0), now=soon())
        assert place.saw() == ALONE
        assert place.export(exposure=UNCUT).status == "written"
    assert place.saw() == BOTH
    place.assert_untouched(is_latest_free=True)


def heads(place: Place) -> list[datetime]:
    """Return the time at which each file of the new snapshot was written."""
    prefix = place.key("")
    keys = [key for key in place.etags() if key.startswith(prefix)]
    client, at = place.bench.client, f"{place.prefix}/"
    return [client.head_object(Bucket=place.bucket, Key=at + key)["LastModified"] for key in keys]


def test_the_parts_of_a_dead_attempt_are_replaced_at_its_age(place: Place) -> None:
    place.stop_at("put _meta/manifest.json", exposure=UNCUT)
    written = heads(place)
    young = min(written) + DEAD_AFTER
    with pytest.raises(TerminalError, match=OTHERWISE):
        place.export(context={"created_at": young})
    assert place.saw() == ATTEMPT
    with place.watched():
        report = place.export(context={"created_at": max(written) + DEAD_AFTER + SECOND})
    assert report.status == "written"
    assert place.saw() == BOTH
    place.assert_untouched(is_latest_free=True)


def test_a_dead_attempt_with_more_parts_leaves_none(place: Place) -> None:
    place.stop_at("put _meta/manifest.json")
    context = {"created_at": max(heads(place)) + DEAD_AFTER + SECOND}
    assert place.export(context=context, exposure=UNCUT).status == "written"
    assert place.saw() == BOTH


@pytest.mark.parametrize("step", ["check parts", "put _meta/_SUCCESS"])
def test_a_dead_attempt_is_finished_by_one_while_another_replaces_it(
    step: str, place: Place
) -> None:
    """Finish an abandoned attempt while another export, with another part size, replaces the parts of the attempt."""
    place.stop_at("put _meta/manifest.json")
    context = {"created_at": max(heads(place)) + DEAD_AFTER + SECOND}
    has_begun, is_at_step, is_replaced = threading.Event(), threading.Event(), threading.Event()

    def replacing(name: str) -> None:
        if name == "write train part 1 of 1":
            has_begun.set()
            is_at_step.wait(PATIENCE_S)

    def replace_it() -> str:
        mine = replace(place, work=place.work / "other")
        try:
            return mine.export(context=context, exposure=UNCUT, progress=replacing).status
        except FeatureMartError as error:
            return str(error)
        finally:
            is_replaced.set()

    def finishing(name: str) -> None:
        if name == step:
            is_at_step.set()
            is_replaced.wait(PATIENCE_S)

    with place.watched(), ThreadPoolExecutor(1) as pool:
        other = pool.submit(replace_it)
        assert has_begun.wait(PATIENCE_S)
        try:
            place.export(context=context, progress=finishing)
        except FeatureMartError:
            pass
        finally:
            is_at_step.set()
        other.result()
        place.whole()
    assert place.saw() in {ATTEMPT, BOTH}
    place.assert_untouched(is_latest_free=True)


def test_a_rollback_comes_while_an_export_moves_latest(place: Place) -> None:
    name = place.earlier_id()

    def back() -> None:
        roll_back(place.store(), CONSUMER, name, "a bad one")

    report = place.export(Meddled(place.store(), "swap", "latest.json", back))
    assert (report.status, report.latest) == ("written", "held")
    assert place.saw() == COMMITTED
    note_fault(place, "a rollback while latest.json moves", COMMITTED, f"{report.status}, held")
    assert place.export().latest == "held"
    assert release(place.store(), CONSUMER)
    assert place.export().latest == "moved"
    assert place.saw() == BOTH


def test_an_export_moves_latest_while_a_rollback_comes(place: Place) -> None:
    name = place.earlier_id()
    roll_back(Meddled(place.store(), "swap", "latest.json", place.export), CONSUMER, name, "bad")
    latest = read_latest(place.store(), CONSUMER)
    assert latest is not None
    assert (latest.id, latest.held) == (name, True)
    assert place.saw() == COMMITTED


def test_latest_ends_at_the_newest_of_many_exports_at_once(place: Place) -> None:
    gate = threading.Barrier(6)

    def run(day: int) -> SnapshotReport:
        context = {"as_of_at": case.AS_OF + timedelta(days=day)}
        mine = replace(place, work=place.work / str(day))
        return mine.export(
            context=context, progress=at_step("move latest.json", lambda: gate.wait(PATIENCE_S))
        )

    with place.watched(), ThreadPoolExecutor(6) as pool:
        reports = list(pool.map(run, (3, 5, 0, 1, 4, 2)))
    assert {report.latest for report in reports} <= {"moved", "newer"}
    latest = read_latest(place.store(), CONSUMER)
    assert latest is not None
    assert latest.as_of_at == case.AS_OF + timedelta(days=5)
    assert len(place.whole()) == 7
    place.assert_untouched(is_latest_free=True)
