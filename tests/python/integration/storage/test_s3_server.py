"""Test which behaviour of S3 the tests' server has, and which it lacks.

Tests named `..._is_not_checked` and `..._are_not_given` cover behaviour of S3 that the server lacks. Tests of exports
check such behaviour on the requests recorded by the proxy. If a test with such a name fails, the server has the
behaviour now, and the tests of exports can check the behaviour on the server.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

import s3_client
import s3_server
from compiled_mart import PROJECT
from s3_client import client_at, make_bucket, refusal_of, s3_sha256, start_upload
from s3_server import run_s3

BUCKET = "snapshots"
PART = bytes(range(256)) * 4096 * 5
KMS_KEY = {
    "ServerSideEncryption": "aws:kms",
    "SSEKMSKeyId": "arn:aws:kms:ap-northeast-1:111122223333:key/mart",
}
PRECONDITION = (412, "PreconditionFailed")
BAD_DIGEST = (400, "BadDigest")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Yield a client of an S3 server with one bucket, in which each test uses its own keys."""
    with run_s3() as s3:
        client = client_at(s3.endpoint)
        make_bucket(client, BUCKET)
        yield client


def at(key: str, **others: Any) -> dict[str, Any]:
    return {"Bucket": BUCKET, "Key": key, **others}


def body_of(client: Any, key: str) -> bytes:
    return s3_client.body_of(client, BUCKET, key)


def test_a_key_is_written_once_if_it_must_not_be_there(client: Any) -> None:
    put = at("once", IfNoneMatch="*")
    client.put_object(**put, Body=b"1")
    assert refusal_of(client.put_object, **put, Body=b"2") == PRECONDITION
    assert body_of(client, "once") == b"1"


def test_a_key_is_swapped_only_by_who_knows_its_etag(client: Any) -> None:
    etag = client.put_object(**at("latest"), Body=b"1")["ETag"]
    wrong = at("latest", IfMatch='"0"')
    assert refusal_of(client.put_object, **wrong, Body=b"2") == PRECONDITION
    put = at("latest", IfMatch=etag)
    client.put_object(**put, Body=b"3")
    assert refusal_of(client.put_object, **put, Body=b"4") == PRECONDITION
    assert body_of(client, "latest") == b"3"
    absent = at("absent", IfMatch=etag)
    assert refusal_of(client.put_object, **absent, Body=b"1") == (404, "NoSuchKey")


@pytest.mark.parametrize("is_swap", [False, True])
def test_of_twenty_conditional_puts_at_once_one_wins(client: Any, is_swap: bool) -> None:
    put = at(f"race-{is_swap}", IfNoneMatch="*")
    if is_swap:
        put = at(put["Key"], IfMatch=client.put_object(**at(put["Key"]), Body=b"0")["ETag"])

    def outcome(number: int) -> str:
        try:
            client.put_object(**put, Body=f"writer {number}".encode())
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return f"writer {number}"

    with ThreadPoolExecutor(20) as pool:
        outcomes = sorted(pool.map(outcome, range(20)))
    assert outcomes[:-1] == ["PreconditionFailed"] * 19
    assert body_of(client, put["Key"]) == outcomes[-1].encode()


def test_another_body_than_told_is_refused(client: Any) -> None:
    put = at("spoilt", ChecksumSHA256=s3_sha256(b"what was meant"))
    assert refusal_of(client.put_object, **put, Body=b"what came") == BAD_DIGEST
    assert refusal_of(client.head_object, **at("spoilt")) == (404, "404")


