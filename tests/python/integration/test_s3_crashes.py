"""Exports to a bucket that are killed, that find the disk full, or that cannot ask at all; and what a retry sends."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from feature_mart.errors import FeatureMartError, TerminalError
from feature_mart.exporter import (
    Rule,
    clean_snapshots,
    list_snapshots,
    snapshot_on_disk,
    verify_snapshot,
)
from feature_mart.settings import S3Options
from python.unit import snapshot_case as case
from s3_client import start_upload
from s3_export_case import (
    BUCKET,
    CONSUMER,
    CREDENTIALS,
    Bench,
    Place,
    make_place,
    note_fault,
    run_bench,
    run_children,
)
from s3_proxy import Fault

STEPS = [
    "count rows",
    "hash content",
    "wait for other exports",
    "write train part 1 of 2",
    "put data/train/part-00000.parquet",
    "put keys/train/part-00000.parquet",
    "write train part 2 of 2",
    "put data/train/part-00001.parquet",
    "put keys/train/part-00001.parquet",
    "write validation part 1 of 1",
    "put data/validation/part-00000.parquet",
    "put keys/validation/part-00000.parquet",
    "write test part 1 of 1",
    "put data/test/part-00000.parquet",
    "put keys/test/part-00000.parquet",
    "put _meta/schema.json",
    "put _meta/train.manifest",
    "put _meta/validation.manifest",
    "put _meta/test.manifest",
    "put _meta/manifest.json",
    "check parts",
    "put _meta/_SUCCESS",
    "move latest.json",
]
MANIFEST = "_meta/manifest.json"
CLOSED = "http://127.0.0.1:9"
UNKNOWN = "http://s3.invalid"
ALONE = "the earlier alone; latest.json names the earlier"
ATTEMPT = f"{ALONE}; an attempt"
BOTH = "both whole; latest.json names the new"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with run_bench(tmp_path_factory.mktemp("mart")) as bench:
        yield bench


@pytest.fixture
def place(bench: Bench, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    return make_place(bench, tmp_path, re.sub(r"\W+", "-", request.node.name))


@pytest.fixture(scope="module")
def killed(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    """By step, a place whose export was killed before it."""
    folder = tmp_path_factory.mktemp("killed")
    places = [make_place(bench, folder / str(n), f"killed-{n}") for n in range(len(STEPS))]
    ends = run_children(places, STEPS)
    assert ends == [(-signal.SIGKILL, "")] * len(STEPS)
    return dict(zip(STEPS, places, strict=True))


def test_those_are_all_the_steps(place: Place) -> None:
    steps: list[str] = []
    assert place.export(progress=steps.append).status == "written"
    assert steps == STEPS


@pytest.mark.parametrize("step", STEPS)
def test_an_export_is_killed(step: str, killed: dict[str, Place]) -> None:
    place = killed[step]
    requests = place.bench.proxy.requests
    place.assert_untouched()
    saw = place.saw()
    if step == "move latest.json":
        assert saw == "both whole; latest.json names the earlier"
    elif STEPS.index(step) <= STEPS.index("put data/train/part-00000.parquet"):
        assert saw == ALONE
    else:
        assert saw in {ALONE, ATTEMPT}
    note_fault(f"SIGKILL before: {step}", saw, "nothing; the next export goes on")
    left = list((place.work / "export").glob("export-*"))
    assert bool(left) == (STEPS.index(step) >= 0), "a killed export leaves its scratch folder"

    there = place.objects()
    requests.clear()
    with place.watched():
        report = place.export()
    expected = "written"
    if step in {"check parts", "put _meta/_SUCCESS"}:
        expected = "adopted"
    elif step == "move latest.json":
        expected = "unchanged"
    assert (report.status, report.latest) == (expected, "moved")
    assert place.saw() == BOTH
    place.assert_untouched(is_latest_free=True)
    # What was there was not sent again: no byte, and no part that the killed one had put.
    parts = json.loads(place.body(place.key(MANIFEST)) or b"")["parts"]
    missing = {each["path"]: each["bytes"] for each in parts if place.key(each["path"]) not in there}
    assert {path for path in put_paths(place) if not path.startswith("_meta/")} == set(missing)
    assert report.sent_bytes == sum(missing.values())
    assert not list((place.work / "export").glob("export-*")), "the next export removes it"


def put_paths(place: Place) -> set[str]:
    """Files of the new snapshot that were sent through the proxy."""
    sent = place.bench.proxy.asked("PUT", f"/{place.new_id}/")
    return {request.path.partition(f"/{place.new_id}/")[2] for request in sent}


def test_the_same_content_again_writes_nothing(place: Place) -> None:
    assert place.export().status == "written"
    before = place.objects()
    place.bench.proxy.requests.clear()
    for again in ({}, {"context": {"created_at": datetime(2027, 5, 5, tzinfo=UTC)}}):
        report = place.export(**again)
        assert (report.status, report.latest, report.sent_bytes) == ("unchanged", "already", 0)
    assert place.bench.proxy.requests
    assert place.written() == []
    assert place.objects() == before


def test_a_dry_run_writes_nothing(place: Place) -> None:
    assert place.export(dry_run=True).status == "planned"
    assert place.written() == []


@pytest.mark.parametrize("limit", [0, 500, 2000])
def test_the_disk_is_full(limit: int, place: Place) -> None:
    ((code, said),) = run_children([place], limit=limit)
    if not limit:
        assert (code, said, place.saw()) == (0, "written", BOTH)
        return
    assert code == 1, said
    note_fault(f"disk full at {limit} bytes a file", place.saw(), said)
    assert place.saw() in {ALONE, ATTEMPT}
    place.assert_untouched()
    assert re.search(r"(?i)no space|file too large|too large", said), said
    assert re.search("export again|Nothing was committed", said), said
    assert place.plain().status == "written"
    assert place.saw() == BOTH


NOWHERE = [
    (
        "a bucket that does not exist",
        {"bucket": "no-such-bucket"},
        {},
        1,
        "Create the bucket, or correct the address",
    ),
    (
        "no credentials",
        {},
        {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
        1,
        "Give the task a role, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    ("half of the credentials", {}, {"AWS_SECRET_ACCESS_KEY": None}, 1, "set AWS_PROFILE"),
    ("an endpoint that nobody listens at", {"endpoint": CLOSED}, {}, 75, "Try again later"),
    ("an endpoint that has no address", {"endpoint": UNKNOWN}, {}, 75, "Try again later"),
]


@pytest.mark.parametrize(
    ("name", "to", "environment", "exit_code", "says"), NOWHERE, ids=[each[0] for each in NOWHERE]
)
def test_there_is_no_way_in(
    name: str,
    to: dict[str, str],
    environment: dict[str, str | None],
    exit_code: int,
    says: str,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable, value in environment.items():
        if value is None:
            monkeypatch.delenv(variable)
        # boto3 keeps what it found in its default session.
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    elsewhere = replace(place, bucket=to.pop("bucket", BUCKET))
    with pytest.raises(FeatureMartError, match=re.escape(says)) as failed:
        elsewhere.export(elsewhere.store(**to))
    assert failed.value.exit_code == exit_code
    assert str(failed.value).startswith(f"s3://{elsewhere.bucket}/{place.prefix}/")
    monkeypatch.undo()
    place.assert_untouched()
    note_fault(name, place.saw(), str(failed.value))
