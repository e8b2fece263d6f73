"""Test `clean_snapshots` on a bucket: during exports, pins and rollbacks, at every age limit, and when killed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

import snapshot_case as case
from feature_mart.core.errors import FeatureMartError, TerminalError, TransientError
from feature_mart.exporter import (
    Rule,
    clean_snapshots,
    list_snapshots,
    pin_snapshot,
    roll_back,
    unpin_snapshot,
)
from s3_export_case import (
    ALONE,
    ATTEMPT,
    BOTH,
    CONSUMER,
    Killed,
    Meddled,
    Place,
    at_step,
    note_fault,
    soon,
)


@pytest.mark.parametrize(
    "step",
    [
        "wait for other exports",
        "put keys/train/part-00000.parquet",
        "put data/train/part-00001.parquet",
        "put data/test/part-00000.parquet",
        "put _meta/schema.json",
        "put _meta/test.manifest",
        "put _meta/manifest.json",
        "check parts",
        "put _meta/_SUCCESS",
        "move latest.json",
    ],
)
def test_cleaning_takes_an_attempt_away_while_it_is_being_made(step: str, place: Place) -> None:
    """Clean during an export with the age limit zero for attempts. Users should set it only while no export runs."""

    def clean() -> None:
        clean_snapshots(place.store(), Rule(keep=5, attempt_hours=0), now=soon())

    with place.watched():
        try:
            status = said = str(place.export(progress=at_step(step, clean)).status)
        except (TransientError, TerminalError) as error:
            assert re.search("(?i)export again|try again", str(error)), str(error)  # noqa: PT017
            status, said = "stopped", str(error)
        place.whole()
    saw = place.saw(is_verified=False)
    note_fault(place, f"clean --attempts 0 meanwhile, at: {step}", saw, said)
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
    said: list[str] = []

    def finish() -> None:
        try:
            said.append(str(place.export().status))
        except TransientError as error:
            said.append(str(error))

    cleaning = Meddled(place.store(), method, place.new_id, finish)
    with place.watched():
        clean_snapshots(cleaning, Rule(attempt_hours=0), now=soon())
        place.whole()
    if method == "read":
        assert (said, place.saw()) == (["adopted"], BOTH)
    else:
        assert "is being removed by `mart snapshot clean`" in said[0] and place.saw() == ALONE
    assert place.export().status in {"written", "unchanged"}
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
        done = clean_snapshots(
            place.store(), Rule(keep_days=3), now=made + timedelta(days=3) + late
        )
        assert [each.kind for each in done.removed] == ["snapshot"] * gone
    assert [line.id for line in list_snapshots(place.store(), CONSUMER)] == [place.new_id]


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("how", ["pin", "rollback"])
def test_a_snapshot_becomes_wanted_while_it_is_being_removed(
    how: str, is_after: bool, place: Place
) -> None:
    place.plain()
    name, said = place.earlier_id(), list[str]()

    def want() -> None:
        try:
            if how == "pin":
                pin_snapshot(place.store(), CONSUMER, name, "in use", soon())
            else:
                roll_back(place.store(), CONSUMER, name, "a bad one")
        except FeatureMartError as error:
            said.append(str(error))

    cleaning = Meddled(place.store(), "swap", f"{name}/_meta/_SUCCESS", want, is_after=is_after)
    clean_snapshots(cleaning, Rule(keep=1), now=soon())
    assert bool(said) == is_after
    assert (name in place.whole()) == (not is_after)
    place.bench.client.head_object(
        Bucket=place.bucket, Key=f"{place.prefix}/{CONSUMER}/latest.json"
    )
    pins = [key for key in place.etags() if "/pins/" in key]
    assert len(pins) == (how == "pin" and not is_after)
    if not is_after:
        place.assert_untouched(is_latest_free=True)


@pytest.mark.parametrize("how", ["pin", "rollback"])
def test_a_snapshot_is_removed_while_somebody_comes_to_want_it(how: str, place: Place) -> None:
    place.plain()
    name = place.earlier_id()

    def clean() -> None:
        clean_snapshots(place.store(), Rule(keep=1), now=soon())

    method, on = ("put_if_absent", "/pins/") if how == "pin" else ("swap", "latest.json")
    store = Meddled(place.store(), method, on, clean)
    before = place.body(f"{CONSUMER}/latest.json")
    act = partial(pin_snapshot, now=soon()) if how == "pin" else roll_back
    with pytest.raises(FeatureMartError, match="removed"):
        act(store, CONSUMER, name, reason="a bad one")
    assert place.whole() == {place.new_id}
    assert place.body(f"{CONSUMER}/latest.json") == before
    assert not [key for key in place.etags() if "/pins/" in key]


@pytest.mark.parametrize("spared", [0, 1, 6, 13])
def test_cleaning_is_killed_before_a_removal(spared: int, place: Place) -> None:
    """Kill a cleaning. The partly removed snapshot must not be marked as complete, and the next cleaning removes it."""
    place.plain()
    deletes = iter(range(spared))

    class Dying(Meddled):
        def __getattr__(self, method: str) -> Any:
            if method == "delete" and next(deletes, None) is None:
                raise Killed
            return getattr(self._store, method)

    with pytest.raises(Killed):
        clean_snapshots(Dying(place.store(), "", "", list), Rule(keep=1), now=soon())
    assert place.whole() == {place.new_id}
    assert [
        line.id for line in list_snapshots(place.store(), CONSUMER) if not line.problem
    ] == sorted(place.whole())
    clean_snapshots(place.store(), Rule(keep=1, attempt_hours=0), now=soon())
    assert [line.id for line in list_snapshots(place.store(), CONSUMER)] == [place.new_id]


def test_unpinned_it_goes(place: Place) -> None:
    place.plain()
    name = place.earlier_id()
    assert pin_snapshot(place.store(), CONSUMER, name, "in use", soon())
    assert clean_snapshots(place.store(), Rule(keep=1), now=soon()).removed == ()
    assert unpin_snapshot(place.store(), CONSUMER, name)
    assert [r.id for r in clean_snapshots(place.store(), Rule(keep=1), now=soon()).removed] == [
        name
    ]
