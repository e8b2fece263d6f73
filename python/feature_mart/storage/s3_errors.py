"""What S3 said, as what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
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

from feature_mart.errors import FeatureMartError, TerminalError, TransientError, UsageError

#: The bytes that arrived are not those that were sent.
CHANGED_ON_THE_WAY = frozenset(
    {
        *("BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),
        *("InvalidDigest", "IncompleteBody"),
    }
)
#: Somebody else writes that key at this moment (S3 answers 409 then), or has written it (412).
CONFLICT = frozenset({"ConditionalRequestConflict", "409"})
PRECONDITION = frozenset({"PreconditionFailed", "412"})
MISSING = frozenset({"NoSuchKey", "NotFound", "404"})

_CUT_SHORT = (
    HTTPClientError,
    IncompleteReadError,
    NoConnectionError,
    ResponseStreamingError,
    IncompleteReadError,
    ChecksumError,
)
_LATER = "Try again later; what is in its place by then is not sent again."
_BUSY = frozenset(
    {"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "OperationAborted"}
)
_CREDENTIALS = frozenset(
    {
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
        *("TokenRefreshRequired", "RequestExpired", "RequestTimeTooSkewed"),
    }
)
_REGION = frozenset(
    {
        *(
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
        ),
        *("301", "InvalidRegion"),
    }
)


def error_code(error: ClientError) -> str:
    """S3's word for what went wrong; of an answer without a body (to a HEAD), its status."""
    return str(error.response.get("Error", {}).get("Code") or _status(error))


@contextmanager
def explained_errors(where: str) -> Iterator[None]:
    """Turn what botocore raises into what a person can do.

    Raises:
        TransientError: it may work later.
        TerminalError: it will not work until somebody changes something.
    """
    try:
        yield
    except ClientError as error:
        raise _explained(error, where) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise TerminalError(
            f"{where}: no credentials for S3 ({error}). Give the task a role, or set AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error
    except CredentialRetrievalError as error:
        raise TransientError(
            f"{where}: the role's credentials could not be had ({error}). Try again later."
        ) from error
    except _CUT_SHORT as error:
        raise cut_short(error, where) from error
    except ParamValidationError as error:
        raise UsageError(
            f"{where}: S3 cannot be asked so ({error}). Correct the address: s3://bucket/prefix."
        ) from error
    except BotoCoreError as error:
        raise TerminalError(
            f"{where}: S3 cannot be asked ({error}). Correct AWS's own settings, or MART_S3_ENDPOINT."
        ) from error


def cut_short(error: Exception, where: str) -> TransientError:
    """The way to S3 broke, before or within an answer."""
    return TransientError(f"{where}: S3 could not be reached ({error}). {_LATER}")


def _explained(error: ClientError, where: str) -> FeatureMartError:
    code, status = error_code(error), _status(error)
    detail = error.response.get("Error", {}).get("Message") or code
    what = f"{where}: {error.operation_name} failed with {code} ({detail})"
    if status >= 500 or status == 429 or code in _BUSY | CONFLICT:
        return TransientError(f"{what}. {_LATER}")
    if code in CHANGED_ON_THE_WAY:
        return TransientError(
            f"{what}: the bytes changed on the way, and S3 did not take them. Try again; if it stays, look for a "
            "proxy that changes bodies."
        )
    if code == "NoSuchBucket":
        return TerminalError(f"{what}. Create the bucket, or correct the address.")
    if code in _CREDENTIALS:
        return TerminalError(
            f"{what}. Renew the credentials, or correct the clock of this machine."
        )
    if code in _REGION:
        return TerminalError(f"{what}. Set AWS_REGION to the bucket's region.")
    if code.startswith("KMS"):
        return TerminalError(f"{what}. Correct MART_S3_KMS_KEY, or let the role use that key.")
    if status == 403:
        return TerminalError(
            f"{what}. Let the role do {_PERMISSION.get(error.operation_name, 's3:*')} there (with a KMS key also "
            "kms:GenerateDataKey and kms:Decrypt); where MART_S3_EXPECTED_OWNER is set, the bucket may be another's."
        )
    return TerminalError(f"{what}.")


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
