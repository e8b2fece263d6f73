"""BigQuery's bad days: what a person reads, the exit code, and that nothing is there twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from bigquery_emulator import Emulator, run_emulator
from bigquery_proxy import Fault, Proxy, run_proxy
from compiled_mart import PROJECT
from emulated_mart import call, emulated_mart, environment_of
from feature_mart.bigquery import open_client
from feature_mart.errors import TerminalError
from feature_mart.runner import require_built
from toy_project import job, write_project, write_warehouse

_JOBS = """
select job_id, client_id, loaded_at from `{{ env_var("MART_DWH") }}.jobs`
"""
_DAILY = """
{{ config(materialized='incremental', on_schema_change='fail') }}
select timestamp('{{ var("as_of") }}') as as_of_at, count(*) as job_count
from {{ ref('toy_jobs') }}
where loaded_at <= timestamp('{{ var("as_of") }}')
{% if is_incremental() %}
having timestamp('{{ var("as_of") }}') > (select max(as_of_at) from {{ this }})
{% endif %}
"""
#: The append of the second day: what must not happen twice.
MERGE = "merge into"
DAYS = ("2024-03-02", "2024-03-04")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with run_emulator() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(emulator: Emulator) -> Iterator[Proxy]:
    with run_proxy(emulator.rest_port) as running:
        yield running


class Toy:
    """A mart of three models behind the proxy, built as of its first day."""

    def __init__(self, folder: Path, emulator: Emulator, proxy: Proxy, name: str) -> None:
        self.proxy = proxy
        project = write_project(folder / "toy")
        (project / "models" / "toy_jobs.sql").write_text(_JOBS.lstrip())
        (project / "models" / "toy_daily.sql").write_text(_DAILY.lstrip())
        # The mart's own labels on every job.
        settings = project / "dbt_project.yml"
        own = (PROJECT / "dbt_project.yml").read_text(encoding="utf-8")
        labels = own[own.index("query-comment:") : own.index("flags:")]
        settings.write_text(settings.read_text(encoding="utf-8") + labels, encoding="utf-8")
        (project / "macros").mkdir()
        shutil.copy(PROJECT / "macros" / "project" / "job_labels.sql", project / "macros")
        self.name = name
        raw = write_warehouse(folder / f"raw_{name}", [job(1), job(2)])
        straight = environment_of(
            emulator, folder / "home", MART_DWH=f"raw_{name}", MART_DATASET=name
        )
        self.straight = emulated_mart(straight, raw)
        self.straight.load(f"raw_{name}")
        self.variables = straight | {
            "MART_BQ_API_ENDPOINT": proxy.endpoint,
            "MART_BQ_RETRIES": "2",
            "MART_BQ_RETRY_S": "1",
            "MART_BQ_TIMEOUT_S": "4",
        }

    def build(self, *arguments: str, **others: str) -> Result:
        return call({**self.variables, **others}, "build", *arguments)

    def rows(self) -> list[tuple[Any, ...]]:
        query = f"select job_count from `mart-test.{self.name}.toy_daily` order by as_of_at"
        return [tuple(row) for row in self.straight.client.query(query).result()]


@pytest.fixture
def toy(
    tmp_path: Path,
    emulator: Emulator,
    proxy: Proxy,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Toy]:
    name = f"toy_{abs(hash(request.node.name)) % 10**9}"
    monkeypatch.chdir(write_project(tmp_path / "first"))
    made = Toy(tmp_path, emulator, proxy, name)
    monkeypatch.chdir(tmp_path / "toy")
    proxy.faults.clear()
    done = made.build("--as-of", DAYS[0])
    assert done.exit_code == 0, done.output
    yield made
    proxy.faults.clear()


PASSING = [
    Fault(
        "status",
        "/mart-test/jobs",
        status=403,
        reason="quotaExceeded",
        message="Quota exceeded: a day's",
    ),
    Fault(
        "status",
        "/mart-test/jobs",
        status=403,
        reason="rateLimitExceeded",
        message="Exceeded rate limits",
    ),
    Fault(
        "status",
        "/mart-test/jobs",
        status=429,
        reason="rateLimitExceeded",
        message="Too Many Requests",
    ),
    Fault(
        "status",
        "/mart-test/jobs",
        status=500,
        reason="internalError",
        message="Internal Server Error",
    ),
    Fault(
        "status",
        "/mart-test/jobs",
        status=503,
        reason="backendError",
        message="Service Unavailable",
    ),
    Fault("cut", "/mart-test/jobs"),
    Fault("hang", "/mart-test/jobs"),
]


def named(fault: Fault) -> str:
    return f"{fault.how} {fault.status if fault.how == 'status' else ''}{fault.reason}"


@pytest.mark.parametrize("fault", PASSING, ids=named)
def test_what_may_pass_ends_in_75_after_bounded_retries(toy: Toy, fault: Fault) -> None:
    toy.proxy.faults.append(replace(fault))
    done = toy.build("--as-of", DAYS[1])
    assert done.exit_code == 75, done.output
    assert "try again later" in done.stderr and "Traceback" not in done.stderr
    toy.proxy.faults.clear()
    again = toy.build("--as-of", DAYS[1])
    assert again.exit_code == 0, again.output
    assert toy.rows()[-1] == (2,) and len(toy.rows()) <= 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", MERGE, times=1, status=503, reason="backendError", message="once"),
        Fault("cut", MERGE, times=1),
        Fault("lost", MERGE, times=1),
    ],
    ids=named,
)
def test_once_is_no_fault_and_nothing_is_there_twice(toy: Toy, fault: Fault) -> None:
    toy.proxy.faults.append(replace(fault))
    done = toy.build("--as-of", DAYS[1])
    assert toy.proxy.faults[0].seen >= 1, "the fault never happened"
    assert done.exit_code == 0, done.output
    assert toy.rows() == [(2,), (2,)]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            Fault(
                "status",
                "/mart-test/jobs",
                status=403,
                reason="accessDenied",
                message="Access Denied: p",
            ),
            "roles/bigquery.jobUser",
        ),
        (
            Fault(
                "status",
                "/mart-test/jobs",
                status=404,
                reason="notFound",
                message="Not found: Project x",
            ),
            "MART_GCP_PROJECT",
        ),
        (
            Fault(
                "status", "/mart-test/jobs", status=401, reason="authError", message="Unauthorized"
            ),
            "gcloud auth application-default login",
        ),
        (
            Fault(
                "status",
                MERGE,
                status=400,
                reason="bytesBilledLimitExceeded",
                message="Query exceeded limit for bytes billed: 10. 20 or higher required.",
            ),
            "MART_BQ_MAX_BYTES",
        ),
    ],
    ids=["permission", "project", "credentials refused", "bytes"],
)
def test_what_will_not_pass_ends_in_1_and_says_what_to_set(
    toy: Toy, fault: Fault, words: str
) -> None:
    toy.proxy.faults.append(replace(fault))
    done = toy.build("--as-of", DAYS[1])
    assert done.exit_code == 1, done.output
    assert words in done.stderr and "Traceback" not in done.stderr


def test_missing_credentials_are_named(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", "nowhere")

    address = toy.straight.settings.bigquery
    assert address is not None
    with pytest.raises(TerminalError, match="gcloud auth application-default login"):
        open_client(replace(address, endpoint=""))


def test_a_failed_build_leaves_readers_what_was_published(toy: Toy) -> None:
    toy.proxy.faults.append(Fault("status", MERGE, status=400, reason="invalid", message="no"))
    done = toy.build("--as-of", DAYS[1])
    assert done.exit_code == 1 and "readers of mart-test" in done.stderr
    assert require_built(toy.straight.settings).as_of_at.day == 1
    toy.proxy.faults.clear()
    again = toy.build("--as-of", DAYS[1], "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["full_because"] == ("no finished mart that BigQuery can read")


def test_jobs_carry_labels_and_a_limit_of_bytes(toy: Toy) -> None:
    toy.proxy.jobs.clear()
    done = toy.build("--as-of", DAYS[1], MART_BQ_MAX_BYTES="123456789")
    assert done.exit_code == 0, done.output
    merges = [sent for sent in toy.proxy.jobs if MERGE in json.dumps(sent).lower()]
    configuration = merges[0]["configuration"]
    assert configuration["query"]["maximumBytesBilled"] == "123456789"
    assert {"dbt_invocation_id", "model", "run", "commit", "target"} <= set(configuration["labels"])
    assert configuration["labels"]["model"] == "toy_daily"


def test_cost_adds_up_what_dry_runs_say(toy: Toy) -> None:
    gib = 2**30
    toy.proxy.bytes_by_text = [("job_count", 1), ("client_id is null", 3 * gib)]
    done = call(toy.variables, "cost", "--json")
    toy.proxy.bytes_by_text = []
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    models = {model["model"]: model for model in report["models"]}
    # Ten mebibytes are billed at least; a view reads nothing by itself, its check does.
    assert models["toy_daily"]["bytes"] == 10 * 2**20 and models["toy_daily"]["is_lower_bound"]
    assert (models["toy_jobs"]["bytes"], models["toy_jobs"]["check_bytes"]) == (0, 3 * gib)
    assert report["bytes"] == sum(m["bytes"] + m["check_bytes"] for m in report["models"])
    assert report["money"] == pytest.approx(report["bytes"] / 2**40 * report["price_per_tib"])
