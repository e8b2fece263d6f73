"""Test that AWS settings cannot change what requests mean, and that messages name the settings that redirect them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import certifi
import pytest

from feature_mart.core.errors import FeatureMartError, UsageError
from feature_mart.core.services import S3Options, s3_options
from feature_mart.storage import Store, open_store
from feature_mart.storage.opening import describe_client, open_s3_client
from s3_proxy import Fault, Proxy, run_proxy

#: Settings that would change how requests are made, checked or repeated.
MEANING = {
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_supported",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_supported",
    "AWS_MAX_ATTEMPTS": "7",
    "AWS_RETRY_MODE": "adaptive",
    "AWS_DEFAULTS_MODE": "in-region",
    "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS": "true",
    "AWS_S3_USE_ARN_REGION": "false",
    "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH": "true",
    "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "legacy",
    "AWS_SIGV4A_SIGNING_REGION_SET": "us-west-2",
    "AWS_ENDPOINT_DISCOVERY_ENABLED": "true",
    "AWS_DISABLE_REQUEST_COMPRESSION": "true",
}
MEANING_FILE = """[default]
parameter_validation = false
request_checksum_calculation = when_supported
response_checksum_validation = when_supported
retry_mode = adaptive
max_attempts = 7
defaults_mode = in-region
s3 =
    addressing_style = virtual
    payload_signing_enabled = true
