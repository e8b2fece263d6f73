"""Test that bad input gives one clear message and the right exit code, and changes no mart, snapshot or site."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from compiled_mart import PROJECT
from feature_mart.cli import main
from feature_mart.core.duckdb_files import copy_to, parquet
from feature_mart.sample import write_sample


class Mart:
    """A mart of a small warehouse with a snapshot, and the files that bad input must not change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dwh = folder / "raw" / "faulty"
        self.state = folder / "home" / "faulty"
        self.summary = ""

    def call(self, *arguments: str) -> Result:
        environment = {
            "MART_HOME": str(self.folder / "home"),
            "MART_DWH": str(self.dwh),
            "MART_SNAPSHOTS": None,
            "MART_TARGET": None,
        }
        return CliRunner().invoke(main, arguments, env=environment)

    def kept(self) -> dict[str, str]:
        """Return the hashes of the mart and of every file of its snapshots and site."""
        paths = [self.state / "mart.duckdb"]
        for name in ("snapshots", "site"):
            paths += sorted(path for path in (self.state / name).rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    def rewrite(self, table: str, select: str) -> None:
        """Replace a raw table by the result of a SELECT from ``raw``, which has the previous rows of the table."""
        path = self.dwh / f"{table}.parquet"
        con = duckdb.connect()
        con.execute(f"set TimeZone = 'UTC'; create table raw as from {parquet(path)}")
        copy_to(con, select, path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mart]:
    """Yield the mart that `mart run` builds from a valid warehouse, as of three weeks before the end of the data.

    The command runs in a copy of the project, so that edits of the project during the tests have no effect.
    """
    mart = Mart(tmp_path_factory.mktemp("sound"))
    project = mart.folder / "project"
    for name in (
        "models",
        "macros",
        "seeds",
        "profiles",
        "tests/generic",
        "tests/singular",
        "tests/fixtures",
    ):
        shutil.copytree(PROJECT / name, project / name)
    shutil.copyfile(PROJECT / "dbt_project.yml", project / "dbt_project.yml")
    write_sample(mart.dwh, jobs=400, seed=5)
    mart.rewrite(
        "proposals",
        "select * replace (timestamptz '2026-03-01 02:00:00+00' as loaded_at) from raw "
        "qualify row_number() over (partition by proposal_id order by loaded_at) = 1",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        done = mart.call("run", "--as-of", "2026-03-10")
        assert done.exit_code == 0, done.stderr
        mart.summary = done.stdout
        yield mart


@pytest.fixture
def mart(sound: Mart) -> Iterator[Mart]:
    """Yield the mart of fixture `sound`, and restore its raw tables after the test."""
    saved = sound.folder / "saved"
    shutil.copytree(sound.dwh, saved)
    before = sound.kept()
    yield sound
    shutil.rmtree(sound.dwh, ignore_errors=True)
    saved.rename(sound.dwh)
    assert sound.kept() == before


def without_zone(mart: Mart) -> None:
    mart.rewrite("jobs", "select * replace (cast(posted_at as timestamp) as posted_at) from raw")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda mart: (mart.dwh / "reviews.parquet").unlink(),
            "reviews: reviews.parquet is missing",
        ),
        (
            lambda mart: mart.rewrite("contracts", "select * exclude (agreed_price) from raw"),
            "contracts.agreed_price is missing; add the column as a number",
        ),
        (
            lambda mart: mart.rewrite(
                "contracts",
                "select * replace (cast(agreed_price as varchar) as agreed_price) from raw",
            ),
            "contracts.agreed_price is VARCHAR, but must be a number",
        ),
        (
            without_zone,
            "jobs.posted_at is TIMESTAMP, a timestamp without a time zone, which is ambiguous; write the column as",
        ),
        (
            lambda mart: mart.rewrite("jobs", "select * from raw where false"),
            "jobs: the table has no rows",
        ),
        (lambda mart: shutil.rmtree(mart.dwh), "is not a folder: set --dwh or MART_DWH"),
    ],
)
def test_a_fault_of_structure_is_one_message(
    mart: Mart, spoil: Callable[[Mart], None], said: str
) -> None:
    spoil(mart)
    for command in ("build", "run"):
        done = mart.call(command)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.count(said) == 1
        assert "Traceback" not in done.stderr


def test_an_older_as_of_is_refused(mart: Mart) -> None:
    done = mart.call("build", "--as-of", "2026-03-09")
    assert done.exit_code == 2
    assert "The mart is as of 2026-03-09 18:00Z" in done.stderr
    assert "--full-refresh to go back" in done.stderr


