"""Test that training on a snapshot exported to S3, as on SageMaker, gives the same scores as training from disk."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from feature_mart.training import evaluate, fit, load_snapshot
from s3_client import REGION, client_at, make_bucket
from s3_server import run_s3
from training_case import mount, run, toolkit_variables

PROJECT = Path(__file__).resolve().parents[4]
MUNICIPAL = PROJECT.parent / "shared" / "data" / "municipal_awards"
BUCKET = "mart"


def mart(environment: Mapping[str, str], *arguments: str) -> Any:
    """Run `mart … --json`, and return the object that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "feature_mart", *arguments, "--json"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.audit
def test_the_figure_of_the_entry_point_is_the_figure_from_disk(tmp_path: Path) -> None:
    if not MUNICIPAL.is_dir():
        pytest.skip("shared/data/municipal_awards is not beside this checkout")
    with run_s3() as server:
        client = client_at(server.endpoint)
        make_bucket(client, BUCKET)
        environment = {
            "MART_HOME": str(tmp_path / "home"),
            "MART_DWH": str(MUNICIPAL),
            "MART_S3_ENDPOINT": server.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
        }
        mart(environment, "build")
        (local,) = mart(environment, "export", "price_estimation")["snapshots"]
        place = f"s3://{BUCKET}/mart"
        (remote,) = mart(environment, "export", "price_estimation", "--to", place)["snapshots"]
        assert remote["id"] == local["id"]
        assert remote["address"] == f"{place}/price_estimation/snapshots/{local['id']}"
        assert mart(environment, "snapshot", "verify", remote["address"])["problems"] == []
        copy = tmp_path / "copy"
        prefix = remote["address"].removeprefix(f"s3://{BUCKET}/")
        for page in client.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=f"{prefix}/"
        ):
            for each in page["Contents"]:
                target = copy / each["Key"].removeprefix(f"{prefix}/")
                target.parent.mkdir(parents=True, exist_ok=True)
                client.download_file(BUCKET, each["Key"], str(target))
    base = mount(copy, tmp_path / "ml")
    done = run(toolkit_variables(base), "--seed", "0")
    assert done.returncode == 0, done.stderr
    said = dict(re.findall(r"^(\w+:\w+)=(\S+);$", done.stdout, re.MULTILINE))
    snapshot = load_snapshot(local["address"])
    metrics = evaluate(snapshot, fit(snapshot, seed=0))
    print(f"R2 on test: entry point {said['test:r2']}, from disk {metrics['r2']}; {local['id']}")
    assert {name: float(said[f"test:{name}"]) for name in metrics} == metrics