def test_head_gives_back_the_checksum_of_a_put(client: Any) -> None:
    put = client.put_object(**at("sum"), Body=b"rows", ChecksumSHA256=s3_sha256(b"rows"))
    head = client.head_object(**at("sum"), ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == s3_sha256(b"rows") and head["ChecksumType"] == "FULL_OBJECT"
    assert "ChecksumSHA256" not in client.head_object(**at("sum"))
    # S3 returns the checksum in the response to the put too, but the server does not.
    assert "ChecksumSHA256" not in put


def test_parts_have_a_checksum_of_checksums(client: Any) -> None:
    done = client.complete_multipart_upload(
        **start_upload(client, BUCKET, "parts", PART, b"the rest")
    )
    digests = hashlib.sha256(PART).digest() + hashlib.sha256(b"the rest").digest()
    head = client.head_object(**at("parts"), ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == done["ChecksumSHA256"] == f"{s3_sha256(digests)}-2"
    assert head["ChecksumType"] == "COMPOSITE" and head["ETag"].endswith('-2"')
    assert body_of(client, "parts") == PART + b"the rest"


def test_a_part_or_a_whole_with_another_checksum_is_refused(client: Any) -> None:
    upload = start_upload(client, BUCKET, "bad parts", b"1")
    wrong = {"ChecksumSHA256": s3_sha256(b"what was meant")}
    part = at("bad parts", UploadId=upload["UploadId"], PartNumber=2, Body=b"2")
    assert refusal_of(client.upload_part, **part, **wrong) == BAD_DIGEST
    assert refusal_of(client.complete_multipart_upload, **upload, **wrong) == BAD_DIGEST


def test_parts_are_completed_once_if_the_key_must_not_be_there(client: Any) -> None:
    first, second = (start_upload(client, BUCKET, "parts once", body) for body in (b"1", b"2"))
    client.complete_multipart_upload(**first, IfNoneMatch="*")
    late = refusal_of(client.complete_multipart_upload, **second, IfNoneMatch="*")
    assert late == PRECONDITION and body_of(client, "parts once") == b"1"


def test_a_completed_upload_may_be_completed_again(client: Any) -> None:
    """Complete an upload twice: a repeat after a lost response succeeds, even on condition that the key is absent."""
    upload = start_upload(client, BUCKET, "parts again", b"1")
    first = client.complete_multipart_upload(**upload, IfNoneMatch="*")
    again = client.complete_multipart_upload(**upload, IfNoneMatch="*")
    assert first["ETag"] == again["ETag"]


def test_uploads_under_way_are_listed_until_aborted(client: Any) -> None:
    upload = start_upload(client, BUCKET, "left/over", b"1")
    listing = {"Bucket": BUCKET, "Prefix": "left/"}
    (listed,) = client.list_multipart_uploads(**listing)["Uploads"]
    assert (listed["Key"], listed["UploadId"]) == ("left/over", upload["UploadId"])
    which = at("left/over", UploadId=upload["UploadId"])
    assert client.list_parts(**which)["Parts"][0]["ChecksumSHA256"] == s3_sha256(b"1")
    client.abort_multipart_upload(**which)
    assert "Uploads" not in client.list_multipart_uploads(**listing)
    assert refusal_of(client.complete_multipart_upload, **upload) == (404, "NoSuchUpload")
    assert refusal_of(client.abort_multipart_upload, **which) == (404, "NoSuchUpload")


def test_a_list_goes_on_where_it_stopped(client: Any) -> None:
    for key in ("list/0", "list/1", "list/2", "list/3", "list/4", "list0"):
        client.put_object(**at(key), Body=b"")
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 2}
    )
    keys = [[each["Key"] for each in page["Contents"]] for page in pages]
    assert keys == [["list/0", "list/1"], ["list/2", "list/3"], ["list/4"]]


def test_tags_type_and_encryption_are_read_back(client: Any) -> None:
    client.put_object(
        **at("tagged"),
        **KMS_KEY,
        Body=b"{}",
        ContentType="application/json",
        Tagging="state=pending&owner=pricing",
    )
    tags = client.get_object_tagging(**at("tagged"))["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"state": "pending", "owner": "pricing"}
    head = client.head_object(**at("tagged"))
    assert {**KMS_KEY, "ContentType": "application/json"}.items() <= head.items()


def test_encryption_by_a_key_without_a_name_is_refused(client: Any) -> None:
    """Request KMS encryption without a key id. The server refuses the request; S3 would use the AWS managed key."""
    put = at("kms", ServerSideEncryption="aws:kms")
    assert refusal_of(client.put_object, **put, Body=b"") == (400, "InvalidArgument")


def test_a_bucket_key_and_default_encryption_are_not_given(client: Any) -> None:
    """Read the bucket key setting and the default encryption. S3 would return both, the server returns neither."""
    client.put_object(**at("bucket key"), **KMS_KEY, Body=b"", BucketKeyEnabled=True)
    assert "BucketKeyEnabled" not in client.head_object(**at("bucket key"))
    client.put_object(**at("plain"), Body=b"")
    assert "ServerSideEncryption" not in client.head_object(**at("plain"))


def test_the_owner_of_a_bucket_is_not_checked(client: Any) -> None:
    """Send a wrong expected bucket owner. The server ignores the header; S3 would respond with 403."""
    wrong = at("owned", ExpectedBucketOwner="999999999999")
    client.put_object(**wrong, Body=b"")
    client.head_object(**wrong)


def test_the_size_of_parts_is_not_checked(client: Any) -> None:
    """Send a small first part. The server accepts the part; S3 requires 5 MiB except for the last (EntityTooSmall)."""
    client.complete_multipart_upload(**start_upload(client, BUCKET, "small parts", b"1", b"2"))
    assert body_of(client, "small parts") == b"12"


def test_it_says_what_to_do_where_its_environment_is_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(s3_server, "_PYTHON", tmp_path / "bin" / "python")
    with pytest.raises(RuntimeError, match="make venv-aws"), run_s3():
        pass


def test_it_does_not_outlive_who_began_it(tmp_path: Path) -> None:
    code = """
import os, s3_server, sys
with s3_server.run_s3() as s3:
    print(s3.endpoint, flush=True)
    sys.stdin.read()
    os._exit(1)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT / "tests" / "support"),
            "TMPDIR": str(tmp_path),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin is not None and parent.stdout is not None
    port = urlsplit(parent.stdout.readline().strip()).port
    with socket.create_connection(("127.0.0.1", port)) as open_connection:
        parent.communicate()
        # An empty read means that the server has ended and the connection is closed.
        assert open_connection.recv(1) == b""