def test_faults_of_data_are_told_together_with_what_to_do(mart: Mart) -> None:
    mart.rewrite(
        "contracts",
        "select * exclude (n) replace ("
        "case when n = 1 then 'USD' else currency end as currency, "
        "case when n = 2 then 'active' else status end as status, "
        "case when n = 2 then 0 else agreed_price end as agreed_price) "
        "from (select *, row_number() over (order by contract_id, loaded_at) as n from raw)",
    )
    mart.rewrite(
        "clients",
        "from raw union all by name (select * replace ('tripled' as prefecture) from raw limit 1)",
    )
    done = mart.call("build", "--as-of", "2026-03-10")
    assert (done.exit_code, done.stdout) == (1, "")
    for said in (
        "contracts: the currency of some rows is not the mart's (stg_dwh__contracts.currency): ",
        "contracts.agreed_price is zero or below on an active or completed contract",
        "clients: rows with the same client_id and loaded_at have different values (dwh.clients): 1 row",
    ):
        assert done.stderr.count(f"  - {said}") == 1, done.stderr
    assert done.stderr.index("keys were first loaded together, on 2026-03-01") < done.stderr.index(
        "\n  - "
    )
    assert "to do: correct the price in the raw table" in done.stderr
    assert "currency=USD" in done.stderr
    assert "agreed_price_amount=0" in done.stderr
    assert "Traceback" not in done.stderr
    (report,) = [
        document
        for path in (mart.state / "runs").glob("*.json")
        if (document := json.loads(path.read_text()))["error"]
        == done.stderr.split("mart: ", 1)[1].strip()
    ]
    assert (report["status"], report["exit_code"]) == ("failed", 1)
    assert report["tests"]["failed"] >= 3


@pytest.mark.audit
@pytest.mark.parametrize(
    "changed",
    [
        "from raw union all by name (select * replace ("
        "'behind' as contract_id, timestamptz '2026-03-01 00:00:00+00' as loaded_at) from raw limit 1)",
        "from raw where contract_id != (select min(contract_id) from raw)",
    ],
    ids=["appeared", "vanished"],
)
def test_a_changed_past_stops_the_build_and_names_the_day(mart: Mart, changed: str) -> None:
    mart.rewrite("contracts", changed)
    done = mart.call("build", "--as-of", "2026-03-11")
    assert done.exit_code == 1, done.stderr
    assert "a row was added with an old load time, or removed" in done.stderr
    assert "rebuild with --full-refresh" in done.stderr
    assert "table_name=contracts" in done.stderr
    assert "rebuild_from=2026-03-09 18:00:00+00" in done.stderr


def test_the_summary_says_what_a_person_asks(sound: Mart) -> None:
    lines = [" ".join(line.split()) for line in sound.summary.splitlines()]
    for said in (
        "Feature mart of faulty, as of 2026-03-10 03:00 Asia/Tokyo",
        "in full: no mart yet",
        "price_estimation: ",
        "train ",
        "not judged yet: null rates, distinct values, distributions, volumes of features: ",
        "excluded: label_not_yet_known ",
        "total, with purged rows ",
        f"docs {sound.state / 'site' / 'index.html'}",
        f"snapshot {sound.state / 'snapshots' / 'price_estimation' / 'snapshots'}",
        "keys were first loaded together, on 2026-03-01",
        '"faulty","proposals","2026-03-01 02:00:01+00","',
        "keys then count as known earlier: half of them by ",
        "Try next:",
        f"export MART_DWH={sound.dwh}",
    ):
        assert any(said in line for line in lines), (said, sound.summary)


def test_the_snapshot_of_the_run_adds_up_and_is_verified(sound: Mart) -> None:
    done = sound.call("export", "price_estimation", "--dry-run", "--json")
    (snapshot,) = json.loads(done.stdout)["snapshots"]
    assert snapshot["status"] == "unchanged"
    rows = sum(split["rows"] + split["purged"] for split in snapshot["splits"])
    assert rows + sum(snapshot["excluded"].values()) == snapshot["mart_rows"]
    verdict = sound.call("snapshot", "verify", snapshot["address"])
    assert (verdict.exit_code, verdict.stdout[:5]) == (0, "good:")
    listed = json.loads(sound.call("snapshot", "list", "price_estimation", "--json").stdout)
    assert [line["is_latest"] for line in listed["snapshots"]] == [True]
