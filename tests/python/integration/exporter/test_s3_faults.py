"""Test exports to a bucket with failing requests: what a reader sees, the message, and what a retry does.

If MART_FAULT_TABLE names a file, the tests of exports to S3 append rows of a Markdown table to the file: the fault, the
state of the bucket afterwards, and the message or status that the user saw.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from feature_mart.core.errors import FeatureMartError
from s3_export_case import (
    ALONE,
    ATTEMPT,
    BOTH,
    BUCKET,
    COMMITTED,
    Bench,
    Place,
    make_place,
    note_fault,
)
from s3_proxy import Fault

FIRST = "data/train/part-00000.parquet"
PART = "data/train/part-00001.parquet"
MANIFEST = "_meta/manifest.json"
SUCCESS = "_meta/_SUCCESS"
LATEST = "latest.json"
CLOSED = "http://127.0.0.1:9"
UNKNOWN = "http://s3.invalid"


LATER = "Try again later; files that were already uploaded are not sent again."
UNREACHED = "S3 could not be reached"
CHANGED = "the bytes were changed in transit, and S3 rejected them. Try again; if the error persists, look for a"

BROKEN: dict[str, Any] = {"how": "status", "status": 500}
BUSY: dict[str, Any] = {"how": "status", "status": 503, "code": "SlowDown"}
DENIED: dict[str, Any] = {"how": "status", "status": 403, "code": "AccessDenied"}
EXPIRED: dict[str, Any] = {"how": "status", "status": 400, "code": "ExpiredToken"}
KEYLESS: dict[str, Any] = {"how": "status", "status": 400, "code": "KMS.DisabledException"}
CONFLICT: dict[str, Any] = {"how": "status", "status": 409, "code": "ConditionalRequestConflict"}


@dataclass(frozen=True, slots=True)
class Case:
    """A fault during an export, and the expected effects.

    Attributes:
        end: the status in the report, or the exit code of a failed export.
        saw: the state of the bucket after the export, as returned by `Place.saw`.
        says: a regular expression for a part of the message, in which ``(`` is literal.
        at: the end of the address in the message.
        retry: the status of a second export, without the fault.
        attempts: the maximum number of attempts per request.
        latest: the expected field `latest` of the report, if the export succeeds.
    """

    name: str
    fault: Fault
    end: str | int
    saw: str = ATTEMPT
    says: str = LATER
    at: str = PART
    retry: str = "written"
    attempts: int = 1
    latest: str = "moved"


def put(on: str, **fault: Any) -> Fault:
    return Fault(method="PUT", on=on, **fault)


def survived(name: str, fault: Fault, end: str = "written", **case: Any) -> Case:
    return Case(name, fault, end, saw=BOTH, retry="unchanged", **case)


ON_MANIFEST: dict[str, Any] = {"at": MANIFEST}
ON_SUCCESS: dict[str, Any] = {"at": SUCCESS, "retry": "adopted"}
ON_LATEST: dict[str, Any] = {"at": LATEST, "saw": COMMITTED, "retry": "unchanged"}

CASES = [
    Case("500 to a part", put(PART, **BROKEN), 75),
    Case("500 to the first part", put(FIRST, **BROKEN), 75, saw=ALONE, at=FIRST),
    Case("500 to the first request", Fault("status", "GET", LATEST), 75, saw=ALONE, at=LATEST),
    Case("503 SlowDown to a part", put(PART, **BUSY), 75),
    survived("503 SlowDown to a part, twice of three", put(PART, **BUSY, times=2), attempts=3),
    Case("503 SlowDown to manifest.json", put(MANIFEST, **BUSY), 75, **ON_MANIFEST),
    Case("503 SlowDown to _SUCCESS", put(SUCCESS, **BUSY), 75, **ON_SUCCESS),
    Case("503 SlowDown to latest.json", put(LATEST, **BUSY), 75, **ON_LATEST),
    Case("503 to a listing", Fault(method="GET", on="list-type", **BUSY), 75, at="", saw=ALONE),
    Case("503 to a HEAD", Fault(method="HEAD", on=PART, **BUSY), 75, retry="adopted"),
    Case("403 to a part", put(PART, **DENIED), 1, says="Allow the role s3:PutObject"),
    Case("403 to _SUCCESS", put(SUCCESS, **DENIED), 1, says="s3:PutObject", **ON_SUCCESS),
    Case("403 to latest.json", put(LATEST, **DENIED), 1, says="s3:PutObject", **ON_LATEST),
    Case(
        "403 to reading",
        Fault(method="GET", on=SUCCESS, **DENIED),
        1,
        saw=ALONE,
        says="Allow the role s3:GetObject there",
        at=SUCCESS,
    ),
    Case(
        "403 to a HEAD",
        Fault(method="HEAD", on=FIRST, **DENIED),
        1,
        says="Allow the role s3:GetObject and s3:ListBucket there",
        at=FIRST,
        retry="adopted",
    ),
    Case(
        "403 to a listing",
        Fault(method="GET", on="list-type", **DENIED),
        1,
        says="Allow the role s3:ListBucket there",
        at="",
        saw=ALONE,
    ),
    Case("a token that expires", put(PART, **EXPIRED), 1, says="Renew the credentials"),
    Case("a disabled KMS key", put(PART, **KEYLESS), 1, says="Correct MART_S3_KMS_KEY"),
    Case("a reset in mid-part", put(PART, how="cut"), 75, says=f"{UNREACHED} .*{LATER}"),
    survived("a reset in mid-part, once of two", put(PART, how="cut", times=1), attempts=2),
    Case("a part with a wrong checksum", put(PART, how="corrupt"), 75, says=CHANGED),
    survived("a part with a wrong checksum, once", put(PART, how="corrupt", times=1)),
    Case(
        "manifest.json changed on the way",
        put(MANIFEST, how="corrupt"),
        75,
        says=CHANGED,
        **ON_MANIFEST,
    ),
    Case("409 to a part", put(PART, **CONFLICT), 75),
    survived("409 to a part, twice", put(PART, **CONFLICT, times=2)),
    survived("409 to _SUCCESS, twice", put(SUCCESS, **CONFLICT, times=2)),
    survived("409 to latest.json, twice", put(LATEST, **CONFLICT, times=2)),
    Case("a part's answer lost", put(PART, how="lost"), 75),
    Case(
        "manifest.json's answer lost", put(MANIFEST, how="lost"), 75, at=MANIFEST, retry="adopted"
    ),
    Case(
        "_SUCCESS's answer lost",
        put(SUCCESS, how="lost"),
        75,
        saw=COMMITTED,
        at=SUCCESS,
        retry="unchanged",
    ),
    Case(
        "latest.json's answer lost",
        put(LATEST, how="lost"),
        75,
        saw=BOTH,
        at=LATEST,
        retry="unchanged",
    ),
    survived("a part's answer lost, once of two", put(PART, how="lost", times=1), attempts=2),
    survived(
        "manifest.json's, once of two", put(MANIFEST, how="lost", times=1), "adopted", attempts=2
    ),
    survived("_SUCCESS's, once of two", put(SUCCESS, how="lost", times=1), "unchanged", attempts=2),
    survived(
        "latest.json's, once of two", put(LATEST, how="lost", times=1), attempts=2, latest="already"
    ),
    Case("no answer to a part", put(PART, how="hang"), 75),
    Case("no answer to _SUCCESS", put(SUCCESS, how="hang"), 75, **ON_SUCCESS),
    survived("no answer to a part, once of two", put(PART, how="hang", times=1), attempts=2),
    Case(
        "an answer that breaks off while latest.json is read",
        Fault("lost", "GET", LATEST, times=1),
        75,
        saw=ALONE,
        at=LATEST,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_request_goes_wrong(
    case: Case, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = make_place(bench, tmp_path, re.sub(r"\W+", "-", case.name))
    if case.fault.how == "hang":
        monkeypatch.setattr("feature_mart.storage.opening._ANSWER_S", 1)
    case.fault.seen = 0
    bench.proxy.faults.append(case.fault)
    said = ""
    with place.watched():
        if isinstance(case.end, str):
            report = place.export(place.store(attempts=case.attempts))
            assert (report.status, report.latest) == (case.end, case.latest)
            said = report.status
        else:
            said = failure_of(place, case.end)
            assert said.startswith(place.store().address())
            assert f"{case.at}: " in said
            assert re.search(case.says.replace("(", r"\("), said), said
    assert case.fault.seen > 0, "it never befell the export"
    place.assert_untouched(is_latest_free=case.saw == BOTH)
    saw = place.saw()
    assert saw == case.saw
    note_fault(place, case.name, saw, said)

    bench.proxy.faults.clear()
    report = place.export()
    assert (report.status, place.saw(is_verified=False)) == (case.retry, BOTH)
    place.assert_untouched(is_latest_free=True)


def failure_of(place: Place, exit_code: int) -> str:
    """Return the message of an export; assert that the export fails with ``exit_code``."""
    with pytest.raises(FeatureMartError) as failed:
        place.export()
    assert failed.value.exit_code == exit_code, str(failed.value)
    return str(failed.value)


@dataclass(frozen=True, slots=True)
class Nowhere:
    """A case in which an export cannot reach a bucket. In `environment`, the value None unsets a variable."""

    name: str
    exit_code: int
    says: str
    bucket: str = BUCKET
    endpoint: str = ""
    environment: Mapping[str, str | None] = field(default_factory=dict)


NOWHERE = [
    Nowhere(
        "a bucket that does not exist",
        1,
        "Create the bucket, or correct the address",
        bucket="no-such-bucket",
    ),
    Nowhere(
        "no credentials",
        1,
        "Give the task a role, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        environment={"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
    ),
    Nowhere(
        "half of the credentials",
        2,
        "AWS_SECRET_ACCESS_KEY",
        environment={"AWS_SECRET_ACCESS_KEY": None},
    ),
    Nowhere(
        "a profile that does not exist", 2, "AWS_PROFILE", environment={"AWS_PROFILE": "nobody"}
    ),
    Nowhere("an endpoint that nobody listens at", 75, "Try again later", endpoint=CLOSED),
    Nowhere("an endpoint that has no address", 75, "Try again later", endpoint=UNKNOWN),
]


@pytest.mark.parametrize("case", NOWHERE, ids=lambda case: case.name)
def test_there_is_no_way_in(case: Nowhere, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = replace(place, bucket=case.bucket)
    with monkeypatch.context() as patch:
        for variable, value in case.environment.items():
            if value is None:
                patch.delenv(variable)
            else:
                patch.setenv(variable, value)
        # Reset boto3's default session, which caches settings of the environment.
        patch.setattr("boto3.DEFAULT_SESSION", None)
        with pytest.raises(FeatureMartError, match=re.escape(case.says)) as failed:
            elsewhere.export(elsewhere.store(endpoint=case.endpoint or place.bench.proxy.endpoint))
    assert failed.value.exit_code == case.exit_code
    place.assert_untouched()
    note_fault(place, case.name, place.saw(), str(failed.value))
