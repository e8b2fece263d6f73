"""Open Google's client with the credentials, labels and limits of an address, and run jobs with bounded retries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from feature_mart.bigquery.errors import explain
from feature_mart.core.services import BigQueryAddress


def open_client(address: BigQueryAddress, labels: Mapping[str, str] | None = None) -> Any:
    """Return a ``google.cloud.bigquery.Client`` whose queries have ``labels`` and the limit `max_bytes` of the address.

    Raises:
        FeatureMartError: there are no valid credentials; the message names what to set.
    """
    # Importing Google's client takes a second, so only the commands that use it import it.
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
    """Return the options of every call: retry transient errors with Google's backoff, for `retry_s` seconds in all.

    A single request is limited to `retry_s` seconds as well, because a call without a limit could wait forever.
    """
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    return {"retry": DEFAULT_RETRY.with_timeout(address.retry_s), "timeout": address.retry_s}


def ask(client: Any, sql: str, address: BigQueryAddress) -> Any:
    """Run a query and return its rows. A failed query is not retried, because the query may have had an effect."""
    return finish(client.query(sql, job_retry=None, **bounds(address)), address)


def finish(job: Any, address: BigQueryAddress) -> Any:
    """Wait for a job for at most `timeout_s` seconds, and return its result, such as the rows of a query."""
    return job.result(retry=bounds(address)["retry"], timeout=address.timeout_s)


@contextmanager
def explained_errors(address: BigQueryAddress) -> Iterator[None]:
    """Turn the exceptions of Google's client into errors that say what to do.

    Raises:
        TransientError: a retry may succeed: quota, overload, a broken connection, a timeout.
        TerminalError: any other error of the client, such as a missing permission, project, table or credential.
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
