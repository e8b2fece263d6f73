"""Open a store by its address."""

from __future__ import annotations

import os
import re
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlparse

from feature_mart.core.errors import UsageError
from feature_mart.core.services import S3Options
from feature_mart.storage.folder import FolderStore
from feature_mart.storage.store import Store

#: Prefixes of mistyped addresses, such as ``s3:bucket``, which would otherwise be taken for folder names.
_MISTYPED = re.compile(r"(s3|gs|arn|file|https?):", re.IGNORECASE)
#: Matches the host names of Amazon's own endpoints.
_AMAZON = re.compile(r"(^|\.)(amazonaws\.(com(\.cn)?|eu)|api\.aws|c2s\.ic\.gov|sc2s\.sgov\.gov)$")
#: Environment variables that name a file of trusted certificates, in botocore's order of precedence.
_CERTIFICATES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_CONNECT_S = 10
_ANSWER_S = 60


def open_store(root: str, options: S3Options, scratch: Path) -> Store:
    """Return the store at a folder, a ``file://`` or an ``s3://bucket/prefix`` address.

    Args:
        scratch: the local folder below which files are kept until they are uploaded to S3.

    Raises:
        UsageError: the address is empty, of another kind, has no bucket, or names the home folder of an unknown user.
    """
    if root.startswith("file://"):
        root = unquote(urlparse(root).path)
    if not root.strip():
        raise UsageError("The address is empty: use a folder, or s3://bucket/prefix.")
    if "://" not in root and not _MISTYPED.match(root):
        try:
            return FolderStore(Path(root).expanduser())
        except RuntimeError:
            raise UsageError(
                f"{root} is the home folder of an unknown user: use an existing folder."
            ) from None
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    if not root.startswith("s3://") or not bucket:
        raise UsageError(
            f"{root} is not a folder or an S3 address: use a folder, or s3://bucket/prefix."
        )
    # Import boto3 here and open the client at the first request, because the import takes 0.2 s and a folder needs no
    # boto3.
    from feature_mart.storage.s3 import S3Store

    return S3Store(partial(open_s3_client, options), bucket, prefix, scratch, options)


def open_s3_client(options: S3Options) -> Any:
    """Return a boto3 client; credentials and region come from the AWS environment variables and config files.

    Settings that change how a request works (checksums, retries, timeouts, validation of parameters, bucket addressing)
    are fixed here, so environment variables and configuration files cannot change them.

    Raises:
        UsageError: AWS's settings or the endpoint are invalid.
    """
    import boto3
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    try:
        # Create a new session, because the default session is shared between threads.
        core = botocore.session.get_session()
        endpoint = options.endpoint or _configured_endpoint(core)
        config = Config(
            connect_timeout=_CONNECT_S,
            read_timeout=_ANSWER_S,
            retries={"mode": "standard", "total_max_attempts": options.attempts},
            defaults_mode="legacy",
            parameter_validation=True,
            # Older S3-compatible endpoints do not support the newer checksums. Each body is sent with a SHA-256 anyway.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={
                "addressing_style": "path" if endpoint else "auto",
                "payload_signing_enabled": False,
            },
        )
        client = boto3.Session(botocore_session=core).client(
            "s3",
            region_name=options.region or None,
            endpoint_url=endpoint or None,
            config=config,
        )
        if endpoint:
            client.meta.events.register("before-call.s3.HeadBucket", _not_elsewhere)
        return client
    except (ValueError, BotoCoreError) as error:
        said = str(error).rstrip(".")
        raise UsageError(
            f"The S3 client could not be created ({said}): correct AWS_PROFILE, AWS_REGION, AWS_ACCESS_KEY_ID with "
            "AWS_SECRET_ACCESS_KEY, AWS_CONFIG_FILE or MART_S3_ENDPOINT."
        ) from None


def describe_client(client: Any, options: S3Options) -> str:
    """Describe a client's endpoint, region, profile, proxy and certificates, with the settings that define them."""
    from botocore.utils import get_environ_proxies

    region = f"region {client.meta.region_name}"
    said = [
        foreign_endpoint(client, options) or _bare(client.meta.endpoint_url),
        f"{region} (AWS_REGION)" if options.region else region,
    ]
    if options.profile:
        said.append(f"profile {options.profile} (AWS_PROFILE)")
    if (client.meta.config.s3 or {}).get("use_accelerate_endpoint"):
        said.append("accelerated (use_accelerate_endpoint)")
    scheme = urlparse(client.meta.endpoint_url).scheme
    proxy = get_environ_proxies(client.meta.endpoint_url).get(scheme)
    if proxy:
        said.append(f"proxy {_bare(proxy)} ({scheme.upper()}_PROXY)")
    bundle = next((name for name in _CERTIFICATES if os.environ.get(name)), None)
    if bundle and scheme == "https":
        said.append(f"certificates of {os.environ[bundle]} ({bundle})")
    return ", ".join(said)


def foreign_endpoint(client: Any, options: S3Options) -> str:
    """Return a client's endpoint and the setting that defines it; an empty string for Amazon's own endpoints."""
    url = str(getattr(getattr(client, "meta", None), "endpoint_url", ""))
    if options.endpoint:
        return f"{_bare(url)} ({options.endpoint_from})"
    if not url or _AMAZON.search(urlparse(url).hostname or ""):
        return ""
    return f"{_bare(url)} (endpoint_url in AWS's own settings)"


def _configured_endpoint(core: Any) -> str:
    """Return the endpoint in the AWS config file: the one set for S3, else the profile's, else an empty string."""
    if core.get_config_variable("ignore_configured_endpoint_urls"):
        return ""
    profile = core.get_scoped_config()
    services = core.full_config.get("services", {}).get(profile.get("services"), {})
    return str(services.get("s3", {}).get("endpoint_url") or profile.get("endpoint_url") or "")


def _not_elsewhere(**_: Any) -> tuple[Any, dict[str, Any]]:
    """Answer botocore's HeadBucket request with 404 without sending it.

    After a redirect, botocore asks for the bucket's region with HeadBucket. Only Amazon S3 has several regions. If a
    service redirects HeadBucket too, botocore repeats the request until Python's recursion limit.
    """
    answer = {"HTTPStatusCode": HTTPStatus.NOT_FOUND, "HTTPHeaders": {}}
    return SimpleNamespace(status_code=HTTPStatus.NOT_FOUND), {"ResponseMetadata": answer}


def _bare(url: str) -> str:
    """Return a URL without user name and password."""
    return re.sub(r"//[^/@]*@", "//", url)
