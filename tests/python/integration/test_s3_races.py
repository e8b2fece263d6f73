"""Exports to a bucket at once with others, with cleaning and with rollbacks; and attempts at the age of the dead."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feature_mart.errors import FeatureMartError, TerminalError, TransientError
from feature_mart.exporter import (
    Rule,
    SnapshotReport,
    clean_snapshots,
    list_snapshots,
    pin_snapshot,
    read_latest,
    release,
    roll_back,
    unpin_snapshot,
)
from feature_mart.exporter.uploads import DEAD_AFTER
from feature_mart.storage import Store
from python.unit import snapshot_case as case
from s3_export_case import (
    CONSUMER,
    EARLIER,
    PARTS,
    STEPS,
    Bench,
    Killed,
    Place,
    make_place,
    run_bench,
)

ALONE = "the earlier alone; latest.json names the earlier"
ATTEMPT = f"{ALONE}; an attempt"
BOTH = "both whole; latest.json names the new"
OTHERWISE = "begun with other part files and never committed"
#: Every part of train, validation and test in one file.
UNCUT = {"part_rows": 1000}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with run_bench(tmp_path_factory.mktemp("mart")) as bench:
        yield bench


@pytest.fixture
def place(bench: Bench, tmp_path: Any, request: pytest.FixtureRequest) -> Place:
    return make_place(bench, tmp_path, re.sub(r"\W+", "-", request.node.name))


class Meddled:
    """A store in which something happens once, before (or after) a method is called with that in its first argument."""

    def __init__(
        self, store: Store, method: str, on: str, act: Callable[[], Any], *, is_after: bool = False
    ) -> None:
        self._store, self._method, self._on, self._is_after = store, method, on, is_after
        self._acts = [act]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name != self._method:
            return method

        def call(*arguments: Any) -> Any:
            acts = [self._acts.pop()] if self._acts and self._on in arguments[0] else []
            done = method(*arguments) if self._is_after else None
            for act in acts:
                act()
            return done if self._is_after else method(*arguments)

        return call


def at_step(step: str, act: Callable[[], Any]) -> Callable[[str], None]:
    def progress(name: str) -> None:
        if name == step:
            act()

    return progress


def soon() -> datetime:
    """When everything that is there is older than nothing."""
    return datetime.now(UTC) + timedelta(minutes=1)


@pytest.mark.parametrize(
    "step",
    [
        "wait for other exports",
        "put data/train/part-00000.parquet",
        "put _meta/manifest.json",
        "put _meta/_SUCCESS",
    ],
)
def test_twenty_exporters_at_once_make_one_snapshot(step: str, place: Place) -> None:
    gate = threading.Barrier(20)

    def run(number: int) -> SnapshotReport:
        context = {"created_at": datetime(2026, 11, 4, number, tzinfo=UTC)}
        mine = replace(place, work=place.work / str(number))
        return mine.export(context=context, progress=at_step(step, lambda: gate.wait(60)))

    with place.watched(), ThreadPoolExecutor(20) as pool:
        reports = list(pool.map(run, range(20)))
    said = [report.status for report in reports]
    assert said.count("unchanged") == 19
    assert sorted(report.latest or "" for report in reports) == ["already"] * 19 + ["moved"]
    assert place.saw() == BOTH
    place.assert_untouched(is_latest_free=True)
    # No part was taken twice.
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
            # Whoever stops earlier lets the others go on.
            return mine.export(
                exposure={"part_rows": part_rows}, progress=at_step(step, lambda: gate.wait(60))
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
    (status,) = {export_or_clean(place, part_rows) for part_rows in (50, 100, 150)} - {"unchanged"} or {"unchanged"}
    assert status in {"written", "adopted", "unchanged"}
    assert place.saw() == BOTH


def export_or_clean(place: Place, part_rows: int) -> str:
    """As the message says: after a cleaning where somebody began otherwise."""
    exposure = {"part_rows": part_rows}
    try:
        return place.export(exposure=exposure).status
    except TerminalError as error:
        assert "mart snapshot clean --attempts 0" in str(error)  # noqa: PT017 - either is right
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
        with pytest.raises(TerminalError, match=OTHERWISE):
            place.export(exposure=UNCUT)
        assert place.objects() == there, "the attempt of the other is as it was"
        assert place.saw() == ATTEMPT
        clean_snapshots(place.store(), Rule(attempt_hours=0), now=soon())
        assert place.saw() == ALONE
        assert place.export(exposure=UNCUT).status == "written"
    assert place.saw() == BOTH
    place.assert_untouched(is_latest_free=True)


def heads(place: Place) -> list[datetime]:
    """When each file of the new snapshot was written."""
    prefix = place.key("")
    keys = [key for key in place.keys() if key.startswith(prefix)]
    client, at = place.bench.client, f"{place.prefix}/"
    return [client.head_object(Bucket=place.bucket, Key=at + key)["LastModified"] for key in keys]


def test_the_parts_of_a_dead_attempt_are_replaced_at_its_age(place: Place) -> None:
    place.stop_at("put _meta/manifest.json", exposure=UNCUT)
    written = heads(place)
    young = min(written) + DEAD_AFTER - timedelta(seconds=1)
    with pytest.raises(TerminalError, match=OTHERWISE):
        place.export(context={"created_at": young})
    assert place.saw() == ATTEMPT
    with place.watched():
        report = place.export(context={"created_at": max(written) + DEAD_AFTER})
    assert report.status == "written"
    assert place.saw() == BOTH
    place.assert_untouched(is_latest_free=True)


def test_a_dead_attempt_with_more_parts_leaves_none(place: Place) -> None:
    place.stop_at("put _meta/manifest.json")
    context = {"created_at": max(heads(place)) + DEAD_AFTER}
    assert place.export(context=context, exposure=UNCUT).status == "written"
    assert place.saw() == BOTH


@pytest.mark.parametrize("step", ["check parts", "put _meta/_SUCCESS"])
def test_a_dead_attempt_is_finished_by_one_while_another_replaces_it(
    step: str, place: Place
) -> None:
    """One export goes on where the dead one stopped; one that is cut otherwise takes its parts for nobody's."""
    place.stop_at("put _meta/manifest.json")
    context = {"created_at": max(heads(place)) + DEAD_AFTER}
    has_begun, is_at_step, is_replaced = threading.Event(), threading.Event(), threading.Event()

    def replacing(name: str) -> None:
        if name == "write train part 1 of 1":
            has_begun.set()
            is_at_step.wait(60)

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
            is_replaced.wait(60)

    with place.watched(), ThreadPoolExecutor(1) as pool:
        other = pool.submit(replace_it)
        assert has_begun.wait(60)
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


