"""Read the addresses and options of BigQuery and S3 from the environment. Only `settings` calls these functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from feature_mart.core.errors import UsageError

EMBEDDED = "duckdb"
#: Maps each BigQuery target of profiles/profiles.yml to the dataset of its mart, which MART_DATASET overrides.
DATASETS = {
    "bigquery_dev": "feature_mart_dev",
    "bigquery_ci": "feature_mart_ci",
    "bigquery_prod": "feature_mart",
}
TARGETS = (EMBEDDED, *DATASETS)
#: The number of days after which the tables of the target `bigquery_ci` expire.
CI_EXPIRES_DAYS = 7
#: The on-demand price of reading 1 TiB, in US dollars, in most regions in November 2026. The price in asia-northeast1
#: is higher. MART_BQ_PRICE_PER_TIB overrides this price.
PRICE_PER_TIB = 6.25


@dataclass(frozen=True, slots=True)
class BigQueryAddress:
    """The places of the raw warehouse and the mart on BigQuery, and the limits of a command there.

    Attributes:
        project: the Google Cloud project that contains the mart and pays for queries.
        location: the location of all datasets.
        raw: the raw warehouse, as ``project.dataset``.
        dataset: the dataset of the mart, without its project.
        max_bytes: the maximum number of bytes that a query may read. BigQuery refuses a larger query. 0 for no limit.
        timeout_s: the time limit of one query, in seconds.
        retry_s: the total time during which a failed request is retried, in seconds.
        price_per_tib: the price of reading 1 TiB (2**40 bytes).
        expires_days: the age at which tables of the mart's dataset expire; None for never.
        endpoint: an address to use instead of Google's, without credentials; empty for Google's.
        storage_endpoint: an address to use instead of Google's for the Storage Read API, as ``host:port``. A loopback
            address is used without credentials and without encryption. Empty for Google's.
    """

    project: str
    location: str
    raw: str
    dataset: str
    max_bytes: int
    timeout_s: int
    retry_s: int
    price_per_tib: float
    expires_days: int | None
    endpoint: str
    storage_endpoint: str


@dataclass(frozen=True, slots=True)
class S3Options:
    """The options for writing to S3. Credentials are not included, because boto3 reads AWS's own settings.

    Attributes:
        endpoint: the address of an S3-compatible service; empty for Amazon's, or for the one in the AWS config file.
        endpoint_from: the variable that sets the endpoint, for messages.
        region: the value of AWS_REGION, which boto3 does not read; empty to use AWS's other settings.
        profile: the value of AWS_DEFAULT_PROFILE or AWS_PROFILE, for messages; boto3 reads these variables itself.
        encryption: ``AES256`` or ``aws:kms``; empty for the default of the bucket.
        kms_key: the id or ARN of the key to encrypt with; implies ``aws:kms``.
        expected_owner: the account that must own the bucket; empty for any.
        tags: the tags of every object, as ``key=value&key=value``.
        attempts: the maximum number of attempts of one request, including the first.
    """

    endpoint: str = ""
    endpoint_from: str = "MART_S3_ENDPOINT"
    region: str = ""
    profile: str = ""
    encryption: str = ""
    kms_key: str = ""
    expected_owner: str = ""
    tags: str = ""
    attempts: int = 5


def bigquery_address(env: Mapping[str, str], target: str, given: str | None) -> BigQueryAddress:
    """Return the BigQuery settings from the environment; profiles/profiles.yml reads the same variables.

    ``target`` is a target of profiles/profiles.yml on BigQuery. ``given`` is the raw warehouse as ``dataset`` or
    ``project.dataset``; None for the dataset ``dwh`` of the project.

    Raises:
        UsageError: MART_GCP_PROJECT or MART_GCP_LOCATION is not set, or a value is not valid.
    """
    project = env.get("MART_GCP_PROJECT") or ""
    if not project:
        raise UsageError(
            f"The target is {target}, and MART_GCP_PROJECT is not set: name the Google Cloud project that holds "
            "the mart and pays for its queries."
        )
    location = env.get("MART_GCP_LOCATION") or ""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", location):
        said = f"MART_GCP_LOCATION is {location!r}" if location else "MART_GCP_LOCATION is not set"
        raise UsageError(
            f"The target is {target}, and {said}: name the location that holds the datasets, such as asia-northeast1, "
            "US or EU; BigQuery cannot join data of different locations."
        )
    raw = given or "dwh"
    dataset = env.get("MART_DATASET") or DATASETS[target]
    for name, value in (("MART_DWH", raw.rpartition(".")[2]), ("MART_DATASET", dataset)):
        if not re.fullmatch(r"\w{1,1024}", value, re.ASCII):
            raise UsageError(
                f"{name} is {value!r}: on BigQuery, use the name of a dataset (letters, digits and underscores); "
                "MART_DWH may be prefixed with a project, such as my-project.dwh."
            )

    def number(name: str, default: float) -> float:
        text = env.get(name) or ""
        try:
            value = float(text) if text else default
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise UsageError(f"{name} is {text!r}: use a number of at least 0.")
        return value

    storage_endpoint = env.get("MART_BQ_STORAGE_ENDPOINT") or ""
    if storage_endpoint and not re.fullmatch(r"[\w.:\-\[\]]+:\d{1,5}", storage_endpoint, re.ASCII):
        raise UsageError(
            f"MART_BQ_STORAGE_ENDPOINT is {storage_endpoint!r}: use host:port, without https://."
        )
    is_prod = target == "bigquery_prod"
    return BigQueryAddress(
        project=project,
        location=location,
        raw=raw if "." in raw else f"{project}.{raw}",
        dataset=dataset,
        max_bytes=int(number("MART_BQ_MAX_BYTES", 20e12 if is_prod else 200e9)),
        timeout_s=int(number("MART_BQ_TIMEOUT_S", 7200 if is_prod else 1800)),
        retry_s=int(number("MART_BQ_RETRY_S", 120)),
        price_per_tib=number("MART_BQ_PRICE_PER_TIB", PRICE_PER_TIB),
        expires_days=CI_EXPIRES_DAYS if target == "bigquery_ci" else None,
        endpoint=env.get("MART_BQ_API_ENDPOINT") or "",
        storage_endpoint=storage_endpoint,
    )


def s3_options(env: Mapping[str, str]) -> S3Options:
    """Return the S3 options from the environment.

    Raises:
        UsageError: a value is not valid.
    """
    given = {
        name: env.get(f"MART_S3_{name}") or ""
        for name in ("ENCRYPTION", "KMS_KEY", "EXPECTED_OWNER", "TAGS", "ATTEMPTS")
    }
    source, endpoint = _s3_endpoint(env)
    if endpoint and not re.fullmatch(r"https?://\S+", endpoint):
        raise UsageError(f"{source} is {endpoint!r}: use an address such as http://127.0.0.1:9000.")
    wanted = {
        "ENCRYPTION": (r"AES256|aws:kms", "use AES256 or aws:kms"),
        "EXPECTED_OWNER": (r"\d{12}", "use the account's id of 12 digits"),
        "TAGS": (
            r"[^=&\s]+=[^=&]*(&[^=&\s]+=[^=&]*){0,9}",
            "use key=value&key=value, with at most ten keys",
        ),
        "ATTEMPTS": (r"[1-9]\d?", "use a whole number from 1 to 99"),
    }
    for name, (pattern, advice) in wanted.items():
        if given[name] and not re.fullmatch(pattern, given[name]):
            raise UsageError(f"MART_S3_{name} is {given[name]!r}: {advice}.")
    if given["KMS_KEY"] and given["ENCRYPTION"] == "AES256":
        raise UsageError(
            "MART_S3_KMS_KEY is set and MART_S3_ENCRYPTION is AES256: unset one of them."
        )
    return S3Options(
        endpoint=endpoint,
        endpoint_from=source,
        region=env.get("AWS_REGION") or "",
        profile=env.get("AWS_DEFAULT_PROFILE") or env.get("AWS_PROFILE") or "",
        encryption=given["ENCRYPTION"],
        kms_key=given["KMS_KEY"],
        expected_owner=given["EXPECTED_OWNER"],
        tags=given["TAGS"],
        attempts=int(given["ATTEMPTS"] or S3Options().attempts),
    )


def _s3_endpoint(env: Mapping[str, str]) -> tuple[str, str]:
    """Return the name and value of the variable that sets the endpoint.

    MART_S3_ENDPOINT overrides AWS's own variables. The value is empty if no variable is set.
    """
    mine = "MART_S3_ENDPOINT"
    names = [mine]
    if (env.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") or "").lower() != "true":
        names += ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
    return next(((name, env[name]) for name in names if env.get(name)), (mine, ""))
