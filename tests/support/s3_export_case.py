"""Export through the proxy into a bucket that has a committed snapshot, while readers check the bucket."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import snapshot_case as case
from feature_mart.core.errors import FeatureMartError
from feature_mart.core.services import S3Options
from feature_mart.exporter import SnapshotReport, export_snapshot, list_snapshots, verify_snapshot
from feature_mart.storage import Store
from feature_mart.storage.opening import open_s3_client
from feature_mart.storage.s3 import S3Store
from s3_client import REGION, client_at, make_bucket, s3_sha256
from s3_proxy import Proxy, Request, run_proxy
from s3_server import run_s3

#: Seconds between two checks by the reader of `Place.watched`.
_LOOK_S = 0.3
#: The prefix to which the earlier snapshot is exported. `make_place` copies the snapshot to other prefixes.
_FIRST = "first"
BUCKET = "mart-snapshots"
CONSUMER = "price_estimation"
#: A part size that gives two parts of train and one of each other split.
PARTS = {"part_rows": 150}
EARLIER = {"as_of_at": case.AS_OF - timedelta(days=1)}
#: Return values of `Place.saw`.
ALONE = "the earlier alone; latest.json names the earlier"
ATTEMPT = f"{ALONE}; an attempt"
COMMITTED = "both whole; latest.json names the earlier"
BOTH = "both whole; latest.json names the new"
#: The steps that an export of the bench's mart reports, in order, if the part size is the one in PARTS.
STEPS = [
    "count rows",
    "hash content",
    "wait for other exports",
    "write train part 1 of 2",
    "write train part 2 of 2",
    "write validation part 1 of 1",
    "write test part 1 of 1",
    "put data/train/part-00000.parquet",
    "put keys/train/part-00000.parquet",
    "put data/train/part-00001.parquet",
    "put keys/train/part-00001.parquet",
    "put data/validation/part-00000.parquet",
    "put keys/validation/part-00000.parquet",
    "put data/test/part-00000.parquet",
    "put keys/test/part-00000.parquet",
    "put _meta/manifest.json",
    "put _meta/schema.json",
    "put _meta/train.manifest",
    "put _meta/validation.manifest",
    "put _meta/test.manifest",
    "check parts",
    "put _meta/_SUCCESS",
    "move latest.json",
]
#: Environment variables for boto3, without the user's AWS config file. The server accepts any credentials.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
}


class Killed(BaseException):
    """Simulates the end of the process. A BaseException is not caught by `except Exception`."""


@dataclass(frozen=True, slots=True)
class Bench:
    """An S3 server, a proxy in front of the server, a mart, and a boto3 client that does not use the proxy.

    `new_id` is the id of the snapshot that an export of the mart makes, `earlier` has the files of a snapshot of an
    earlier refresh by key, and `hashes` caches the SHA-256 of objects by ETag.
    """

    server: str
    proxy: Proxy
    client: Any
    mart: Path
    new_id: str = ""
    earlier: Mapping[str, bytes] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)


@contextmanager
def run_bench(folder: Path) -> Iterator[Bench]:
    """Start the servers of a bench, put CREDENTIALS into the environment, and yield the bench. Undo both on exit."""
    with (
        run_s3() as server,
        run_proxy(server.endpoint) as proxy,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        client = client_at(server.endpoint)
        make_bucket(client, BUCKET)
        bench = Bench(server.endpoint, proxy, client, case.build_mart(folder))
        place = Place(bench, _FIRST, folder, bench.mart)
        place.plain(context=EARLIER)
        yield replace(
            bench,
            new_id=place.plain(dry_run=True).id,
            earlier={key: place.body(key) or b"" for key in place.etags()},
        )


@dataclass(slots=True)
class Place:
    """One prefix of the bucket, with the mart that is exported to the prefix and the scratch folder of the exports.

    `before` has the ETag and SHA-256 of every object that the export of the earlier snapshot wrote, by key.
    """

    bench: Bench
    prefix: str
    work: Path
    mart: Path
    bucket: str = BUCKET
    before: dict[str, str] = field(default_factory=dict)
    new_id: str = ""

    def store(self, *, is_proxied: bool = True, **options: Any) -> Store:
        endpoint = self.bench.proxy.endpoint if is_proxied else self.bench.server
        asked = S3Options(**{"endpoint": endpoint, "attempts": 1, **options})
        work = self.work / "export"
        return S3Store(
            partial(open_s3_client, asked), self.bucket, self.prefix, work, asked, lambda _: None
        )

    def export(
        self,
        store: Store | None = None,
        *,
        exposure: Mapping[str, Any] = PARTS,
        context: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> SnapshotReport:
        manifest = case.manifest(**exposure)
        return export_snapshot(
            self.mart,
            manifest,
            manifest.consumers[0],
            store or self.store(),
            context=case.context(**(context or {})),
            **options,
        )

    def plain(self, **options: Any) -> SnapshotReport:
        """Export without the proxy and therefore without faults."""
        return self.export(self.store(is_proxied=False), **options)

    def stop_at(self, fatal: str, **options: Any) -> None:
        """Export without the proxy, and simulate the end of the process before the step ``fatal``."""

        def kill(step: str) -> None:
            if step == fatal:
                raise Killed

        try:
            self.plain(progress=kill, **options)
        except Killed:
            return
        raise AssertionError(f"no step {fatal}")

    def objects(self) -> dict[str, str]:
        """Return the ETag and SHA-256 of every object, by key relative to the prefix."""
        return {key: f"{etag} {_sha256(self.body(key))}" for key, etag in self.etags().items()}

    def etags(self, below: str = "") -> dict[str, str]:
        """Return the ETag of every object under ``below``, by key relative to the prefix."""
        pages = self.bench.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self.prefix}/{below}"
        )
        start = len(self.prefix) + 1
        found = [each for page in pages for each in page.get("Contents", ())]
        return {each["Key"][start:]: each["ETag"] for each in found}

    def body(self, key: str) -> bytes | None:
        try:
            found = self.bench.client.get_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise
        data: bytes = found["Body"].read()
        return data

    def put(self, key: str, data: bytes) -> str:
        """Put an object without the proxy and without the project's code, and return the ETag."""
        at = {"Bucket": self.bucket, "Key": f"{self.prefix}/{key}"}
        done = self.bench.client.put_object(**at, Body=data, ChecksumSHA256=s3_sha256(data))
        return str(done["ETag"])

    def delete(self, key: str) -> None:
        self.bench.client.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")

    def key(self, path: str) -> str:
        """Return the key of a file of the new snapshot."""
        return f"{CONSUMER}/snapshots/{self.new_id}/{path}"

    def written(self) -> list[Request]:
        """Return the requests through the proxy that write or delete objects."""
        return [r for r in self.bench.proxy.requests if r.method not in {"GET", "HEAD"}]

    def assert_untouched(self, *, is_latest_free: bool = False) -> None:
        """Assert that the objects in `before` are unchanged; with ``is_latest_free``, latest.json may differ."""
        etags = self.etags()
        for key, mark in self.before.items():
            if not (is_latest_free and key.endswith("latest.json")):
                now = f"{etags.get(key)} {_sha256(self.body(key))}"
                assert now == mark, f"{key} was touched"

    def whole(self) -> set[str]:
        """Return the ids of the complete snapshots, as found without the project's code.

        Raises:
            AssertionError: an incomplete snapshot is marked as complete, or latest.json names no complete snapshot.
        """
        ids = {key.split("/")[2] for key in self.etags(f"{CONSUMER}/snapshots/")}
        found = {name for name in ids if self._is_whole(name)}
        latest = json.loads(self.body(f"{CONSUMER}/latest.json") or b"{}").get("id")
        if latest is not None and latest not in found:
            assert self._is_whole(latest), f"latest.json names {latest}, which is not there"
            found.add(latest)
        return found

    def _is_whole(self, name: str) -> bool:
        at = f"{CONSUMER}/snapshots/{name}"
        success = self.body(f"{at}/_meta/_SUCCESS")
        if success in {None, b"removed\n"}:
            return False
        assert success is not None
        manifest = self.body(f"{at}/_meta/manifest.json") or b"{}"
        wrong = [] if success.decode().strip() == _sha256(manifest) else ["manifest.json"]
        etags = self.etags(f"{at}/")
        for each in json.loads(manifest).get("parts", ()):
            key = f"{at}/{each['path']}"
            if self._hash(key, etags.get(key)) != each["sha256"]:
                wrong.append(each["path"])
        # A removal overwrites _SUCCESS before it deletes files, so wrong files are an error only if _SUCCESS is
        # unchanged.
        if wrong and self.body(f"{at}/_meta/_SUCCESS") == success:
            raise AssertionError(f"{name} says that it is whole, but not so: {', '.join(wrong)}")
        return not wrong

    def _hash(self, key: str, etag: str | None) -> str:
        if etag is None:
            return ""
        hashes = self.bench.hashes
        if etag not in hashes:
            hashes[etag] = _sha256(self.body(key))
        return hashes[etag]

    def saw(self, *, is_verified: bool = True) -> str:
        """Return the state of the place in words; assert that readers with and without the project's code agree."""
        whole = self.whole()
        lines = list_snapshots(self.store(is_proxied=False), CONSUMER)
        assert {line.id for line in lines if line.problem is None} == whole
        options = S3Options(endpoint=self.bench.server)
        for line in lines:
            # `assert_untouched` compares the earlier snapshot, so only the new one is verified here.
            if line.id == self.new_id and is_verified:
                assert verify_snapshot(line.address, options).ok == (line.id in whole)
        latest = {line.id for line in lines if line.is_latest}
        current = "the new" if latest == {self.new_id} else "the earlier"
        there = "both whole" if self.new_id in whole else "the earlier alone"
        rest = {line.id for line in lines} - whole
        return f"{there}; latest.json names {current}" + ("; an attempt" if rest else "")

    def earlier_id(self) -> str:
        """Return the id of the earlier snapshot."""
        (name,) = {key.split("/")[2] for key in self.before if "/snapshots/" in key}
        return name

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Check the bucket in a thread during the block, and fail if an incomplete snapshot was marked as complete."""
        is_over, wrong = threading.Event(), []
        store = self.store(is_proxied=False)

        def look() -> None:
            try:
                while not is_over.wait(_LOOK_S):
                    lines = list_snapshots(store, CONSUMER)
                    whole = self.whole()
                    assert {line.id for line in lines if line.problem is None} <= whole
            except (AssertionError, FeatureMartError) as error:
                wrong.append(error)

        reader = threading.Thread(target=look)
        reader.start()
        try:
            yield
        finally:
            is_over.set()
            reader.join()
            if wrong:
                raise wrong[0]


def make_place(bench: Bench, folder: Path, prefix: str) -> Place:
    """Copy the earlier snapshot to a prefix, clear the faults and requests of the proxy, and return the place."""
    bench.proxy.faults.clear()
    place = Place(bench, prefix, folder, bench.mart, new_id=bench.new_id)
    for key, data in bench.earlier.items():
        # Replace the prefix, because SageMaker's manifest files contain the address of the snapshot.
        there = data.replace(f"/{BUCKET}/{_FIRST}/".encode(), f"/{BUCKET}/{prefix}/".encode())
        place.before[key] = f"{place.put(key, there)} {_sha256(there)}"
    bench.proxy.requests.clear()
    return place


def note_fault(place: Place, fault: str, saw: str, said: str) -> None:
    """Append a row to the fault table in the file that MART_FAULT_TABLE names. Without that variable, do nothing."""
    if name := os.environ.get("MART_FAULT_TABLE"):
        for mine, general in (
            (f"s3://{place.bucket}/{place.prefix}", "s3://bucket/prefix"),
            (f"{place.bench.proxy.endpoint}/{place.bucket}/{place.prefix}", "https://endpoint/…"),
            (place.new_id, "<id>"),
            (str(place.work), "<scratch>"),
            (str(place.mart.parent), "<state>"),
        ):
            said = said.replace(mine, general)
        with Path(name).open("a", encoding="utf-8") as table:
            table.write(f"| {fault} | {saw} | {said} |\n")


def _sha256(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()


class Meddled:
    """A store that calls ``act`` once, before or after the first ``method`` call with ``on`` in its first argument."""

    def __init__(
        self, store: Store, method: str, on: str, act: Callable[[], Any], *, is_after: bool = False
    ) -> None:
        self._store, self._method, self._on, self._is_after = store, method, on, is_after
        self._acts = [act]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name != self._method:
            return method

        def call(*arguments: Any) -> Any:
            acts = [self._acts.pop()] if self._acts and self._on in arguments[0] else []
            done = method(*arguments) if self._is_after else None
            for act in acts:
                act()
            return done if self._is_after else method(*arguments)

        return call


def at_step(step: str, act: Callable[[], Any]) -> Callable[[str], None]:
    def progress(name: str) -> None:
        if name == step:
            act()

    return progress


def soon() -> datetime:
    """Return the time one minute from now, when every existing object exceeds an age limit of zero."""
    return datetime.now(UTC) + timedelta(minutes=1)
