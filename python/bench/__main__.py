"""Build sample warehouses of several sizes and measure each stage: ``python -m bench [JOBS …]``.

Each stage runs in its own process, for which CPU time and peak memory are measured. dbt's overhead (start, parsing, one
transaction per model) is measured with the same command on a warehouse of one job and subtracted. The difference is the
CPU time of the SQL, exact to about a second.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from feature_mart.core.duckdb_files import connect
from feature_mart.core.settings import Clock
from feature_mart.raw.warehouse import raw_select

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / ".bench"
SIZES = (10_000, 100_000, 1_000_000)
#: The refresh of the full build: two days before the last refresh that adds rows of a sample. A very small sample has
#: no rows this late, and is built at an earlier refresh (see `Warehouse.days`).
LAST_DAY = datetime(2026, 3, 29, 18, tzinfo=UTC)
_DAY = timedelta(days=1)
_WARM_RUNS = 5
PYTHON_MODELS = ("int_job__terms", "feat_job__text")
#: The CPU times of two equal dbt runs differ by about this many seconds, so smaller differences are noise.
_NOISE_S = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of a process: wall time, CPU time of all its threads, and peak resident memory."""

    wall_s: float
    cpu_s: float
    peak_mb: float

    def and_then(self, other: Measured) -> Measured:
        """Return the sums of the times of two successive processes, and the higher of the two peaks of memory."""
        return Measured(
            self.wall_s + other.wall_s,
            self.cpu_s + other.cpu_s,
            max(self.peak_mb, other.peak_mb),
        )


def measure(command: list[str], environment: dict[str, str]) -> Measured:
    """Run a command to its end and return the measurements of the process.

    Raises:
        SystemExit: the command failed; the message has the end of the command's output.
    """
    FOLDER.mkdir(exist_ok=True)
    output = FOLDER / "last_output.txt"
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        with output.open("wb") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.chdir(PROJECT)
        os.execvpe(command[0], command, os.environ | environment)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{output.read_text()[-3000:]}")
    return Measured(
        time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    )


