"""Test S3 error responses to every kind of request: which errors are transient, and which remedies are named.

The proxy answers all requests itself, without an S3 service.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    CredentialRetrievalError,
    EndpointConnectionError,
    ProxyConnectionError,
    SSLError,
)

from feature_mart.core.errors import FeatureMartError, TerminalError
from feature_mart.core.services import S3Options
from feature_mart.storage import Store, open_store
from feature_mart.storage.s3_errors import WITHOUT_CONDITIONS, explained_errors
from s3_proxy import Fault, Proxy, run_proxy

NOBODY = "http://127.0.0.1:9"
LATER, STAYS = 75, 1
NO_CONDITIONS = "This store does not support conditional writes"
MAY_BE = "Perhaps this store does not support conditional writes"
IMPLIES = "A header you provided implies functionality that is not implemented"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Store]]:
    """Yield one proxy and one store for all tests, because opening a client takes a tenth of a second."""
    with run_proxy(NOBODY) as proxy, pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
        patch.setattr("feature_mart.storage.s3._ATTEMPTS", 1)
        options = S3Options(endpoint=proxy.endpoint, attempts=1)
        yield proxy, open_store("s3://bucket/p", options, tmp_path_factory.mktemp("work"))


@pytest.fixture
def proxy(opened: tuple[Proxy, Store]) -> Proxy:
    opened[0].faults.clear()
    opened[0].requests.clear()
    return opened[0]


@pytest.fixture
def store(opened: tuple[Proxy, Store], proxy: Proxy, tmp_path: Path) -> Store:
    (tmp_path / "part").write_bytes(b"rows")
    return opened[1]


def put_file(store: Store, folder: Path) -> object:
    return store.put_file("key", folder / "part", hashlib.sha256(b"rows").hexdigest(), is_new=True)


def download(store: Store, folder: Path) -> object:
    with store.local("key", folder) as path:
        return path


Act = Callable[[Store, Path], object]
READS: dict[str, Act] = {
    "GetObject": lambda store, _: store.read("key"),
    "ListObjectsV2": lambda store, _: store.entries("key"),
    "a listing of folders": lambda store, _: store.folders("key"),
    "a download": download,
    "ListMultipartUploads": lambda store, _: store.drop_uploads("", datetime.now(UTC), bool),
}
WRITES: dict[str, Act] = {
    "PutObject": lambda store, _: store.put("key", b"1"),
    "DeleteObject": lambda store, _: store.delete("key"),
}
CONDITIONAL: dict[str, Act] = {
    "PutObject if absent": lambda store, _: store.put_if_absent("key", b"1"),
    "PutObject of a part": put_file,
    "the first write": lambda store, _: store.require_conditions("key"),
}
ALL: dict[str, Act] = {**READS, **WRITES, **CONDITIONAL}

#: Cases: the HTTP status and S3 error code of a response, the expected exit code, and words of the remedy that the
#: message must name, or "" if no remedy is expected.
ANSWERS: list[tuple[int, str, int, str]] = [
    (500, "InternalError", LATER, ""),
    (500, "NotImplemented", STAYS, ""),
    (502, "BadGateway", LATER, ""),
    (503, "SlowDown", LATER, ""),
    (503, "XMinioServerNotInitialized", LATER, ""),
    (504, "GatewayTimeout", LATER, ""),
    (509, "BandwidthLimitExceeded", LATER, ""),
    (522, "522", LATER, ""),
    (429, "TooManyRequests", LATER, ""),
    (408, "RequestTimeout", LATER, ""),
    (400, "RequestTimeout", LATER, ""),
    (409, "OperationAborted", LATER, ""),
    (307, "TemporaryRedirect", LATER, ""),
    (501, "NotImplemented", STAYS, ""),
    (505, "HTTPVersionNotSupported", STAYS, "a retry would fail in the same way"),
    (506, "VariantAlsoNegotiates", STAYS, "a retry would fail in the same way"),
    (507, "InsufficientStorage", STAYS, "make room there"),
    (507, "XMinioStorageFull", STAYS, "make room there"),
    (511, "NetworkAuthenticationRequired", STAYS, "a retry would fail in the same way"),
    (525, "525", STAYS, "a retry would fail in the same way"),
    (405, "MethodNotAllowed", STAYS, ""),
    (411, "MissingContentLength", STAYS, "a retry would fail in the same way"),
    (413, "EntityTooLarge", STAYS, "Raise the maximum body size"),
    (400, "InvalidArgument", STAYS, ""),
    (400, "MalformedXML", STAYS, "a retry would fail in the same way"),
    (400, "ExpiredToken", STAYS, "Renew the credentials"),
    (403, "RequestTimeTooSkewed", STAYS, "Correct the clock of this machine"),
    (403, "QuotaExceeded", STAYS, "make room there"),
    (403, "AccessDenied", STAYS, "Allow the role"),
    (403, "InvalidObjectState", STAYS, "restore the object, or"),
    (404, "NoSuchBucket", STAYS, "Create the bucket"),
    (301, "PermanentRedirect", STAYS, "Set AWS_REGION"),
    (308, "308", STAYS, "The endpoint redirects"),
    (409, "InvalidBucketState", STAYS, "a retry would fail in the same way"),
]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("status", "code", "end", "says"), ANSWERS, ids=lambda case: str(case))
def test_an_answer_is_for_later_only_where_it_passes(
    status: int, code: str, end: int, says: str, name: str, store: Store, proxy: Proxy, tmp_path: Path
) -> None:  # fmt: skip
    proxy.faults.append(Fault("status", "", "", status=status, code=code))
    with pytest.raises(FeatureMartError) as failed:
        ALL[name](store, tmp_path)
    said = str(failed.value)
    assert failed.value.exit_code == end, said
    assert said.startswith("s3://bucket/p")
    assert says in said
    assert f"through {proxy.endpoint} (MART_S3_ENDPOINT)" in said
    assert ("Try again" in said) == (end == LATER), said


@pytest.mark.parametrize(
    ("status", "end"),
    [
        *((status, LATER) for status in (408, 409, 429, 500, 502, 503, 504)),
        *((status, STAYS) for status in (301, 400, 403, 405, 411, 501, 505, 507)),
    ],
)
def test_an_answer_to_a_head_says_no_more_than_its_status(
    status: int, end: int, store: Store, proxy: Proxy
) -> None:
    proxy.faults.append(Fault("status", "HEAD", "", status=status, code="of no use"))
    with pytest.raises(FeatureMartError, match="HeadObject failed with") as failed:
        store.sha256("key")
    assert failed.value.exit_code == end
    assert ("Try again" in str(failed.value)) == (end == LATER)


REFUSALS = [
    (501, "NotImplemented", IMPLIES, NO_CONDITIONS),
    (501, "XNotImplemented", "no", NO_CONDITIONS),
    (500, "NotImplemented", "no", NO_CONDITIONS),
    (405, "MethodNotAllowed", "The specified method is not allowed", NO_CONDITIONS),
    (400, "NotImplemented", "no", NO_CONDITIONS),
    (400, "InvalidArgument", IMPLIES, NO_CONDITIONS),
    (400, "InvalidRequest", "If-None-Match is unknown", NO_CONDITIONS),
    (400, "BadRequest", "Conditional PUT is not supported", NO_CONDITIONS),
    (400, "InvalidArgument", "Invalid Argument", MAY_BE),
    (400, "InvalidRequest", "bad", MAY_BE),
]


@pytest.mark.parametrize(("status", "code", "message", "says"), REFUSALS)
@pytest.mark.parametrize("act", CONDITIONAL.values(), ids=CONDITIONAL)
def test_a_condition_that_is_refused_says_what_is_lost_and_how_to_go_on(
    status: int, code: str, message: str, says: str, act: Act, store: Store, proxy: Proxy, tmp_path: Path
) -> None:  # fmt: skip
    refusal = Fault("status", "PUT", "", status=status, code=code, message=message)
    proxy.faults.append(refusal)
    with pytest.raises(TerminalError) as failed:
        act(store, tmp_path)
    said = str(failed.value)
    assert says in said
    assert WITHOUT_CONDITIONS in said
    assert "Try again" not in said
    assert len(proxy.requests) == 1, "it is not tried again"


@pytest.mark.parametrize(("status", "code", "message", "_says"), REFUSALS[:3])
def test_a_plain_write_that_is_refused_says_nothing_of_conditions(
    status: int, code: str, message: str, _says: str, store: Store, proxy: Proxy
) -> None:
    proxy.faults.append(Fault("status", "PUT", "", status=status, code=code, message=message))
    with pytest.raises(
        TerminalError, match="This service does not support the operation"
    ) as failed:
        store.put("key", b"1")
    assert "conditional" not in str(failed.value)


@pytest.mark.parametrize("status", [501, 405, 507, 500])
@pytest.mark.parametrize(
    ("method", "on", "says"),
    [
        ("POST", "?uploads", "CreateMultipartUpload failed with"),
        ("PUT", "partNumber", "UploadPart failed with"),
        ("POST", "uploadId", "CompleteMultipartUpload failed with"),
    ],
)
def test_an_upload_in_pieces_that_is_refused(
    status: int, method: str, on: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refuse one request of a multipart upload, with errors as botocore raises them."""
    from botocore.exceptions import ClientError

    from feature_mart.storage.s3 import S3Store

    monkeypatch.setattr("feature_mart.storage.s3._WHOLE_UP_TO", 0)
    monkeypatch.setattr("feature_mart.storage.s3._ATTEMPTS", 1)
    operation = says.split()[0]

    class Client:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            def ask(**_: Any) -> dict[str, Any]:
                if name.replace("_", "") == operation.lower():
                    answer: Any = {
                        "Error": {"Code": "X", "Message": "no"},
                        "ResponseMetadata": {"HTTPStatusCode": status},
                    }
                    raise ClientError(answer, operation)
                return {"UploadId": "1", "ETag": "e"}

            if name == "meta":
                raise AttributeError(name)
            return ask

    (tmp_path / "part").write_bytes(b"rows")
    store = S3Store(Client, "bucket", "p", tmp_path, S3Options())
    with pytest.raises(FeatureMartError, match=says) as failed:
        put_file(store, tmp_path)
    assert failed.value.exit_code == (LATER if status == 500 else STAYS)
    # Only the request that completes an upload has a condition.
    is_refused = status in {501, 405} and operation == "CompleteMultipartUpload"
    assert (NO_CONDITIONS in str(failed.value)) == is_refused


