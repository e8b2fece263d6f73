"""A bucket in which a snapshot stands already, exports into it through the proxy, and who reads it meanwhile.

``python tests/s3_export_case.py JOBS`` is what `run_children` starts: a process for each export, that may be killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from feature_mart.errors import FeatureMartError
from feature_mart.exporter import SnapshotReport, export_snapshot, list_snapshots, verify_snapshot
from feature_mart.settings import S3Options
from feature_mart.storage import Store
from feature_mart.storage.opening import open_client
from feature_mart.storage.s3 import S3Store
from python.unit import snapshot_case as case
from s3_client import REGION, client_at, make_bucket
from s3_proxy import Fault, Proxy, Request, run_proxy
from s3_server import run_s3

BUCKET = "mart-snapshots"
CONSUMER = "price_estimation"
#: Two parts of train, one each of the others.
PARTS = {"part_rows": 150}
EARLIER = {"as_of_at": case.AS_OF - timedelta(days=1)}
#: What an export of the mart below, cut so, says it is about to do.
STEPS = [
    "count rows",
    "hash content",
    "wait for other exports",
    "write train part 1 of 2",
    "put data/train/part-00000.parquet",
    "put keys/train/part-00000.parquet",
    "write train part 2 of 2",
    "put data/train/part-00001.parquet",
    "put keys/train/part-00001.parquet",
    "write validation part 1 of 1",
    "put data/validation/part-00000.parquet",
    "put keys/validation/part-00000.parquet",
    "write test part 1 of 1",
    "put data/test/part-00000.parquet",
    "put keys/test/part-00000.parquet",
    "put _meta/schema.json",
    "put _meta/train.manifest",
    "put _meta/validation.manifest",
    "put _meta/test.manifest",
    "put _meta/manifest.json",
    "check parts",
    "put _meta/_SUCCESS",
    "move latest.json",
]
#: For boto3 as a user sets it up; the server takes any.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
}
_PATHS = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "python")]


class Killed(BaseException):
    """Stands for a death: no `except Exception` catches it."""


@dataclass(frozen=True, slots=True)
class Bench:
    """An S3, the proxy before it, a mart, the id of its snapshot, and a client that goes past the proxy and our code."""

    server: str
    proxy: Proxy
    client: Any
    mart: Path
    new_id: str = ""


@contextmanager
def run_bench(folder: Path) -> Iterator[Bench]:
    """A bench, with credentials for it in the environment, gone at the end."""
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
        new_id = Place(bench, "none", folder, bench.mart).plain(dry_run=True).id
        yield replace(bench, new_id=new_id)


@dataclass(slots=True)
class Place:
    """One prefix of the bucket. `before` is every object of it, by key, as it was before the fault."""

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
        return S3Store(open_client(asked), self.bucket, self.prefix, work, asked, lambda _: None)

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
        """An export past the proxy, where nothing goes wrong."""
        return self.export(self.store(is_proxied=False), **options)

    def stop_at(self, fatal: str, **options: Any) -> None:
        """An export past the proxy that ends before that step."""

        def kill(step: str) -> None:
            if step == fatal:
                raise Killed

        try:
            self.plain(progress=kill, **options)
        except Killed:
            return
        raise AssertionError(f"no step {fatal}")

    def objects(self) -> dict[str, str]:
        """ETag and hash of every object, by its key below the prefix."""
        return {key: f"{etag} {_sha256(self.body(key))}" for key, etag in self.keys().items()}

    def keys(self) -> dict[str, str]:
        """ETag of every object, by its key below the prefix."""
        pages = self.bench.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self.prefix}/"
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

    def put(self, key: str, data: bytes) -> None:
        self.bench.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}", Body=data)

    def delete(self, key: str) -> None:
        self.bench.client.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")

    def key(self, path: str) -> str:
        """The key of a file of the new snapshot."""
        return f"{CONSUMER}/snapshots/{self.new_id}/{path}"

    def written(self) -> list[Request]:
        """What the proxy was asked that writes or removes."""
        return [r for r in self.bench.proxy.requests if r.method not in {"GET", "HEAD"}]

    def assert_untouched(self, *, is_latest_free: bool = False) -> None:
        """All that was there before is as it was; latest.json too, but where an export may have moved it."""
        now = self.objects()
        for key, mark in self.before.items():
            if not (is_latest_free and key.endswith("latest.json")):
                assert now.get(key) == mark, f"{key} was touched"

    def whole(self) -> set[str]:
        """The snapshots that a reader without our code takes for whole; fails on half a one, and on a wrong latest."""
        keys = self.keys()
        ids = {key.split("/")[2] for key in keys if key.startswith(f"{CONSUMER}/snapshots/")}
        found = {name for name in ids if self._is_whole(name)}
        latest = json.loads(self.body(f"{CONSUMER}/latest.json") or b"{}").get("id")
        if latest is not None and latest not in found:
            assert self._is_whole(latest), f"latest.json names {latest}, which is not there"
            found.add(latest)
        return found

    def _is_whole(self, name: str) -> bool:
        """Read again where it does not fit: of a snapshot that is being removed, the commit goes first."""
        at = f"{CONSUMER}/snapshots/{name}"
        success = self.body(f"{at}/_meta/_SUCCESS")
        if success is None:
            return False
        manifest = self.body(f"{at}/_meta/manifest.json") or b"{}"
        wrong = [] if success.decode().strip() == _sha256(manifest) else ["manifest.json"]
        for part in json.loads(manifest).get("parts", ()):
            if _sha256(self.body(f"{at}/{part['path']}")) != part["sha256"]:
                wrong.append(part["path"])
        if wrong and self.body(f"{at}/_meta/_SUCCESS") is not None:
            raise AssertionError(f"{name} says that it is whole, but {', '.join(wrong)} is not")
        return not wrong

    def saw(self, *, is_verified: bool = True) -> str:
        """What readers see at this moment, ours and one without our code, in a few words."""
        whole = self.whole()
        lines = list_snapshots(self.store(is_proxied=False), CONSUMER)
        assert {line.id for line in lines if line.problem is None} == whole
        options = S3Options(endpoint=self.bench.server)
        for line in lines:
            # The earlier one is compared byte for byte.
            if line.id == self.new_id and is_verified:
                assert verify_snapshot(line.address, options).ok == (line.id in whole)
        latest = {line.id for line in lines if line.is_latest}
        current = "the new" if latest == {self.new_id} else "the earlier"
        there = "both whole" if self.new_id in whole else "the earlier alone"
        rest = {line.id for line in lines} - whole
        return f"{there}; latest.json names {current}" + ("; an attempt" if rest else "")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Somebody reads all the while, and never finds half a snapshot that says it is whole."""
        is_over, wrong = threading.Event(), []
        store = self.store(is_proxied=False)

        def look() -> None:
            try:
                while not is_over.wait(0.1):
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
    """A prefix in which an earlier snapshot stands; nothing befalls the proxy yet."""
    bench.proxy.faults.clear()
    place = Place(bench, prefix, folder, bench.mart)
    place.plain(context=EARLIER)
    place.new_id = bench.new_id
    place.before = place.objects()
    bench.proxy.requests.clear()
    return place


