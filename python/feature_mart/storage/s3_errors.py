"""Translate S3 errors into exceptions that say what to do.

This module alone decides for which errors of S3 a retry may succeed (TransientError), and which errors remain until
somebody changes something (TerminalError).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.exceptions import (
    ConnectionError as NoConnectionError,
)

from feature_mart.core.errors import FeatureMartError, TerminalError, TransientError, UsageError

#: Error codes for a body that changed in transit.
CHANGED_ON_THE_WAY = frozenset(
    {
        *("BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),
        *("InvalidDigest", "IncompleteBody"),
    }
)
#: Error codes for three cases: another writer is writing the key (409), the condition of a write does not hold (412),
#: and the key is missing (404).
CONFLICT = frozenset({"ConditionalRequestConflict", "409"})
PRECONDITION = frozenset({"PreconditionFailed", "412"})
MISSING = frozenset({"NoSuchKey", "NotFound", "404"})

#: Advice for a store without conditional writes.
WITHOUT_CONDITIONS = (
    "Without conditional writes, concurrent writers could overwrite each other's files, so nothing is written to "
    "this store. Write to a folder (--to FOLDER) and copy it to the store, each folder's _SUCCESS after its other "
    "files; or use a store with conditional writes (MART_SNAPSHOTS, MART_S3_ENDPOINT)."
)

_CUT_SHORT = (
    HTTPClientError,
    IncompleteReadError,
    NoConnectionError,
    ResponseStreamingError,
    ChecksumError,
)
#: Matches botocore's messages for permanent connection errors: a wrong certificate, port or proxy.
_NO_WAY = re.compile(
    r"CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|HTTP_REQUEST|Tunnel connection failed: 4\d\d"
)
_LATER = "Try again later; files that were already uploaded are not sent again."
#: Transient HTTP statuses. All others are permanent: 501 and 505 refuse the request itself, 506, 508 and 510 are faults
#: of the service, 507 is a full disk, 511 is a login page. 520 to 524 come from a CDN that does not reach the service.
_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504, 509, *range(520, 525), 529})
_PASSING = frozenset(
    {
        *("SlowDown", "Busy", "RequestTimeout", "OperationAborted", "InternalError"),
        *("ServiceUnavailable", "Throttling", "ThrottlingException", "ThrottledException"),
        *("RequestThrottled", "RequestThrottledException", "TooManyRequestsException"),
        *("RequestLimitExceeded", "BandwidthLimitExceeded", "PriorRequestNotComplete"),
        # The DNS name of a new bucket has not propagated yet.
        *("TemporaryRedirect",),
    }
)
_CREDENTIALS = frozenset(
    {
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
        *("TokenRefreshRequired", "RequestExpired", "ExpiredTokenException"),
    }
)
_REGION = frozenset(
    {
        *("PermanentRedirect", "AuthorizationHeaderMalformed", "InvalidRegion", "301"),
        *("IllegalLocationConstraintException", "InvalidLocationConstraint"),
    }
)
_FULL = frozenset(
    {
        *("QuotaExceeded", "ServiceQuotaExceeded", "InsufficientCapacity", "InsufficientStorage"),
        *("XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"),
    }
)
_NOT_DONE = frozenset(
    {"NotImplemented", "MethodNotAllowed", "UnsupportedOperation", "NotSupported", "501", "405"}
)
#: Matches messages about a header that the service does not support. Services use different codes for this error.
_REFUSES_HEADER = re.compile(
    r"if-(none-)?match|conditional|implies functionality|not (implemented|supported)", re.IGNORECASE
)
#: Error codes that some stores return if they do not support conditional writes, but that also have other causes.
_UNCLEAR = frozenset({"InvalidArgument", "InvalidRequest", "BadRequest", "400"})
#: Operations that can be conditional.
_CONDITIONAL = frozenset({"PutObject", "CompleteMultipartUpload"})


def error_code(error: ClientError) -> str:
    """Return S3's error code, or the HTTP status of a response without a body (to a HEAD request)."""
    return str(error.response.get("Error", {}).get("Code") or _status(error))


