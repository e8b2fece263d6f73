"""Test exports to a bucket that are killed, run out of disk or fail in a multipart upload, and damaged snapshots."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

import snapshot_case
from feature_mart.core.errors import FeatureMartError, TerminalError
from feature_mart.core.services import S3Options
from feature_mart.exporter import (
    Rule,
    clean_snapshots,
    list_snapshots,
    snapshot_on_disk,
    verify_snapshot,
)
from feature_mart.storage.opening import open_s3_client
from feature_mart.storage.s3 import S3Store
from s3_client import s3_sha256, start_upload
from s3_export_case import (
    ALONE,
    ATTEMPT,
    BOTH,
    BUCKET,
    COMMITTED,
    STEPS,
    Bench,
    Place,
    make_place,
    note_fault,
)
from s3_export_child import run_children
from s3_proxy import Fault

MANIFEST = "_meta/manifest.json"


@pytest.fixture(scope="module")
def killed(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    """Return, by step, a place whose export was killed before the step."""
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
        assert saw == COMMITTED
    elif STEPS.index(step) <= STEPS.index("put data/train/part-00000.parquet"):
        assert saw == ALONE
    else:
        assert saw in {ALONE, ATTEMPT}
    note_fault(place, f"SIGKILL before: {step}", saw, "nothing; the next export goes on")
    left = list((place.work / "export").glob("files-*"))
    assert left, "a killed export leaves its scratch folder"

    there = place.objects()
    requests.clear()
    with place.watched():
        report = place.export()
    expected = "written"
    if step == "move latest.json":
        expected = "unchanged"
    elif STEPS.index(step) > STEPS.index("put _meta/manifest.json"):
        expected = "adopted"
    assert (report.status, report.latest) == (expected, "moved")
    assert place.saw(is_verified=False) == BOTH
    place.assert_untouched(is_latest_free=True)
    # The retry sends only the data and key files that the killed export had not written yet.
    parts = json.loads(place.body(place.key(MANIFEST)) or b"")["parts"]
    missing = {
        each["path"]: each["bytes"] for each in parts if place.key(each["path"]) not in there
    }
    assert {path for path in put_paths(place) if not path.startswith("_meta/")} == set(missing)
    assert report.sent_bytes == sum(missing.values())
    assert not list((place.work / "export").glob("files-*")), "the next export removes it"


def put_paths(place: Place) -> set[str]:
    """Return the paths of the new snapshot's files that were sent through the proxy."""
    sent = place.bench.proxy.asked("PUT", f"/{place.new_id}/")
    return {request.path.partition(f"/{place.new_id}/")[2] for request in sent}


def test_the_same_content_again_writes_nothing(place: Place) -> None:
    assert place.export().status == "written"
    before = place.objects()
    place.bench.proxy.requests.clear()
    for year in (2026, 2027):
        report = place.export(context={"created_at": datetime(year, 12, 5, tzinfo=UTC)})
        assert (report.status, report.latest, report.sent_bytes) == ("unchanged", "already", 0)
    assert place.bench.proxy.requests
    assert place.written() == []
    assert place.objects() == before


def test_a_dry_run_writes_nothing(place: Place) -> None:
    assert place.export(dry_run=True).status == "planned"
    assert place.written() == []


