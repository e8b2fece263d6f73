"""Test the message and the exit code after each fault of BigQuery, and that no row is written twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import Result

from bigquery_emulator import Emulator, run_emulator
from bigquery_proxy import Fault, Proxy, run_proxy
from compiled_mart import PROJECT
from emulated_mart import call, emulated_mart, environment_of
from feature_mart.bigquery import open_client
from feature_mart.core.errors import TerminalError
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
#: A text that occurs only in the statement that appends a day's rows. The statement must not run twice.
MERGE = "merge into"
FIRST_DAY = date(2024, 3, 2)
#: Retries and timeouts of builds without an injected fault, long enough for a busy machine.
PATIENT = {"MART_BQ_RETRIES": "5", "MART_BQ_RETRY_S": "120", "MART_BQ_TIMEOUT_S": "120"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with run_emulator() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(emulator: Emulator) -> Iterator[Proxy]:
    with run_proxy(emulator.rest_port) as running:
        yield running


class Toy:
    """A mart of two models behind the proxy. Each test builds the day after the day of the previous test."""

    def __init__(self, folder: Path, emulator: Emulator, proxy: Proxy, name: str) -> None:
        self.proxy = proxy
        self.project = project = write_project(folder / "toy")
        (project / "models" / "toy_jobs.sql").write_text(_JOBS.lstrip())
        (project / "models" / "toy_daily.sql").write_text(_DAILY.lstrip())
        # Copy the setting by which the real project labels every BigQuery job.
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
            "MART_BQ_TIMEOUT_S": "120",
        }
        self.day = FIRST_DAY
        self.is_finished = False

    def build(self, *arguments: str, **others: str) -> Result:
        done = call({**self.variables, **others}, "build", "--as-of", f"{self.day}", *arguments)
        self.is_finished = done.exit_code == 0
        return done

    def begin_day(self) -> None:
        """Remove all faults, build `day` again if its last build failed, and set `day` to the next day."""
        self.proxy.faults.clear()
        if not self.is_finished:
            done = self.build(**PATIENT)
            assert done.exit_code == 0, done.output
        self.day += timedelta(days=1)

    def day_is_there_once(self) -> bool:
        """Return True if this day's refresh has one row, with a job count of 2, and no refresh has two rows."""
        query = (
            "select as_of_at, job_count, count(*) as times "
            f"from `mart-test.{self.name}.toy_daily` group by 1, 2"
        )
        found = [tuple(row) for row in self.straight.client.query(query).result()]
        refresh = self.straight.settings.clock.refresh_of(self.day)
        return (refresh, 2, 1) in found and all(times == 1 for _, _, times in found)


@pytest.fixture(scope="module")
def built_toy(
    tmp_path_factory: pytest.TempPathFactory, emulator: Emulator, proxy: Proxy
) -> Iterator[Toy]:
    folder = tmp_path_factory.mktemp("faults")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(write_project(folder / "first"))
        yield Toy(folder, emulator, proxy, "toy_faults")


@pytest.fixture
def toy(built_toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    monkeypatch.chdir(built_toy.project)
    built_toy.begin_day()
    yield built_toy
    built_toy.proxy.faults.clear()


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
    # Only a hanging request waits for the timeout. For other faults the timeout allows for a busy machine.
    done = toy.build(**({"MART_BQ_TIMEOUT_S": "4"} if fault.how == "hang" else {}))
    assert done.exit_code == 75, done.output
    assert "try again later" in done.stderr and "Traceback" not in done.stderr
    toy.proxy.faults.clear()
    again = toy.build(**PATIENT)
    assert again.exit_code == 0, again.output
    assert toy.day_is_there_once()


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
    done = toy.build(**PATIENT)
    assert toy.proxy.faults[0].seen >= 1, "the fault never happened"
    assert done.exit_code == 0, done.output
    assert toy.day_is_there_once()


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
    done = toy.build(**PATIENT)
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
    published = require_built(toy.straight.settings).as_of_at
    done = toy.build(**PATIENT)
    assert done.exit_code == 1 and "readers of mart-test" in done.stderr
    assert require_built(toy.straight.settings).as_of_at == published
    toy.proxy.faults.clear()
    again = toy.build("--json", **PATIENT)
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["full_because"] == ("no finished mart that BigQuery can read")


def test_jobs_carry_labels_and_a_limit_of_bytes(toy: Toy) -> None:
    toy.proxy.jobs.clear()
    done = toy.build(**PATIENT, MART_BQ_MAX_BYTES="123456789")
    assert done.exit_code == 0, done.output
    merges = [sent for sent in toy.proxy.jobs if MERGE in json.dumps(sent).lower()]
    configuration = merges[0]["configuration"]
    assert configuration["query"]["maximumBytesBilled"] == "123456789"
    assert {"dbt_invocation_id", "model", "run", "commit", "target"} <= set(configuration["labels"])
    assert configuration["labels"]["model"] == "toy_daily"


def test_cost_adds_up_what_dry_runs_say(toy: Toy) -> None:
    gib = 2**30
    toy.proxy.bytes_by_text = [("job_count", 1), ("client_id is null", 3 * gib)]
    done = call(toy.variables | PATIENT, "cost", "--json")
    toy.proxy.bytes_by_text = []
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    models = {model["model"]: model for model in report["models"]}
    # BigQuery bills at least 10 MiB for a query. Creating a view reads nothing, but the check of the view does.
    assert models["toy_daily"]["bytes"] == 10 * 2**20 and models["toy_daily"]["is_lower_bound"]
    assert (models["toy_jobs"]["bytes"], models["toy_jobs"]["check_bytes"]) == (0, 3 * gib)
    assert report["bytes"] == sum(m["bytes"] + m["check_bytes"] for m in report["models"])
    assert report["money"] == pytest.approx(report["bytes"] / 2**40 * report["price_per_tib"])
