"""Test the output and effects of the `mart snapshot` commands on a bucket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from feature_mart.cli import main
from s3_export_case import BUCKET, CONSUMER, EARLIER, Bench, Place
from toy_project import write_project

ROLE = "arn:aws:iam::123456789012:role/training"
IMAGE = "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/mart:1"


class Console:
    """A project whose snapshots are under one prefix of the bucket. `call` runs a `mart snapshot` command in it."""

    def __init__(self, bench: Bench, prefix: str, folder: Path) -> None:
        self.address = f"s3://{BUCKET}/{prefix}"
        self.place = Place(bench, prefix, folder, bench.mart)
        self.environment = {
            "MART_SNAPSHOTS": self.address,
            "MART_S3_ENDPOINT": bench.server,
            "MART_HOME": str(folder / "home"),
        }

    def call(self, *arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(main, ["snapshot", *arguments], env=self.environment)
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done


@pytest.fixture
def console(
    bench: Bench, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Console:
    monkeypatch.chdir(write_project(tmp_path / "toy"))
    return Console(bench, request.node.name, tmp_path)


def test_an_empty_bucket_has_no_snapshots(console: Console) -> None:
    assert f"No snapshots under {console.address}" in console.call("list").stdout
    assert json.loads(console.call("list", "--json").stdout)["snapshots"] == []
    assert "snapshots kept: 0" in console.call("clean", "--keep", "1").stdout


def test_list_verify_and_diff_speak_of_a_bucket(console: Console) -> None:
    old = console.place.plain(context=EARLIER)
    new = console.place.plain()
    lines = json.loads(console.call("list", "--json").stdout)["snapshots"]
    assert [line["id"] for line in lines] == [old.id, new.id]
    assert [line["is_latest"] for line in lines] == [False, True]
    assert lines[0]["address"] == f"{console.address}/{CONSUMER}/snapshots/{old.id}"
    table = console.call("list").stdout
    assert "latest" in table.splitlines()[2] and new.address in table
    for wanted in (CONSUMER, new.id, new.address, f"{new.address}/"):
        assert f"good: {new.id}, 8 parts, 352 rows" in console.call("verify", wanted).stdout
    said = console.call("diff", old.id, new.id).stdout
    assert "as of" in said and "No column's distribution changed" in said
    assert json.loads(console.call("diff", old.id, new.id, "--json").stdout)["is_same"]
    shown = console.call("diff", old.id, new.id, "--all").stdout
    assert "category_code" in shown


def test_verify_names_the_part_that_is_bad(console: Console, bench: Bench) -> None:
    made = console.place.plain()
    key = f"{console.place.prefix}/{CONSUMER}/snapshots/{made.id}/data/train/part-00001.parquet"
    bench.client.put_object(Bucket=BUCKET, Key=key, Body=b"changed")
    said = console.call("verify", made.id, code=1).stdout
    assert "data/train/part-00001.parquet: the part was changed" in said
    bench.client.delete_object(Bucket=BUCKET, Key=key)
    said = console.call("verify", made.id, code=1).stdout
    assert "data/train/part-00001.parquet: the part is missing" in said


def test_pins_cleaning_and_rollback_on_a_bucket(console: Console) -> None:
    old = console.place.plain(context=EARLIER)
    new = console.place.plain()
    say = console.call("pin", old.id, "--reason", "in production").stdout
    assert say == f"pinned: {CONSUMER} {old.id}\n"
    assert "already pinned" in console.call("pin", old.id, "--reason", "again").stdout
    assert "pinned: in production" in console.call("list").stdout
    assert "snapshots kept: 2" in console.call("clean", "--keep", "1").stdout
    said = console.call("rollback", CONSUMER, "--to", old.id, "--reason", "wrong labels").stdout
    assert f"names {old.id} (before: {new.id})" in said
    assert "latest, held, pinned: in production" in console.call("list").stdout
    assert (
        f"latest of {CONSUMER} names {old.id}"
        in console.call("rollback", CONSUMER, "--release").stdout
    )
    assert "was not held" in console.call("rollback", CONSUMER, "--release").stdout
    assert "unpinned" in console.call("unpin", old.id).stdout
    console.call("rollback", CONSUMER, "--to", new.id, "--reason", "mended")
    assert "would remove snapshot" in console.call("clean", "--keep", "1", "--dry-run").stdout
    said = console.call("clean", "--keep", "1").stdout
    assert f"removed snapshot {old.address}" in said and "snapshots kept: 1" in said
    assert console.call("verify", CONSUMER).stdout.startswith("good")


def test_train_request_prints_what_sagemaker_takes(console: Console) -> None:
    made = console.place.plain()
    arguments = ("train-request", CONSUMER, "--role", ROLE, "--image", IMAGE)
    request = json.loads(console.call(*arguments, "--hyperparameter", "max_depth=6").stdout)
    channels = {
        each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"]
        for each in request["InputDataConfig"]
    }
    assert channels["train"] == f"{made.address}/data/train/"
    assert request["HyperParameters"]["max_depth"] == "6"
    verdict = json.loads(console.call("verify", made.id, "--json").stdout)
    assert request["HyperParameters"]["manifest_sha256"] == verdict["manifest_sha256"]
    refused = (
        (("--hyperparameter", "depth"), "must be NAME=VALUE"),
        (("--hyperparameter", "depth=3"), "depth"),
        (("--built-in", "--instance-count", "3"), "--min-parts 3"),
    )
    for more, said in refused:
        assert said in console.call(*arguments, *more, code=2).stderr
    unknown = f"{made.address.rpartition('/')[0]}/20200101T1800Z-000000000000"
    for wanted in ("20200101T1800Z-000000000000", unknown):
        said = console.call("train-request", wanted, "--role", ROLE, code=2).stderr
        assert f"'{wanted}' is not a snapshot" in said and f"has {CONSUMER} ({made.id})" in said


def test_a_csv_snapshot_is_trained_on_as_csv(console: Console) -> None:
    made = console.place.plain(file_format="csv")
    assert json.loads(console.call("list", "--json").stdout)["snapshots"][0]["file_format"] == "csv"
    arguments = ("train-request", made.id, "--role", ROLE, "--image", IMAGE)
    request = json.loads(console.call(*arguments).stdout)
    assert {each["ContentType"] for each in request["InputDataConfig"]} == {
        "text/csv",
        "application/json",
        "application/x-parquet",
    }