"""
#: Headers that are not compared, because they may differ between requests of the same meaning.
CHANGES = frozenset({"authorization", "x-amz-date", "amz-sdk-invocation-id", "host", "user-agent"})


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set test credentials and a region, and hide the AWS files, profile and endpoints of this machine."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with run_proxy("http://127.0.0.1:9") as proxy:
        # The proxy answers every request with an error, so no S3 service is needed.
        proxy.faults.append(Fault("status", "", "", status=403, code="AccessDenied"))
        yield proxy


def asked(proxy: Proxy, folder: Path) -> list[tuple[str, str, dict[str, str]]]:
    """Make one request of each kind, and return the method, path and headers of each request."""
    store: Store = open_store("s3://bucket/p", S3Options(endpoint=proxy.endpoint), folder)
    (folder / "part").write_bytes(b"rows")
    sha256 = hashlib.sha256(b"rows").hexdigest()
    proxy.requests.clear()
    for act in (
        lambda: store.read("key"),
        lambda: store.sha256("key"),
        lambda: store.entries("key"),
        lambda: store.put("key", b"1"),
        lambda: store.put_if_absent("key", b"1"),
        lambda: store.put_file("key", folder / "part", sha256, is_new=True),
        lambda: store.delete("key"),
    ):
        with suppress(FeatureMartError):
            act()
    return [
        (
            request.method,
            request.path,
            {name: text for name, text in request.headers.items() if name not in CHANGES},
        )
        for request in proxy.requests
    ]


def test_settings_that_change_the_meaning_of_a_request_have_no_effect(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = asked(proxy, tmp_path)
    assert len(plain) == 7
    assert {path for _, path, _ in plain} == {"/bucket", "/bucket/p/key"}
    for name, text in MEANING.items():
        monkeypatch.setenv(name, text)
    (tmp_path / "config").write_text(MEANING_FILE)
    assert asked(proxy, tmp_path) == plain


@pytest.mark.parametrize("name", MEANING)
def test_a_setting_alone_leaves_the_client_as_it_is(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def config() -> object:
        found = open_s3_client(S3Options(attempts=3)).meta.config
        names = ("retries", "connect_timeout", "read_timeout", "s3", "parameter_validation")
        checksums = ("request_checksum_calculation", "response_checksum_validation")
        told = {key: getattr(found, key) for key in (*names, *checksums)}
        told["s3"] = {
            key: told["s3"][key] for key in ("addressing_style", "payload_signing_enabled")
        }
        return told

    before = config()
    monkeypatch.setenv(name, MEANING[name])
    assert config() == before


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({}, "https://s3.eu-west-1.amazonaws.com, region eu-west-1"),
        (
            {"AWS_ENDPOINT_URL_S3": "http://one:9", "AWS_ENDPOINT_URL": "http://two:9"},
            "http://one:9 (AWS_ENDPOINT_URL_S3), region eu-west-1",
        ),
        (
            {"AWS_ENDPOINT_URL": "http://me:secret@two:9"},
            "http://two:9 (AWS_ENDPOINT_URL), region eu-west-1",
        ),
        (
            {"MART_S3_ENDPOINT": "http://three:9", "AWS_ENDPOINT_URL_S3": "http://one:9"},
            "http://three:9 (MART_S3_ENDPOINT), region eu-west-1",
        ),
        (
            {"AWS_ENDPOINT_URL": "http://two:9", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://s3.eu-west-1.amazonaws.com, region eu-west-1",
        ),
        ({"AWS_REGION": "us-west-2"}, "https://s3.us-west-2.amazonaws.com, region us-west-2 (AWS"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "https://s3-fips.eu-west-1.amazonaws.com, region"),
        (
            {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "https://s3.dualstack.eu-west-1.amazonaws.com, region",
        ),
        (
            {"AWS_PROFILE": "other"},
            "http://five:9 (endpoint_url in AWS's own settings), region ap-south-1, profile other "
            "(AWS_PROFILE)",
        ),
        (
            {"AWS_PROFILE": "shared"},
            "http://six:9 (endpoint_url in AWS's own settings), region eu-west-1, profile shared "
            "(AWS_PROFILE), accelerated (use_accelerate_endpoint)",
        ),
    ],
)
def test_what_redirects_requests_is_named(
    env: dict[str, str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(
        "[profile other]\nendpoint_url = http://five:9\nregion = ap-south-1\n"
        "[profile shared]\nservices = mine\ns3 =\n    use_accelerate_endpoint = true\n"
        "[services mine]\ns3 =\n    endpoint_url = http://six:9\n"
    )
    if env.get("AWS_PROFILE") == "other":
        monkeypatch.delenv("AWS_DEFAULT_REGION")
    for name, text in env.items():
        monkeypatch.setenv(name, text)
    options = s3_options(env)
    said = describe_client(open_s3_client(options), options)
    assert said.startswith(says)
    assert "secret" not in said
    assert open_store("s3://bucket/p", options, tmp_path).through() == said


def test_a_proxy_and_foreign_certificates_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "own.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes())
    monkeypatch.setenv("HTTPS_PROXY", "http://who:secret@proxy:3128")
    monkeypatch.setenv("NO_PROXY", "minio")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    options = s3_options({})
    said = describe_client(open_s3_client(options), options)
    assert said.endswith(
        f", proxy http://proxy:3128 (HTTPS_PROXY), certificates of {bundle} (REQUESTS_CA_BUNDLE)"
    )
    plain = s3_options({"MART_S3_ENDPOINT": "http://minio:9000"})
    assert "proxy" not in describe_client(open_s3_client(plain), plain)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MART_S3_ENDPOINT"])
def test_an_endpoint_that_is_no_address_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is 'minio:9000': use an address such as"):
        s3_options({name: "minio:9000"})


def test_a_message_names_the_endpoint_that_a_variable_chose(proxy: Proxy, tmp_path: Path) -> None:
    options = s3_options({"AWS_ENDPOINT_URL_S3": proxy.endpoint})
    with pytest.raises(FeatureMartError) as failed:
        open_store("s3://bucket/p", options, tmp_path).read("key")
    assert f"through {proxy.endpoint} (AWS_ENDPOINT_URL_S3)" in str(failed.value)
    # The request uses path-style addressing, because the host name <bucket>.<endpoint> could not be resolved.
    assert proxy.requests[-1].path == "/bucket/p/key"
