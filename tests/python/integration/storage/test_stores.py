"""Test the guarantees of both kinds of store: a folder, and a bucket on an S3 server that verifies checksums."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feature_mart.core.errors import UsageError
from feature_mart.core.services import S3Options
from feature_mart.storage import FolderStore, OccupiedError, Store, open_store
from feature_mart.storage.s3 import PIECE
from s3_client import client_at, make_bucket, start_upload
from s3_proxy import Proxy, run_proxy
from s3_server import run_s3

BUCKET = "mart-snapshots"


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with run_s3() as server, run_proxy(server.endpoint) as proxy:
        make_bucket(client_at(server.endpoint), BUCKET)
        yield proxy


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "ap-northeast-1"),
    ):
        monkeypatch.setenv(name, value)


def s3_store(proxy: Proxy, tmp_path: Path, prefix: str, **options: str) -> Store:
    return open_store(
        f"s3://{BUCKET}/{prefix}", S3Options(endpoint=proxy.endpoint, **options), tmp_path / "work"
    )


@pytest.fixture(params=["folder", "s3"])
def store(
    request: pytest.FixtureRequest, proxy: Proxy, aws: None, tmp_path: Path
) -> Iterator[Store]:
    if request.param == "folder":
        yield FolderStore(tmp_path / "root")
    else:
        # The first 20 characters of two tests' names may be equal, so a random folder keeps the tests' objects apart.
        yield s3_store(proxy, tmp_path, f"{request.node.name[:20]}/{os.urandom(4).hex()}")


def put(store: Store, folder: Path, key: str, data: bytes) -> bool:
    folder.mkdir(exist_ok=True)
    local = folder / "local"
    local.write_bytes(data)
    return store.put_file(key, local, hashlib.sha256(data).hexdigest())


def test_a_key_is_written_once_and_swapped_only_from_what_it_held(store: Store) -> None:
    assert store.read("a/b") is None
    assert store.put_if_absent("a/b", b"1")
    assert not store.put_if_absent("a/b", b"2")
    assert not store.swap("a/b", b"3", b"0")
    assert not store.swap("a/b", b"3", None)
    assert not store.swap("a/c", b"3", b"1")
    assert store.read("a/b") == b"1"
    assert store.swap("a/b", b"3", b"1")
    assert store.read("a/b") == b"3"
    store.put("a/b", b"4")
    assert store.read("a/b") == b"4"
    store.delete("a/b")
    store.delete("a/b")
    assert store.read("a/b") is None
    assert store.swap("a/b", b"5", None)


def test_listing_sees_every_key_below_a_folder_and_no_other(store: Store) -> None:
    for key in (
        "c/snapshots/1/data/x",
        "c/snapshots/10/data/x",
        "c/snapshots/1/y",
        "c2/snapshots/3/z",
    ):
        store.put(key, b"12345")
    entries = store.entries("c/snapshots/1")
    assert [entry.key for entry in entries] == ["c/snapshots/1/data/x", "c/snapshots/1/y"]
    assert {entry.bytes for entry in entries} == {5}
    assert abs(entries[0].modified_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert store.folders("") == ("c", "c2")
    assert store.folders("c/snapshots") == ("1", "10")
    assert store.folders("nothing") == ()
    assert store.entries("nothing") == ()


def test_a_file_goes_with_its_checksum_and_comes_back_whole(store: Store, tmp_path: Path) -> None:
    data = os.urandom(1000)
    assert put(store, tmp_path / "w", "p/x", data)
    assert not put(store, tmp_path / "w", "p/x", data), "the same bytes are not sent again"
    assert store.sha256("p/x") == hashlib.sha256(data).hexdigest()
    assert store.sha256("p/y") is None
    with store.local("p/x", tmp_path) as path:
        assert path is not None
        assert path.read_bytes() == data
    with store.local("p/y", tmp_path) as path:
        assert path is None


def test_many_writers_of_one_key_make_one_file(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.put_if_absent("one", b"%d" % n), range(8)))
    assert won.count(True) == 1
    assert store.read("one") == b"%d" % won.index(True)


def test_a_large_file_goes_in_pieces_and_is_known_again(
    proxy: Proxy, aws: None, tmp_path: Path
) -> None:
    store = s3_store(proxy, tmp_path, "large")
    data = os.urandom(1024) * (5 * PIECE // 1024 + 7)
    before = len(proxy.requests)
    assert put(store, tmp_path / "w", "big", data)
    sent = proxy.requests[before:]
    assert sum("partNumber" in request.query for request in sent) == 6
    assert all(
        request.headers.get("x-amz-checksum-sha256")
        for request in sent
        if "partNumber" in request.query
    )
    assert [
        r.headers.get("if-none-match") for r in sent if r.method == "POST" and "uploadId" in r.query
    ] == ["*"]
    assert store.sha256("big") == hashlib.sha256(data).hexdigest()
    assert not put(store, tmp_path / "w", "big", data)
    with pytest.raises(OccupiedError):
        put(store, tmp_path / "w", "big", data[:-1])
    with store.local("big", tmp_path) as path:
        assert path is not None
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(data).digest()


def test_what_is_in_a_bucket_is_never_written_over(proxy: Proxy, aws: None, tmp_path: Path) -> None:
    store = s3_store(proxy, tmp_path, "occupied")
    put(store, tmp_path / "w", "x", b"theirs")
    with pytest.raises(OccupiedError):
        put(store, tmp_path / "w", "x", b"ours")
    assert store.read("x") == b"theirs"


def test_uploads_that_never_ended_are_dropped_by_age(
    proxy: Proxy, aws: None, tmp_path: Path
) -> None:
    client = client_at(proxy.endpoint)
    for key in ("left/c/snapshots/1/data/x", "left/c/snapshots/foreign", "other/y"):
        start_upload(client, BUCKET, key, b"half")
    store = s3_store(proxy, tmp_path, "left")

    def drop(at: datetime) -> int:
        return store.drop_uploads("c", at, lambda key: key == "c/snapshots/1/data/x")

    assert drop(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert drop(datetime.now(UTC) + timedelta(minutes=1)) == 1
    kept = client.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [each["Key"] for each in kept] == ["left/c/snapshots/foreign", "other/y"]


def test_settings_go_with_every_request(proxy: Proxy, aws: None, tmp_path: Path) -> None:
    store = s3_store(
        proxy,
        tmp_path,
        "settings",
        kms_key="arn:aws:kms:ap-northeast-1:123456789012:key/k",
        tags="team=ml&cost=mart",
        expected_owner="123456789012",
    )
    before = len(proxy.requests)
    put(store, tmp_path / "w", "x", b"1")
    store.put_if_absent("y", b"2")
    store.swap("y", b"3", b"2")
    store.entries("")
    store.drop_uploads("", datetime.now(UTC), lambda _: True)
    store.delete("y")
    asked = proxy.requests[before:]
    assert {request.headers.get("x-amz-expected-bucket-owner") for request in asked} == {
        "123456789012"
    }
    puts = [request for request in asked if request.method == "PUT"]
    assert len(puts) == 3
    for request in puts:
        assert request.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert request.headers["x-amz-server-side-encryption-aws-kms-key-id"].endswith("key/k")
        assert request.headers["x-amz-tagging"] == "team=ml&cost=mart"
        assert request.headers["x-amz-checksum-sha256"]
    plain = s3_store(proxy, tmp_path, "settings", encryption="AES256")
    plain.put("z", b"1")
    assert proxy.requests[-1].headers["x-amz-server-side-encryption"] == "AES256"
    s3_store(proxy, tmp_path, "settings").put("z", b"1")
    assert "x-amz-server-side-encryption" not in proxy.requests[-1].headers


@pytest.mark.parametrize("address", ["gs://bucket/x", "s3://", "https://x/y"])
def test_an_address_of_another_kind_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="use a folder, or s3://bucket/prefix"):
        open_store(address, S3Options(), tmp_path)