@pytest.mark.parametrize("step", STEPS)
def test_cleaning_takes_an_attempt_away_while_it_is_being_made(step: str, place: Place) -> None:
    """With an age of none, which is for when no export is at work."""

    def clean() -> None:
        clean_snapshots(place.store(), Rule(keep=5, attempt_hours=0), now=soon())

    with place.watched():
        try:
            status = place.export(progress=at_step(step, clean)).status
        except (TransientError, TerminalError) as error:
            assert re.search("(?i)export again|try again", str(error)), str(error)  # noqa: PT017
            status = "stopped"
        place.whole()
    saw = place.saw(is_verified=False)
    assert saw == BOTH if status == "written" else saw in {ALONE, ATTEMPT}
    place.assert_untouched(is_latest_free=True)
    assert place.export().status in {"written", "adopted", "unchanged"}
    assert place.saw(is_verified=False) == BOTH


@pytest.mark.parametrize("step", ["check parts", "put _meta/_SUCCESS", "move latest.json"])
def test_cleaning_by_age_leaves_an_attempt_that_is_being_made(step: str, place: Place) -> None:
    removed: list[Any] = []

    def clean() -> None:
        done = clean_snapshots(place.store(), Rule(keep=5), now=datetime.now(UTC))
        removed.extend(done.removed)

    assert place.export(progress=at_step(step, clean)).status == "written"
    assert (removed, place.saw()) == ([], BOTH)