@pytest.mark.parametrize("limit", [500, 1200])
def test_the_disk_is_full(limit: int, place: Place) -> None:
    ((code, said),) = run_children([place], limit=limit)
    saw = place.saw()
    note_fault(place, f"a disk that takes {limit} bytes of a part", saw, said)
    place.assert_untouched()
    assert code == 1, said
    assert saw in {ALONE, ATTEMPT}
    assert re.search("(?i)no space|too large", said), said
    assert re.search("Nothing was committed", said), said
    assert run_children([place]) == [(0, "written")]
    assert place.saw() == BOTH


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every part by multipart upload, in a single piece, because S3 accepts small pieces only at the end."""
    monkeypatch.setattr("feature_mart.storage.s3._WHOLE_UP_TO", 0)


PIECES = [
    ("500 to a piece", Fault("status", "PUT", "partNumber"), 75, "UploadPart failed with"),
    (
        "a piece with a wrong checksum",
        Fault("corrupt", "PUT", "partNumber"),
        75,
        "were changed in transit",
    ),
    ("a reset in mid-piece", Fault("cut", "PUT", "partNumber"), 75, "could not be reached"),
    (
        "403 to an upload's begin",
        Fault("status", "POST", "?uploads", status=403, code="AccessDenied"),
        1,
        "s3:PutObject",
    ),
    ("500 to an upload's end", Fault("status", "POST", "uploadId"), 75, "Try again later"),
    (
        "200 to an upload's end, but an error",
        Fault("status", "POST", "uploadId", status=200),
        75,
        "Try again later",
    ),
    (
        "an upload's end whose answer is lost",
        Fault("lost", "POST", "uploadId"),
        75,
        "Try again later",
    ),
    (
        "500 to an upload's end and 403 to its removal",
        Fault("status", "POST", "uploadId"),
        75,
        "CompleteMultipartUpload failed",
    ),
]


@pytest.mark.parametrize(
    ("name", "fault", "exit_code", "says"), PIECES, ids=[each[0] for each in PIECES]
)
def test_a_large_part_goes_wrong(
    name: str, fault: Fault, exit_code: int, says: str, place: Place, in_pieces: None
) -> None:
    fault.seen = 0
    place.bench.proxy.faults.append(fault)
    if "removal" in name:
        denied = Fault("status", "DELETE", "uploadId", status=403, code="AccessDenied")
        place.bench.proxy.faults.append(denied)
    with place.watched(), pytest.raises(FeatureMartError) as failed:
        place.export()
    saw = place.saw()
    note_fault(place, f"{name} (a large part)", saw, str(failed.value))
    place.assert_untouched()
    assert saw in {ALONE, ATTEMPT}
    assert failed.value.exit_code == exit_code
    assert says in str(failed.value)
    left = uploads_in(place)
    assert bool(left) == ("removal" in name)
    place.bench.proxy.faults.clear()
    report = place.export()
    assert (report.status, place.saw(is_verified=False)) == ("written", BOTH)
    after = datetime.now(UTC) + timedelta(minutes=1)
    cleaned = clean_snapshots(place.store(), Rule(attempt_hours=0), now=after)
    assert (cleaned.uploads, uploads_in(place)) == (len(left), [])


def uploads_in(place: Place) -> list[dict[str, Any]]:
    found = place.bench.client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{place.prefix}/")
    uploads: list[dict[str, Any]] = found.get("Uploads", [])
    return uploads


@pytest.mark.parametrize("may_abort", [True, False])
def test_another_upload_of_a_large_part_ends_first(
    may_abort: bool, place: Place, in_pieces: None
) -> None:
    """Write each part before its upload completes. S3 refuses the completion; the export accepts the equal bytes."""
    if not may_abort:
        denied = Fault("status", "DELETE", "uploadId", status=403, code="AccessDenied")
        place.bench.proxy.faults.append(denied)
    whole = replace(place, prefix=f"{place.prefix}-whole")
    whole.plain()
    options = S3Options(endpoint=place.bench.proxy.endpoint, attempts=1)
    client = open_s3_client(options)
    found: list[str] = []

    def end_first(params: dict[str, Any], **_: Any) -> None:
        key = unquote(params["url_path"]).partition(f"{place.prefix}/")[2]
        data = whole.body(key) or b""
        at = {"Bucket": BUCKET, "Key": f"{place.prefix}/{key}", "Body": data}
        place.bench.client.put_object(**at, ChecksumSHA256=s3_sha256(data))
        found.append(key)

    client.meta.events.register("before-call.s3.CompleteMultipartUpload", end_first)
    store = S3Store(lambda: client, BUCKET, place.prefix, place.work, options)
    assert (place.export(store).status, place.saw()) == ("written", BOTH)
    assert len(found) == len(set(found)) == 8
    ends = [r.status for r in place.bench.proxy.asked("POST") if "uploadId" in r.query]
    assert ends == [412] * 8


def test_uploads_that_a_killed_export_left_go_at_their_age(place: Place) -> None:
    key = f"{place.prefix}/{place.key('data/train/part-00000.parquet')}"
    start_upload(place.bench.client, BUCKET, key, b"half")
    (left,) = uploads_in(place)
    assert place.saw() == ALONE
    assert place.export().status == "written"
    begun: datetime = left["Initiated"]
    for hours, dropped in ((1, 0), (0, 1)):
        # An upload exactly as old as the limit is kept; one that is a microsecond older is aborted.
        now = begun + timedelta(hours=1, microseconds=1 - hours)
        cleaned = clean_snapshots(place.store(), Rule(attempt_hours=1), now=now)
        assert (cleaned.uploads, len(uploads_in(place))) == (dropped, 1 - dropped)
    assert place.saw() == BOTH
    place.assert_untouched(is_latest_free=True)


@pytest.mark.parametrize("how", ["changed", "removed", "added"])
@pytest.mark.parametrize("path", ["data/train/part-00001.parquet", "keys/test/part-00000.parquet"])
def test_a_part_is_changed_or_removed_afterwards(how: str, path: str, place: Place) -> None:
    report = place.export()
    options = S3Options(endpoint=place.bench.server)
    key = place.key(path)
    if how == "removed":
        place.delete(key)
    elif how == "added":
        path = path.replace("part-0", "part-1")
        place.put(place.key(path), place.body(key) or b"")
    else:
        data = bytearray(place.body(key) or b"")
        data[len(data) // 2] ^= 1
        place.put(key, bytes(data))
    after = place.objects()
    problems = verify_snapshot(report.address, options).problems
    assert path in {problem.where for problem in problems}
    said = "; ".join(f"{problem.where}: {problem.what}" for problem in problems)
    if how != "added":
        with (
            pytest.raises(TerminalError, match="snapshot verify"),
            snapshot_on_disk(report.address, options),
        ):
            pass
    if how == "removed":
        with pytest.raises(TerminalError, match=re.escape(path)) as failed:
            place.export()
        said = f"{said}; at the next export: {failed.value}"
    note_fault(place, f"{path} {how} afterwards", "mart snapshot verify: bad", said)
    assert place.objects() == after, "a damaged snapshot is left as it is"
    place.assert_untouched(is_latest_free=True)


@pytest.mark.parametrize("how", ["changed", "removed"])
def test_a_part_changes_under_the_hands_of_an_export(how: str, place: Place) -> None:
    key = place.key("data/test/part-00000.parquet")

    def meddle(step: str) -> None:
        if step == "check parts":
            if how == "changed":
                place.put(key, b"meddled")
            else:
                place.delete(key)

    with place.watched(), pytest.raises(TerminalError, match="was not committed") as failed:
        place.export(progress=meddle)
    note_fault(place, f"a part {how} during the export", place.saw(), str(failed.value))
    assert place.saw() == ATTEMPT
    place.assert_untouched()
    if how == "changed":
        with pytest.raises(TerminalError, match="mart snapshot clean --attempts 0"):
            place.export()
        soon = datetime.now(UTC) + timedelta(minutes=1)
        clean_snapshots(place.store(), Rule(attempt_hours=0), now=soon)
    assert place.export().status == ("written" if how == "changed" else "adopted")
    assert place.saw() == BOTH


def test_the_mart_is_rebuilt_meanwhile(place: Place, tmp_path: Path) -> None:
    place.mart = snapshot_case.build_mart(tmp_path / "mine")
    other = snapshot_case.build_mart(tmp_path / "other", rows=200)

    def replace_mart(step: str) -> None:
        if step == "hash content":
            other.replace(place.mart)

    with place.watched():
        report = place.export(progress=replace_mart)
    assert (report.id, report.status, place.saw()) == (place.new_id, "written", BOTH)
    note_fault(place, "the mart rebuilt while it is exported", place.saw(), report.status)
    after = place.export(dry_run=True)
    assert after.id != report.id
    assert len(list_snapshots(place.store())) == 2
