"""Create a boto3 client and send requests to an S3 server, directly or through the proxy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from busy_machine import PATIENCE_S

REGION = "ap-northeast-1"


def client_at(
    endpoint: str, *, attempts: int = 1, timeout_s: float = PATIENCE_S, **config: Any
) -> Any:
    """Return a boto3 client for the URL ``endpoint`` that makes ``attempts`` attempts per request in total."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(
            retries={"total_max_attempts": attempts, "mode": "standard"},
            connect_timeout=PATIENCE_S,
            read_timeout=timeout_s,
            max_pool_connections=32,
            **config,
        ),
    )


def make_bucket(client: Any, bucket: str) -> None:
    client.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": client.meta.region_name}
    )


def body_of(client: Any, bucket: str, key: str) -> bytes:
    body: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def refusal_of(call: Callable[..., Any], **arguments: Any) -> tuple[int, str]:
    """Return the HTTP status and the error code of a call; assert that S3 refuses the call."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    answer = refused.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def s3_sha256(body: bytes) -> str:
    """Return the SHA-256 of ``body`` in S3's encoding, base64."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def start_upload(client: Any, bucket: str, key: str, *parts: bytes) -> dict[str, Any]:
    """Start a multipart upload, send all parts, and return the arguments of the call that completes the upload."""
    at = {"Bucket": bucket, "Key": key}
    at["UploadId"] = client.create_multipart_upload(**at, ChecksumAlgorithm="SHA256")["UploadId"]
    done = []
    for number, part in enumerate(parts, 1):
        checksum = {"ChecksumSHA256": s3_sha256(part)}
        answer = client.upload_part(**at, PartNumber=number, Body=part, **checksum)
        done.append({"PartNumber": number, "ETag": answer["ETag"], **checksum})
    return {**at, "MultipartUpload": {"Parts": done}}
