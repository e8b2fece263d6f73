"""Test the rebuild of a snapshot from its commit after later data and a backfill, and messages of failed rebuilds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

import snapshot_case as case
from compiled_mart import PROJECT
from feature_mart.cli import main
from feature_mart.core.duckdb_files import copy_to, parquet
from feature_mart.core.raw_contract import CONTRACT
from feature_mart.exporter import export_snapshot
from feature_mart.sample import write_sample
from feature_mart.storage import FolderStore

DAY, LATER = "2025-11-01", "2026-02-01"
_PARTS = ("models", "macros", "seeds", "profiles", "tests/generic", "tests/fixtures", "python")
_CACHES = shutil.ignore_patterns("__pycache__", "*.egg-info")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project as a git repository with one commit."""
    folder = tmp_path_factory.mktemp("repository")
    for part in _PARTS:
        shutil.copytree(PROJECT / part, folder / part, ignore=_CACHES)
    for name in ("dbt_project.yml", "pyproject.toml"):
        shutil.copy(PROJECT / name, folder)
    who = ("-c", "user.name=mart", "-c", "user.email=mart@example.com")
    for arguments in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


def call(repository: Path, home: Path, *arguments: str, dwh: Path) -> Result:
    environment = {"MART_HOME": str(home), "MART_DWH": str(dwh), "MART_SNAPSHOTS": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository)
        return CliRunner().invoke(main, [*arguments], env=environment)


def run(repository: Path, home: Path, *arguments: str, dwh: Path) -> str:
    """Run a `mart` command in the repository, assert that it succeeds, and return its stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "feature_mart", *arguments],
        env=os.environ | {"MART_HOME": str(home), "MART_DWH": str(dwh)},
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_raw(source: Path, out: Path, where: str) -> None:
    """Write the rows of ``source`` that satisfy ``where`` into ``out``, and replace the files there.

    Tables without load times are written in full.
    """
    out.mkdir(exist_ok=True)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        for table in CONTRACT:
            path = source / f"{table}.parquet"
            columns = con.execute(f"describe from {parquet(path)}").fetchall()
            has_load_time = "loaded_at" in {column[0] for column in columns}
            fits = where if has_load_time else "true"
            copy_to(con, f"from {parquet(path)} where {fits}", out / path.name)


@pytest.mark.audit
def test_a_snapshot_is_rebuilt_the_same_after_later_data_and_a_backfill(
    tmp_path: Path, repository: Path
) -> None:
    everything, dwh, home = tmp_path / "everything", tmp_path / "sample", tmp_path / "home"
    write_sample(everything, jobs=1500, seed=8)
    write_raw(everything, dwh, f"loaded_at <= timestamptz '{DAY} 03:00:00+09'")
    run(repository, home, "build", "--as-of", DAY, dwh=dwh)
    exported = json.loads(run(repository, home, "export", "price_estimation", "--json", dwh=dwh))
    wanted = exported["snapshots"][0]["id"]

    write_raw(everything, dwh, "true")
    with duckdb.connect() as con:
        late = dwh / "contracts.parquet"
        con.execute(
            f"create table contracts as from {parquet(late)}; insert into contracts by name "
            "select 'late-' || contract_id as contract_id, agreed_price * 7 as agreed_price, "
            "timestamptz '2026-01-15 03:00:00+09' as loaded_at, "
            "* exclude (contract_id, agreed_price, loaded_at) from contracts "
            "where contracted_at < timestamptz '2025-06-01' "
            "qualify row_number() over (partition by contract_id order by loaded_at) = 1"
        )
        copy_to(con, "from contracts", late)
    run(repository, home, "build", "--as-of", LATER, dwh=dwh)
    run(repository, home, "build", "--as-of", "2025-12-01", "--full-refresh", dwh=dwh)

    result = call(repository, home, "audit", "reproduce", wanted, "--json", dwh=dwh)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["is_same"] and report["not_judged"] == []
    names = {check["name"] for check in report["checks"]}
    assert {"train content hash", "SHA-256 of data/train/part-00000.parquet", "raw jobs"} <= names

    # Remove a raw row that was known at the snapshot's refresh, so that the rebuild must differ.
    with duckdb.connect() as con:
        con.execute(
            f"create table contracts as from {parquet(late)} where contract_id not in (select min(contract_id) "
            f"from {parquet(late)} where loaded_at < timestamptz '2025-06-01' and status = 'completed')"
        )
        copy_to(con, "from contracts", late)
    result = call(repository, home, "audit", "reproduce", wanted, "--json", dwh=dwh)
    assert result.exit_code == 1, result.output
    wrong = [c["name"] for c in json.loads(result.stdout)["checks"] if not c["is_same"]]
    assert "raw contracts" in wrong and "train content hash" in wrong


@pytest.mark.parametrize(
    ("context", "wanted", "code", "message"),
    [
        (
            {},
            "price_estimation",
            1,
            "'0000000000000000000000000000000000000000' is not a commit (not in this repository)",
        ),
        ({"git_commit": None}, "price_estimation", 2, "outside a Git repository"),
        (
            {"warehouse_id": "other"},
            "price_estimation",
            2,
            "from the warehouse other, not from toy",
        ),
        ({}, "price_estimate", 2, "is not a snapshot: name one"),
        ({}, "20990101T0000Z-000000000000", 2, "has price_estimation (20261103T1800Z-"),
    ],
)
def test_what_cannot_be_rebuilt_is_said_in_one_line(
    tmp_path: Path,
    repository: Path,
    context: dict[str, Any],
    wanted: str,
    code: int,
    message: str,
) -> None:
    home, dwh = tmp_path / "home", tmp_path / "toy"
    dwh.mkdir()
    export_snapshot(
        case.build_mart(tmp_path / "mart"),
        case.manifest(),
        case.consumer(),
        FolderStore(home / "toy" / "snapshots"),
        context=case.context(**{"warehouse_id": "toy", **context}),
    )
    result = call(repository, home, "audit", "reproduce", wanted, dwh=dwh)
    assert result.exit_code == code, result.output
    assert message in result.stderr and result.stderr.count("mart:") == 1
    assert not list((home / "toy").glob("scratch/*"))