def part(path: str, **fault: Any) -> Fault:
    """What befalls the writing of a file of a snapshot."""
    return Fault(method="PUT", on=path, **fault)


def note_fault(place: Place, fault: str, saw: str, said: str) -> None:
    """A row of the fault table, into the file that MART_FAULT_TABLE names; nowhere without it."""
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


def run_children(
    places: Sequence[Place], fatal: Sequence[str] = (), limit: int = 0
) -> list[tuple[int, str]]:
    """Each place's export, past the proxy and in a process of its own: its exit code, or minus the signal that ended
    it, and what it said.

    Args:
        fatal: the step, of each, at which it kills itself.
        limit: bytes past which it may write no file; 0 for none.
    """
    jobs = [
        {
            "server": place.bench.server,
            "prefix": place.prefix,
            "work": str(place.work),
            "mart": str(place.mart),
            "fatal": fatal[number] if fatal else "",
            "limit": limit,
        }
        for number, place in enumerate(places)
    ]
    environment = {**os.environ, **CREDENTIALS, "PYTHONPATH": os.pathsep.join(_PATHS)}
    command = [sys.executable, __file__, json.dumps(jobs)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    return [(code, said) for code, said in json.loads(done.stdout)]


def _run_child(job: Mapping[str, Any]) -> str:
    def step(name: str) -> None:
        if name == job["fatal"]:
            os.kill(os.getpid(), signal.SIGKILL)

    if job["limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], job["limit"]))
    mart = Path(job["mart"])
    bench = Bench(job["server"], Proxy(job["server"]), None, mart)
    return Place(bench, job["prefix"], Path(job["work"]), mart).plain(progress=step).status


def _fork_child(job: Mapping[str, Any]) -> tuple[int, str]:
    """A process that has imported everything already, begun before any thread is."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.write(writer, _run_child(job).encode())
            code = 0
        except FeatureMartError as error:
            os.write(writer, str(error).encode())
            code = error.exit_code
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as said:
        text = said.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


if __name__ == "__main__":
    print(json.dumps([_fork_child(job) for job in json.loads(sys.argv[1])]))