@pytest.mark.parametrize("method", ["read", "delete"])
def test_a_dead_attempt_is_finished_while_it_is_being_removed(method: str, place: Place) -> None:
    place.stop_at("put _meta/_SUCCESS")
    cleaning = Meddled(place.store(), method, place.new_id, place.export)
    with place.watched():
        clean_snapshots(cleaning, Rule(attempt_hours=0), now=soon())
        place.whole()
    assert place.saw() in {ALONE, ATTEMPT, BOTH}
    assert place.export().status in {"written", "adopted", "unchanged"}
    assert place.saw() == BOTH
    place.assert_untouched(is_latest_free=True)


def test_an_attempt_goes_only_when_it_is_older_than_the_age(place: Place) -> None:
    place.stop_at("put _meta/_SUCCESS")
    newest = max(entry.modified_at for entry in place.store().entries(place.key("").rstrip("/")))
    for late, gone in ((timedelta(), 0), (timedelta(microseconds=1), 1)):
        now = newest + timedelta(hours=24) + late
        plan = clean_snapshots(place.store(), Rule(), now=now, dry_run=True)
        done = clean_snapshots(place.store(), Rule(), now=now)
        assert [each.kind for each in done.removed] == ["attempt"] * gone
        assert plan.removed == done.removed
        assert place.saw() == (ALONE if gone else ATTEMPT)
    place.assert_untouched()


def test_a_snapshot_goes_only_when_it_is_older_than_the_days(place: Place) -> None:
    place.plain()
    made = case.context().created_at
    for late, gone in ((timedelta(), 0), (timedelta(microseconds=1), 1)):
        done = clean_snapshots(place.store(), Rule(keep_days=3), now=made + timedelta(days=3) + late)
        assert [each.kind for each in done.removed] == ["snapshot"] * gone
    assert [line.id for line in list_snapshots(place.store(), CONSUMER)] == [place.new_id]


def earlier_id(place: Place) -> str:
    (name,) = {key.split("/")[2] for key in place.before if "/snapshots/" in key}
    return name


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("how", ["pin", "rollback"])
def test_a_snapshot_becomes_wanted_while_it_is_being_removed(
    how: str, is_after: bool, place: Place
) -> None:
    place.plain()
    name, said = earlier_id(place), list[str]()

    def want() -> None:
        try:
            if how == "pin":
                pin_snapshot(place.store(), CONSUMER, name, "in use", soon())
            else:
                roll_back(place.store(), CONSUMER, name, "a bad one")
        except FeatureMartError as error:
            said.append(str(error))

    cleaning = Meddled(place.store(), "delete", f"{name}/_meta/_SUCCESS", want, is_after=is_after)
    clean_snapshots(cleaning, Rule(keep=1), now=soon())
    assert bool(said) == is_after
    assert (name in place.whole()) == (not is_after)
    place.bench.client.head_object(Bucket=place.bucket, Key=f"{place.prefix}/{CONSUMER}/latest.json")
    pins = [key for key in place.keys() if "/pins/" in key]
    assert len(pins) == (how == "pin" and not is_after)
    if not is_after:
        place.assert_untouched(is_latest_free=True)