@contextmanager
def explained_errors(
    where: str, condition: str = "", through: Callable[[], str] = str
) -> Iterator[None]:
    """Translate errors of botocore into errors that say what to do.

    Args:
        where: the address of the request.
        condition: the header that makes the write conditional; empty for any other request.
        through: function that returns the endpoint and the setting that defines it; an empty string for Amazon's own
            endpoints.

    Raises:
        TransientError: the request may succeed later.
        TerminalError: the request fails until somebody changes something.
        UsageError: the address is invalid.
    """
    try:
        yield
    except ClientError as error:
        raise _explained(error, where, condition, through()) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise TerminalError(
            f"{where}: no credentials for S3 ({error}). Give the task a role, or set AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error
    except CredentialRetrievalError as error:
        # A credential process is a program of the user, and would fail again. A role's credentials come from a service,
        # which may recover.
        if "custom-process" in str(error):
            raise TerminalError(
                f"{where}: no credentials for S3 ({error}). Correct credential_process in AWS's own settings."
            ) from error
        raise TransientError(
            f"{where}: the role's credentials could not be fetched ({error}). Try again later."
        ) from error
    except _CUT_SHORT as error:
        raise cut_short(error, where, through()) from error
    except ParamValidationError as error:
        raise UsageError(
            f"{where}: the request is not valid ({error}). Correct the address: s3://bucket/prefix."
        ) from error
    except RecursionError as error:
        # botocore asks for the bucket's region after each redirect, and the request for the region was redirected too.
        raise TerminalError(
            f"{where}: the S3 endpoint redirects every request{via(through())}. Look for a proxy, or correct "
            "AWS_REGION."
        ) from error
    except BotoCoreError as error:
        raise TerminalError(
            f"{where}: the S3 client failed ({error}). Correct AWS's own settings, or MART_S3_ENDPOINT."
        ) from error


def cut_short(error: Exception, where: str, through: str = "") -> FeatureMartError:
    """Return the error, with advice, for a connection that failed or broke off.

    The error is a TerminalError if the cause is the certificate, the port or a proxy that refuses, because a retry
    would fail in the same way. Otherwise, the error is a TransientError.
    """
    what = f"{where}: S3 could not be reached{via(through)} ({error})"
    # If a proxy refuses the connection, botocore has the reason in `kwargs`, not in the message.
    reason = f"{error} {getattr(error, 'kwargs', {}).get('error', '')}"
    if _NO_WAY.search(reason):
        return TerminalError(
            f"{what}. Correct MART_S3_ENDPOINT (http or https, its port), AWS_CA_BUNDLE, or HTTPS_PROXY and NO_PROXY."
        )
    return TransientError(
        f"{what}. {_LATER} If the error persists, correct the endpoint or the region."
    )


def _explained(error: ClientError, where: str, condition: str, through: str) -> FeatureMartError:
    code, status = error_code(error), _status(error)
    detail = error.response.get("Error", {}).get("Message") or code
    operation = error.operation_name
    what = f"{where}: {operation} failed with {code} ({detail}){via(through)}"
    is_conditional = bool(condition) and operation in _CONDITIONAL
    is_not_done = code in _NOT_DONE or status in {405, 501}
    if is_conditional and (is_not_done or (status == 400 and _REFUSES_HEADER.search(detail))):
        return TerminalError(
            f"{what}. This store does not support conditional writes ({condition}). {WITHOUT_CONDITIONS}"
        )
    if is_not_done:
        return TerminalError(
            f"{what}. This service does not support the operation or its headers: correct MART_S3_ENDPOINT, or unset "
            "the settings that the service does not support (MART_S3_TAGS, MART_S3_ENCRYPTION, MART_S3_KMS_KEY or "
            "MART_S3_EXPECTED_OWNER)."
        )
    if code in _FULL or status == 507:
        return TerminalError(f"{what}. The store or a quota is full: make room there.")
    if code in CHANGED_ON_THE_WAY:
        return TransientError(
            f"{what}: the bytes were changed in transit, and S3 rejected them. Try again; if the error persists, "
            "look for a proxy that changes request bodies."
        )
    if status in _PASSING_STATUS or code in _PASSING | CONFLICT:
        return TransientError(f"{what}. {_LATER}")
    return TerminalError(f"{what}. {_advice(error, code, status)}{_unclear(code, is_conditional)}")


def _advice(error: ClientError, code: str, status: int) -> str:
    operation = error.operation_name
    if code == "NoSuchBucket":
        return "Create the bucket, or correct the address."
    if code == "RequestTimeTooSkewed":
        return "Correct the clock of this machine."
    if code in _CREDENTIALS:
        return "Renew the credentials, or correct the clock of this machine."
    if code in _REGION:
        return "Set AWS_REGION to the bucket's region."
    if 300 <= status < 400:
        return "The endpoint redirects: correct MART_S3_ENDPOINT (http or https) or AWS_REGION."
    if code.startswith("KMS"):
        return "Correct MART_S3_KMS_KEY, or allow the role to use that key."
    if code == "InvalidObjectState":
        return "The object is archived: restore the object, or write the object under another key."
    if operation.startswith(("AssumeRole", "GetRole", "GetFederation", "GetCaller")):
        return (
            "Allow these credentials to assume that role, or correct AWS_PROFILE or AWS_ROLE_ARN."
        )
    if status == 403:
        return (
            f"Allow the role {_PERMISSION.get(operation, 's3:*')} there (with a KMS key also kms:GenerateDataKey and "
            "kms:Decrypt). If MART_S3_EXPECTED_OWNER is set, the bucket may belong to another account."
        )
    if code in {"404", "NotFound"}:
        return (
            "The address does not exist at this endpoint: correct the bucket or MART_S3_ENDPOINT."
        )
    if status == 413 or code == "EntityTooLarge":
        return "Raise the maximum body size of the store, or of a proxy in front of the store."
    return "Correct what the error names, or MART_S3_ENDPOINT; a retry would fail in the same way."


def _unclear(code: str, is_conditional: bool) -> str:
    if not is_conditional or code not in _UNCLEAR:
        return ""
    return f" Perhaps this store does not support conditional writes. {WITHOUT_CONDITIONS}"


def via(through: str) -> str:
    """Return ``" through <endpoint>"`` for a message; an empty string if `through` is empty."""
    return f" through {through}" if through else ""


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)


_PERMISSION = {
    "PutObject": "s3:PutObject (and s3:PutObjectTagging where MART_S3_TAGS is set)",
    "CreateMultipartUpload": "s3:PutObject (and s3:PutObjectTagging where MART_S3_TAGS is set)",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectsV2": "s3:ListBucket",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject and s3:ListBucket",
    "DeleteObject": "s3:DeleteObject",
}
