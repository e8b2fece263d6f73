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
from s3_export_case import CONSUMER, EARLIER, PARTS, Bench, Place, make_place, run_bench

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
        "move latest.json",
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
    if step == "move latest.json":
        # Those that came late found it committed, and never came to that step.
        assert set(said) <= {"written", "adopted", "unchanged"}
    assert said.count("written") + said.count("adopted") <= 20
    assert {report.latest for report in reports} <= {"moved", "already"}
    assert [report.latest for report in reports].count("moved") == 1
    assert place.saw() == BOTH
    place.assert_untouched(is_latest_free=True)
    # No part was written twice.
    sent = [r.path for r in place.bench.proxy.asked("PUT", "/data/") if r.status == 200]
    assert len(sent) == len(set(sent)) == 4
    assert sum(report.sent_bytes for report in reports) == reports[0].bytes
