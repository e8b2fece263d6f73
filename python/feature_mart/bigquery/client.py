"""Google's client for one address: credentials, labels, limits, and retries that end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from feature_mart.bigquery.errors import explain
from feature_mart.services import BigQueryAddress


def open_client(address: BigQueryAddress, labels: Mapping[str, str] | None = None) -> Any:
    """A ``google.cloud.bigquery.Client`` whose queries stay below `max_bytes` and carry the labels.

    Raises:
        FeatureMartError: there are no credentials, naming what to set.
    """
    # Google's client takes a second to import: only those commands pay for it that use it.
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    with explained_errors(address):
        return bigquery.Client(
            project=address.project,
            location=address.location,
            credentials=AnonymousCredentials() if address.endpoint else None,
            client_options=ClientOptions(api_endpoint=address.endpoint)
            if address.endpoint
            else None,
            default_query_job_config=bigquery.QueryJobConfig(
                labels=dict(labels or {}), maximum_bytes_billed=address.max_bytes or None
            ),
        )


def bounds(address: BigQueryAddress) -> dict[str, Any]:
    """Options of every call: what may be tried again is, with Google's backoff, for `retry_s` seconds in all.

    One answer may take `retry_s` seconds too, or one that never comes would be waited for for ever.
    """
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    return {"retry": DEFAULT_RETRY.with_timeout(address.retry_s), "timeout": address.retry_s}


def ask(client: Any, sql: str, address: BigQueryAddress) -> Any:
    """The rows of a query. One that failed is not run again: what it did is not known."""
    return finish(client.query(sql, job_retry=None, **bounds(address)), address)


def finish(job: Any, address: BigQueryAddress) -> Any:
    """A job's result, waited for `timeout_s` seconds at most; of a query its rows."""
    return job.result(retry=bounds(address)["retry"], timeout=address.timeout_s)


@contextmanager
def explained_errors(address: BigQueryAddress) -> Iterator[None]:
    """Turn what Google's client raises into an error that says what to do.

    Raises:
        TransientError: it may pass: quota, overload, a broken connection, a time-out.
        TerminalError: it will not: a permission, a project, a table or credentials that are not there.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except (
        GoogleAPIError,
        GoogleAuthError,
        RequestException,
        ConnectionError,
        TimeoutError,
    ) as error:
        raise explain(str(error) or type(error).__name__, address) from error
