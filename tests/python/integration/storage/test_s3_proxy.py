"""Test that the proxy in front of the tests' S3 server injects faults as documented and records the requests."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    ReadTimeoutError,
    ResponseStreamingError,
)

import s3_client
from s3_client import client_at, make_bucket, refusal_of, s3_sha256, start_upload
from s3_proxy import Fault, Proxy, run_proxy
from s3_server import S3Server, run_s3

BUCKET = "snapshots"
PART = bytes(range(256)) * 4096 * 5


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """Yield an S3 server with one bucket, in which each test uses its own keys."""
    with run_s3() as running:
        make_bucket(client_at(running.endpoint), BUCKET)
        yield running


@pytest.fixture
def client(s3: S3Server) -> Any:
    """Return a client that does not use the proxy."""
    return client_at(s3.endpoint)


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[Proxy]:
    with run_proxy(s3.endpoint) as running:
        yield running


@pytest.fixture
def through(proxy: Proxy) -> Any:
    """Return a client that uses the proxy and does not retry."""
    return client_at(proxy.endpoint)


def at(key: str, **others: Any) -> dict[str, Any]:
    return {"Bucket": BUCKET, "Key": key, **others}


def body_of(client: Any, key: str) -> bytes:
    return s3_client.body_of(client, BUCKET, key)


def is_absent(client: Any, key: str) -> bool:
    return refusal_of(client.head_object, **at(key)) == (404, "404")


def test_what_was_asked_is_kept(proxy: Proxy, through: Any) -> None:
    through.put_object(
        **at("kept/part 1"),
        Body=PART,
        ChecksumSHA256=s3_sha256(PART),
        IfNoneMatch="*",
        ExpectedBucketOwner="111122223333",
        Tagging="a=b",
    )
    through.list_objects_v2(Bucket=BUCKET, Prefix="kept/")
    put, listed = proxy.requests
    assert proxy.asked("PUT", "/kept/") == [put]
    assert (put.path, put.length, put.status) == (f"/{BUCKET}/kept/part 1", len(PART), 200)
    expected = {
        "if-none-match": "*",
        "x-amz-checksum-sha256": s3_sha256(PART),
        "x-amz-expected-bucket-owner": "111122223333",
        "x-amz-tagging": "a=b",
    }
    assert expected.items() <= put.headers.items()
    assert (listed.method, listed.query["prefix"], listed.length) == ("GET", "kept/", 0)


def test_a_body_in_chunks_goes_through(proxy: Proxy, client: Any) -> None:
    """Send a body in chunks, as boto3 does if the checksum is sent after the body."""
    body = b"rows in chunks"
    frame = b"%x\r\n%s\r\n0\r\nx-amz-checksum-sha256:%s\r\n\r\n"
    there = http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc)
    try:
        there.request(
            "PUT",
            f"/{BUCKET}/chunks",
            iter([frame % (len(body), body, s3_sha256(body).encode())]),
            {
                "Content-Encoding": "aws-chunked",
                "Transfer-Encoding": "chunked",
                "X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                "X-Amz-Decoded-Content-Length": str(len(body)),
                "X-Amz-Trailer": "x-amz-checksum-sha256",
            },
            encode_chunked=True,
        )
        assert there.getresponse().status == 200
    finally:
        there.close()
    head = client.head_object(**at("chunks"), ChecksumMode="ENABLED")
    assert (head["ContentLength"], head["ChecksumSHA256"]) == (len(body), s3_sha256(body))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "AccessDenied"),
        (409, "ConditionalRequestConflict"),
        (500, "InternalError"),
        (503, "SlowDown"),
    ],
)
def test_a_refusal_reads_as_s3_s(
    proxy: Proxy, through: Any, client: Any, status: int, code: str
) -> None:
    key = f"refused-{status}"
    proxy.faults.append(Fault("status", "PUT", key, status=status, code=code))
    assert refusal_of(through.put_object, **at(key), Body=PART) == (status, code)
    assert is_absent(client, key)
    assert [(put.fault, put.status) for put in proxy.requests] == [("status", status)]
    # The fault affects no other method and no other key.
    assert is_absent(through, key)
    through.put_object(**at(f"other-{status}"), Body=b"")


def test_some_are_spared_and_the_rest_let_go(proxy: Proxy) -> None:
    proxy.faults.append(Fault("status", "PUT", "counted", spared=1, times=2, status=503))
    start_upload(client_at(proxy.endpoint, attempts=3), BUCKET, "counted", b"1", b"2", b"3")
    puts = [(put.query["partNumber"], put.status) for put in proxy.asked("PUT")]
    assert puts == [("1", 200), ("2", 503), ("2", 503), ("2", 200), ("3", 200)]


def test_a_part_is_met_by_its_number(proxy: Proxy, through: Any) -> None:
    proxy.faults.append(Fault("status", "PUT", "partNumber=2", status=403, code="AccessDenied"))
    with pytest.raises(ClientError, match="AccessDenied"):
        start_upload(through, BUCKET, "numbered", b"1", b"2")
    assert [put.status for put in proxy.asked("PUT")] == [200, 403]


def test_an_error_may_come_with_status_200(proxy: Proxy, through: Any) -> None:
    """Return an error with status 200, as S3 may during a completion. boto3 treats the error as status 500."""
    upload = start_upload(through, BUCKET, "late error", b"1")
    proxy.faults.append(Fault("status", "POST", "uploadId=", status=200))
    refused = refusal_of(through.complete_multipart_upload, **upload)
    assert refused == (500, "InternalError")


def test_a_cut_request_does_not_arrive(proxy: Proxy, through: Any, client: Any) -> None:
    proxy.faults.append(Fault("cut", "PUT", "cut"))
    with pytest.raises(HTTPClientError):
        through.put_object(**at("cut"), Body=PART)
    assert is_absent(client, "cut")
    assert proxy.requests[0].length == len(PART) // 2


def test_a_lost_answer_s_request_was_carried_out(proxy: Proxy, through: Any, client: Any) -> None:
    proxy.faults.append(Fault("lost", "PUT", "lost"))
    with pytest.raises(ConnectionClosedError):
        through.put_object(**at("lost"), Body=PART)
    assert body_of(client, "lost") == PART


def test_a_repeat_after_a_lost_answer_meets_its_own_object(proxy: Proxy) -> None:
    proxy.faults.append(Fault("lost", "PUT", "mine", times=1))
    repeating = client_at(proxy.endpoint, attempts=2)
    refused = refusal_of(repeating.put_object, **at("mine"), Body=b"1", IfNoneMatch="*")
    assert refused == (412, "PreconditionFailed")


def test_a_lost_answer_breaks_off_in_its_middle(proxy: Proxy, through: Any) -> None:
    through.put_object(**at("half"), Body=PART)
    proxy.faults.append(Fault("lost", "GET", "half"))
    answer = through.get_object(**at("half"))
    with pytest.raises(ResponseStreamingError):
        answer["Body"].read()


def test_a_hanging_request_has_no_answer(proxy: Proxy, client: Any) -> None:
    proxy.faults.append(Fault("hang", "PUT", "hang"))
    with pytest.raises(ReadTimeoutError):
        client_at(proxy.endpoint, timeout_s=0.5).put_object(**at("hang"), Body=PART)
    assert is_absent(client, "hang")


def test_a_corrupted_body_is_seen_by_its_checksum(proxy: Proxy, through: Any, client: Any) -> None:
    proxy.faults.append(Fault("corrupt", "PUT", "corrupt"))
    put = at("corrupt", ChecksumSHA256=s3_sha256(PART))
    assert refusal_of(through.put_object, **put, Body=PART) == (400, "BadDigest")
    assert is_absent(client, "corrupt")


def test_a_corrupted_body_without_a_checksum_is_not_checked(proxy: Proxy, client: Any) -> None:
    """Forward a corrupted body. S3 would refuse the body (XAmzContentSHA256Mismatch), whose hash is signed."""
    proxy.faults.append(Fault("corrupt", "PUT", "unseen"))
    unsure = client_at(proxy.endpoint, request_checksum_calculation="when_required")
    unsure.put_object(**at("unseen"), Body=b"rows")
    assert body_of(client, "unseen") == b"rovs"