@pytest.mark.parametrize("how", ["pin", "rollback"])
def test_a_snapshot_is_removed_while_somebody_comes_to_want_it(how: str, place: Place) -> None:
    place.plain()
    name = earlier_id(place)

    def clean() -> None:
        clean_snapshots(place.store(), Rule(keep=1), now=soon())

    method, on = ("put_if_absent", "/pins/") if how == "pin" else ("swap", "latest.json")
    store = Meddled(place.store(), method, on, clean)
    before = place.body(f"{CONSUMER}/latest.json")
    with pytest.raises(FeatureMartError, match="removed"):
        if how == "pin":
            pin_snapshot(store, CONSUMER, name, "in use", soon())
        else:
            roll_back(store, CONSUMER, name, "a bad one")
    assert place.whole() == {place.new_id}
    assert place.body(f"{CONSUMER}/latest.json") == before
    assert not [key for key in place.keys() if "/pins/" in key]


@pytest.mark.parametrize("spared", [0, 1, 6, 14])
def test_cleaning_is_killed_before_a_removal(spared: int, place: Place) -> None:
    """What is left of a snapshot says nowhere that it is whole, and the next cleaning takes it."""
    place.plain()
    name, deletes = earlier_id(place), iter(range(spared))

    class Dying(Meddled):
        def __getattr__(self, method: str) -> Any:
            if method == "delete" and next(deletes, None) is None:
                raise Killed
            return getattr(self._store, method)

    with pytest.raises(Killed):
        clean_snapshots(Dying(place.store(), "", "", list), Rule(keep=1), now=soon())
    assert place.whole() == {place.new_id, *([] if spared else [name])}
    assert [line.id for line in list_snapshots(place.store(), CONSUMER) if not line.problem] == sorted(place.whole())
    clean_snapshots(place.store(), Rule(keep=1, attempt_hours=0), now=soon())
    assert [line.id for line in list_snapshots(place.store(), CONSUMER)] == [place.new_id]


def test_a_rollback_comes_while_an_export_moves_latest(place: Place) -> None:
    name = earlier_id(place)

    def back() -> None:
        roll_back(place.store(), CONSUMER, name, "a bad one")

    report = place.export(Meddled(place.store(), "swap", "latest.json", back))
    assert (report.status, report.latest) == ("written", "held")
    assert place.saw() == "both whole; latest.json names the earlier"
    assert place.export().latest == "held"
    assert release(place.store(), CONSUMER)
    assert place.export().latest == "moved"
    assert place.saw() == BOTH


def test_an_export_moves_latest_while_a_rollback_comes(place: Place) -> None:
    name = earlier_id(place)
    roll_back(Meddled(place.store(), "swap", "latest.json", place.export), CONSUMER, name, "bad")
    latest = read_latest(place.store(), CONSUMER)
    assert latest is not None
    assert (latest.id, latest.held) == (name, True)
    assert place.saw() == "both whole; latest.json names the earlier"


def test_latest_ends_at_the_newest_of_many_exports_at_once(place: Place) -> None:
    gate = threading.Barrier(6)

    def run(day: int) -> SnapshotReport:
        context = {"as_of_at": case.AS_OF + timedelta(days=day)}
        mine = replace(place, work=place.work / str(day))
        return mine.export(context=context, progress=at_step("move latest.json", lambda: gate.wait(60)))

    with place.watched(), ThreadPoolExecutor(6) as pool:
        reports = list(pool.map(run, (3, 5, 0, 1, 4, 2)))
    assert {report.latest for report in reports} <= {"moved", "newer"}
    latest = read_latest(place.store(), CONSUMER)
    assert latest is not None
    assert latest.as_of_at == case.AS_OF + timedelta(days=5)
    assert len(place.whole()) == 7
    place.assert_untouched(is_latest_free=True)


def test_unpinned_it_goes(place: Place) -> None:
    place.plain()
    name = earlier_id(place)
    assert pin_snapshot(place.store(), CONSUMER, name, "in use", soon())
    assert clean_snapshots(place.store(), Rule(keep=1), now=soon()).removed == ()
    assert unpin_snapshot(place.store(), CONSUMER, name)
    assert [r.id for r in clean_snapshots(place.store(), Rule(keep=1), now=soon()).removed] == [name]