WAYS: list[tuple[Exception, int, str]] = [
    (EndpointConnectionError(endpoint_url=NOBODY), LATER, "could not be reached"),
    (
        SSLError(endpoint_url=NOBODY, error="[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"),
        STAYS,
        "AWS_CA_BUNDLE",
    ),
    (SSLError(endpoint_url=NOBODY, error="[SSL: WRONG_VERSION_NUMBER]"), STAYS, "http or https"),
    (SSLError(endpoint_url=NOBODY, error="EOF occurred"), LATER, "could not be reached"),
    (
        ProxyConnectionError(proxy_url=NOBODY, error="Tunnel connection failed: 407 Who"),
        STAYS,
        "HTTPS_PROXY",
    ),
    (
        ProxyConnectionError(proxy_url=NOBODY, error="Tunnel connection failed: 503 Busy"),
        LATER,
        "could not be reached",
    ),
    (
        CredentialRetrievalError(provider="custom-process", error_msg="no such file"),
        STAYS,
        "credential_process",
    ),
    (CredentialRetrievalError(provider="container-role", error_msg="x"), LATER, "Try again later"),
]


@pytest.mark.parametrize(("error", "end", "says"), WAYS, ids=lambda case: str(case)[:50])
def test_a_way_that_is_closed_is_for_later_only_where_it_opens(
    error: Exception, end: int, says: str
) -> None:
    with (
        pytest.raises(FeatureMartError, match=re.escape(says)) as failed,
        explained_errors("s3://bucket/key"),
    ):
        raise error
    assert failed.value.exit_code == end
    assert ("Try again" in str(failed.value)) == (end == LATER)