class Warehouse:
    """A sample warehouse of one size, and the commands that build its mart."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.folder = FOLDER / str(jobs)
        self.database = self.folder / "mart.duckdb"
        self.environment = {
            "MART_DWH": str(self.folder / "dwh"),
            "MART_DUCKDB_PATH": str(self.database),
        }

    @property
    def days(self) -> tuple[str, str]:
        """Return two successive refreshes: `LAST_DAY` and the next one, or earlier ones if the newest job is older.

        The earlier refreshes are for small samples: if the newest job was loaded long before `LAST_DAY`, the freshness
        check would fail as of `LAST_DAY`.
        """
        with connect() as con:
            row = con.execute(
                "select max(entered_at) from (select min(loaded_at) as entered_at "
                f"from ({raw_select(self.folder / 'dwh', 'jobs')}) group by job_id)"
            ).fetchone()
        assert row is not None
        first = min(LAST_DAY, Clock().refresh_at(row[0]))
        return first.isoformat(), (first + _DAY).isoformat()

    def sample(self) -> Measured:
        """Write the sample warehouse, and return the measurements of the process."""
        code = (
            "from pathlib import Path; from feature_mart.sample import write_sample; "
            f"write_sample(Path({str(self.folder / 'dwh')!r}), {self.jobs})"
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        return measure([sys.executable, "-c", code], {})

    def dbt(self, *arguments: str, as_of: str) -> Measured:
        """Run a dbt command as of a refresh, and return the measurements of the process."""
        return measure(
            [
                *(sys.executable, "-m", "dbt.cli.main", *arguments),
                *("--profiles-dir", "profiles", "--quiet"),
                *("--target-path", str(self.folder / "target")),
                *("--log-path", str(self.folder / "logs")),
                *("--vars", json.dumps({"as_of": as_of, "warehouse": "sample"})),
            ],
            self.environment,
        )

    def build(self) -> dict[str, Measured]:
        """Build all models in full, SQL and Python separately, then append one more refresh and run the data tests.

        Unit tests do not run. Return the measurements of each step by name.
        """
        self.database.unlink(missing_ok=True)
        day, next_day = self.days
        self.dbt("seed", as_of=day)
        full = ("run", "--full-refresh")
        spine = [f"+{name}" for name in PYTHON_MODELS]
        before = self.dbt(*full, "--select", *spine, "--exclude", *PYTHON_MODELS, as_of=day)
        python = self.dbt(*full, "--select", *PYTHON_MODELS, as_of=day)
        after = self.dbt(*full, "--exclude", *spine, as_of=day)
        return {
            "SQL models, in full": before.and_then(after),
            "Python models, in full": python,
            "models, one more refresh": self.dbt("run", as_of=next_day),
            "checks": self.dbt("test", "--exclude", "test_type:unit", as_of=next_day),
        }


def pit_join_ratio(warehouse: Warehouse) -> tuple[float, float]:
    """Return the shortest times, in seconds, of the compiled `feat_job__client_at_request` and of a bare ASOF join."""
    nodes = json.loads((warehouse.folder / "target" / "manifest.json").read_text())["nodes"]
    compiled = next(
        node["compiled_code"]
        for node in nodes.values()
        if node["name"] == "feat_job__client_at_request"
    )
    bare = """
        select requests.job_id, requests.requested_at, requests.entered_at,
            history.client_posting_count_90d, history.client_contract_count_365d,
            history.client_contract_count_all, history.client_log_price_mean_365d,
            history.client_cancelled_contract_ratio_all, history.client_last_contracted_at,
            history.client_registered_at
        from int_job__requests as requests
        asof left join feat_client__history as history
            on requests.client_id = history.client_id
            and requests.requested_at >= history.available_at
    """
    with duckdb.connect(str(warehouse.database)) as con:
        con.execute("set TimeZone = 'UTC'; set memory_limit = '2500MB'; set threads = 2")
        con.execute("set preserve_insertion_order = false")
        # Alternate the two queries, so that a busy moment of the machine affects both.
        rounds = [(_seconds(con, compiled), _seconds(con, bare)) for _ in range(_WARM_RUNS)]
    return min(model for model, _ in rounds), min(join for _, join in rounds)


def _seconds(con: duckdb.DuckDBPyConnection, select: str) -> float:
    began = time.monotonic()
    con.execute(f"create or replace temp table measured as {select}")
    return time.monotonic() - began


def main(sizes: list[int]) -> None:
    """Measure the stages for every size, and print a table of the measurements."""
    nothing = Warehouse(1)
    nothing.sample()
    own = nothing.build()
    print(
        f"overhead of dbt: {own['SQL models, in full'].cpu_s:.1f} CPU s for the SQL models in full\n"
    )
    print(f"{'jobs':>9}  {'stage':<26}{'wall s':>8}{'CPU s':>8}{'net CPU s':>11}{'peak MB':>9}")
    full_cpu: dict[int, float] = {}
    for jobs in sizes:
        warehouse = Warehouse(jobs)
        stages = {"sample": warehouse.sample()} | warehouse.build()
        for name, found in stages.items():
            sql = found.cpu_s - own[name].cpu_s if name in own else found.cpu_s
            print(
                f"{jobs:>9,}  {name:<26}{found.wall_s:>8.1f}{found.cpu_s:>8.1f}{sql:>11.1f}"
                f"{found.peak_mb:>9,.0f}"
            )
        full = sum(
            stages[name].cpu_s - own[name].cpu_s
            for name in ("SQL models, in full", "Python models, in full")
        )
        more = stages["models, one more refresh"].cpu_s - own["models, one more refresh"].cpu_s
        full_cpu[jobs] = full
        # Compile as for a full build, because a daily build joins only the requests of one day.
        warehouse.dbt("compile", "--full-refresh", as_of=warehouse.days[1])
        model, bare = pit_join_ratio(warehouse)
        if full > _NOISE_S:
            print(f"{'':>9}  one more refresh / full, SQL CPU: {more / full:.3f}")
        print(f"{'':>9}  pit_join {model:.2f} s / bare ASOF {bare:.2f} s: {model / bare:.2f}")
    for smaller, larger in itertools.pairwise(sizes):
        if full_cpu[smaller] > _NOISE_S:
            times = full_cpu[larger] / full_cpu[smaller]
            print(f"{smaller:,} → {larger:,} jobs: {times:.1f} times the SQL CPU")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or list(SIZES))
