"""Test that S3 errors become messages with a remedy, and test the store on moto's S3 mock in this process."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import boto3
import pytest
from boto3.exceptions import RetriesExceededError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from moto import mock_aws

from feature_mart.core.errors import FeatureMartError, TerminalError, TransientError, UsageError
from feature_mart.core.services import S3Options
from feature_mart.storage import open_store
from feature_mart.storage.opening import open_s3_client
from feature_mart.storage.s3 import S3Store
from feature_mart.storage.s3_errors import explained_errors

URL = "http://127.0.0.1:1"


def answer(status: int, code: str, operation: str = "PutObject") -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "as it said"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


CASES: list[tuple[Exception, type[FeatureMartError], str]] = [
    (answer(500, "InternalError"), TransientError, "Try again later"),
    (answer(503, "SlowDown"), TransientError, "Try again later"),
    (answer(429, "TooManyRequests"), TransientError, "Try again later"),
    (answer(400, "RequestTimeout"), TransientError, "Try again later"),
    (answer(409, "ConditionalRequestConflict"), TransientError, "Try again later"),
    (answer(400, "BadDigest"), TransientError, "the bytes were changed in transit"),
    (answer(404, "NoSuchBucket"), TerminalError, "Create the bucket"),
    (answer(403, "AccessDenied"), TerminalError, "s3:PutObject .*MART_S3_EXPECTED_OWNER"),
    (answer(403, "403", "HeadObject"), TerminalError, "s3:GetObject and s3:ListBucket"),
    (answer(403, "ExpiredToken"), TerminalError, "Renew the credentials"),
    (answer(301, "PermanentRedirect"), TerminalError, "Set AWS_REGION"),
    (answer(400, "KMS.NotFoundException"), TerminalError, "MART_S3_KMS_KEY"),
    (answer(400, "InvalidRequest"), TerminalError, "InvalidRequest"),
    (NoCredentialsError(), TerminalError, "no credentials for S3"),
    (EndpointConnectionError(endpoint_url=URL), TransientError, "could not be reached"),
    (ReadTimeoutError(endpoint_url=URL), TransientError, "could not be reached"),
    (CredentialRetrievalError(provider="task", error_msg="x"), TransientError, "Try again later"),
    (ParamValidationError(report="x"), UsageError, "Correct the address"),
    (BotoCoreError(), TerminalError, "Correct AWS's own settings"),
]


@pytest.mark.parametrize(("error", "kind", "said"), CASES, ids=lambda case: str(case)[:60])
def test_what_s3_says_becomes_what_to_do(
    error: Exception, kind: type[FeatureMartError], said: str
) -> None:
    with (
        pytest.raises(kind, match=rf"(?s)^s3://bucket/key: .*{said}") as caught,
        explained_errors("s3://bucket/key"),
    ):
        raise error
    assert caught.value.exit_code == {TransientError: 75, TerminalError: 1, UsageError: 2}[kind]


def test_a_store_on_amazons_own_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    local = tmp_path / "part"
    local.write_bytes(b"rows")
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="bucket")
        store = open_store("s3://bucket/a/b/", S3Options(tags="team=ml"), tmp_path)
        assert store.address() == "s3://bucket/a/b"
        assert store.put_file("c/x", local, hashlib.sha256(b"rows").hexdigest())
        assert not store.put_file("c/x", local, hashlib.sha256(b"rows").hexdigest())
        assert [entry.key for entry in store.entries("c")] == ["c/x"]
        tags = boto3.client("s3").get_object_tagging(Bucket="bucket", Key="a/b/c/x")["TagSet"]
        assert tags == [{"Key": "team", "Value": "ml"}]
        missing = open_store("s3://nobody/x", S3Options(), tmp_path)
        with pytest.raises(TerminalError, match="Create the bucket, or correct the address"):
            missing.entries("c")
        with pytest.raises(TerminalError, match="Create the bucket"):
            missing.put("c", b"1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"AWS_PROFILE": "nobody"},
        {"AWS_ACCESS_KEY_ID": "half"},
        {"AWS_CONFIG_FILE": "broken"},
        {"AWS_DEFAULT_REGION": "!!"},
    ],
)
def test_settings_of_aws_that_cannot_be_meant_are_refused(
    wrong: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    # boto3 caches settings in its default session, so discard the session.
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    Path("broken").write_text("no settings")
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        UsageError, match=r"The S3 client could not be created .*: correct AWS_PROFILE, AWS_REGION"
    ):
        open_store("s3://bucket/x", S3Options(), tmp_path).read("key")


def test_several_threads_open_one_connection(tmp_path: Path) -> None:
    opened: list[int] = []
    gate, second = Barrier(8), Barrier(2)

    class Empty:
        def delete_object(self, **_: object) -> None:
            pass

    def connect() -> Empty:
        opened.append(1)
        # If a second thread also connects, both continue at once; otherwise the wait of the first times out.
        with suppress(BrokenBarrierError):
            second.wait(0.2)
        return Empty()

    store = S3Store(connect, "bucket", "x", tmp_path, S3Options())

    def ask(number: int) -> None:
        gate.wait()
        store.delete(f"k{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert opened == [1]


def test_a_download_that_is_cut_again_and_again_is_for_later(tmp_path: Path) -> None:
    class Cut:
        def download_file(self, *_: object, **__: object) -> None:
            raise RetriesExceededError(OSError("reset"))

    store = S3Store(Cut, "bucket", "x", tmp_path, S3Options())
    with (
        pytest.raises(TransientError, match=r"^s3://bucket/x/key: S3 could not be reached"),
        store.local("key", tmp_path),
    ):
        raise AssertionError("nothing came")


def test_the_region_is_that_of_aws_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert open_s3_client(S3Options(region="eu-west-1")).meta.region_name == "eu-west-1"
    assert open_s3_client(S3Options()).meta.region_name == "us-east-1"


@pytest.mark.parametrize(
    "address", ["s3:/bucket/x", "arn:aws:s3:::bucket", "S3://bucket", "file:x"]
)
def test_a_mistyped_address_does_not_become_a_folder(address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="use a folder, or s3://bucket/prefix"):
        open_store(address, S3Options(), tmp_path)
