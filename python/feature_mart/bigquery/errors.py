"""Translate BigQuery's error texts into errors that say what to do.

dbt passes on the exceptions of Google's client as text only, so the errors of both dbt and the client are recognized by
their text. Reasons such as `bytesBilledLimitExceeded` are from BigQuery's documentation, "Error messages"; numbers are
HTTP status codes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from feature_mart.core.errors import FeatureMartError, TerminalError, TransientError
from feature_mart.core.services import BigQueryAddress

_TRANSIENT = re.compile(
    r"rateLimitExceeded|jobRateLimitExceeded|quotaExceeded|Quota exceeded|Exceeded rate limits|backendError"
    r"|internalError|jobInternalError|tableUnavailable|Too Many Requests|Service Unavailable|Bad Gateway"
    r"|Gateway Time-?out|Internal Server Error|Timeout of [\d.]+s exceeded|TimeoutError|timed out"
    r"|did not complete within|Connection (?:reset|aborted|refused|broken)|RemoteDisconnected|IncompleteRead"
    r"|Max retries exceeded|Remote end closed"
    # From gRPC: an aborted call, a broken stream, and a read session older than six hours.
    r"|\b409 .*aborted|\b499 |RST_STREAM|Stream removed|session expired"
    r"|\b(?:429|500|502|503|504) (?:GET|POST|PUT|PATCH|DELETE)\b|\b(?:429|500|502|503|504) [A-Z]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Known:
    pattern: re.Pattern[str]
    remedy: Callable[[BigQueryAddress], str]


def _known(pattern: str, remedy: Callable[[BigQueryAddress], str]) -> _Known:
    return _Known(re.compile(pattern, re.IGNORECASE), remedy)


#: Patterns of error texts, each with a remedy. The first pattern that matches is used. Without a match, the message has
#: only Google's text.
_KNOWN = (
    _known(
        r"default credentials|could not automatically determine credentials|RefreshError"
        r"|cannot be refreshed|invalid_grant|Reauthentication is needed|unauthori[sz]ed|\b401\b",
        lambda _: (
            "there are no valid Google credentials: run `gcloud auth application-default login`, or set "
            "GOOGLE_APPLICATION_CREDENTIALS to a service account's key file"
        ),
    ),
    _known(
        r"bytesBilledLimitExceeded|limit for bytes billed",
        lambda address: (
            f"a query would read more than MART_BQ_MAX_BYTES ({address.max_bytes:,} bytes): run `mart cost` to see "
            "the bytes by model, or raise MART_BQ_MAX_BYTES"
        ),
    ),
    _known(
        r"Cannot read before|snapshot.?time|time.?travel",
        lambda address: (
            f"BigQuery no longer has {address.project}.{address.dataset} (MART_DATASET) as it was published, because "
            "BigQuery keeps the former states of a table for at most seven days: run `mart build`, then export "
            "again"
        ),
    ),
    _known(
        r"bigquery\.readsessions",
        lambda address: (
            "the permission to read whole tables is missing: grant roles/bigquery.readSessionUser in the project "
            f"{address.project} (MART_GCP_PROJECT), and roles/bigquery.dataViewer on "
            f"{address.project}.{address.dataset} (MART_DATASET)"
        ),
    ),
    _known(
        r"accessDenied|Access Denied|does not have .*permission|\b403\b",
        lambda address: (
            f"a permission is missing: grant roles/bigquery.jobUser in the project {address.project} "
            f"(MART_GCP_PROJECT), roles/bigquery.dataViewer on {address.raw} (MART_DWH) and roles/bigquery.dataEditor "
            f"on {address.project}.{address.dataset} (MART_DATASET)"
        ),
    ),
    _known(
        r"Unknown project|Not found: Project|project .*not (?:found|exist)|Invalid project|has not enabled BigQuery",
        lambda address: (
            f"the project {address.project} does not exist or has BigQuery disabled: set MART_GCP_PROJECT to the id "
            "of a project with BigQuery"
        ),
    ),
    _known(
        r"Not found: (?:Dataset|Table)|not found in location|different locations|\b404\b",
        lambda address: (
            f"a dataset or table does not exist, or is not in the location {address.location} (MART_GCP_LOCATION): "
            f"check the raw tables {address.raw}.* (MART_DWH; `mart sample --to bigquery` writes a sample) and the "
            f"mart's tables {address.project}.{address.dataset}.* (MART_DATASET; `mart build` writes them)"
        ),
    ),
)


def is_transient(text: str) -> bool:
    """Return True if the error with this text is transient, so that a later retry may succeed."""
    return _TRANSIENT.search(text) is not None


def remedy(text: str, address: BigQueryAddress) -> str | None:
    """Return advice on the error with this text; None if no remedy is known."""
    if is_transient(text):
        return "BigQuery is temporarily unavailable: try again later; nothing was written twice"
    return next((known.remedy(address) for known in _KNOWN if known.pattern.search(text)), None)


def explain(text: str, address: BigQueryAddress) -> FeatureMartError:
    """Return a TransientError or TerminalError for an error text, with the remedy and the first line of the text."""
    said = next((line.strip() for line in text.splitlines() if line.strip()), "no reason was given")
    advice = remedy(text, address)
    message = f"{advice[0].upper()}{advice[1:]}. BigQuery: {said[:300]}" if advice else said[:400]
    return TransientError(message) if is_transient(text) else TerminalError(message)
