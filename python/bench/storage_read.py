"""Measure reading a table to local disk with the Storage Read API: ``python -m bench.storage_read [ROWS …]``.

The tests' emulator of BigQuery runs in another process, so the wall time is for loopback and includes the emulator's
work. Each size is read in its own process, so CPU time and peak memory are those of the reader alone. The peak
memory after the imports and a first small read is printed too.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
SIZES = (100_000, 1_000_000, 3_000_000)
#: The numbers of columns with counts and ratios. Together with keys and timestamps, they resemble a training mart.
COUNTS, RATIOS = 12, 14
_WARM_ROWS = 1_000


def columns() -> list[tuple[str, str, str]]:
    """Return the name, the BigQuery type and the SQL expression of each column; ``n`` is the number of the row."""
    hashed = "mod(n * 2654435761 + {0}, 1000003)"
    return [
        ("job_id", "string", "concat('job-', cast(n as string))"),
        ("requested_at", "timestamp", "timestamp_micros(1700000000000000 + n * 1000003)"),
        ("label_known_at", "timestamp", "timestamp_micros(1700600000000000 + n * 1000003)"),
        ("exclusion_reason", "string", "if(mod(n, 9) = 0, 'cancelled', null)"),
        *((f"count_{i}", "int64", f"mod({hashed.format(i)}, 97)") for i in range(COUNTS)),
        *(
            (f"ratio_{i}", "float64", f"if(mod(n, 7) = 0, null, {hashed.format(i)} / 1000003)")
            for i in range(RATIOS)
        ),
    ]


def read(name: str, rows: int) -> None:
    """Read a table of ``rows`` rows and print the measurements as JSON. Each call runs in a separate process."""
    from feature_mart.bigquery import copy_table, open_client, open_reader
    from feature_mart.core.settings import resolve_settings

    address = resolve_settings().bigquery
    assert address is not None
    ((at,),) = open_client(address).query("select current_timestamp()").result()
    with tempfile.TemporaryDirectory() as folder, open_reader(address) as reader:
        path = Path(folder) / "rows.parquet"
        moment = at.astimezone(UTC)
        copy_table(reader, address, f"rows_{_WARM_ROWS}", moment, path, _WARM_ROWS)
        before = resource.getrusage(resource.RUSAGE_SELF)
        began = time.monotonic()
        copy_table(reader, address, name, moment, path, rows)
        wall_s = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
        stored_mb = path.stat().st_size / 2**20
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        json.dumps(
            {
                "wall_s": wall_s,
                "cpu_s": cpu_s,
                "base_mb": before.ru_maxrss / 1024,
                "peak_mb": after.ru_maxrss / 1024,
                "stored_mb": stored_mb,
            }
        )
    )


def main(sizes: list[int]) -> None:
    """Create a table of each size in the emulator, read each table, and print the measurements."""
    sys.path.insert(0, str(PROJECT / "tests" / "support"))
    from bigquery_emulator import run_emulator  # type: ignore[import-not-found]
    from feature_mart.bigquery import ask, open_client
    from feature_mart.core.settings import resolve_settings

    with run_emulator() as emulator:
        environment = {
            "MART_TARGET": "bigquery_dev",
            "MART_GCP_PROJECT": "bench",
            "MART_GCP_LOCATION": "US",
            "MART_DATASET": "bench",
            "MART_BQ_API_ENDPOINT": emulator.endpoint,
            "MART_BQ_STORAGE_ENDPOINT": emulator.storage_endpoint,
        }
        address = resolve_settings(environment=environment).bigquery
        assert address is not None
        client = open_client(address)
        client.create_dataset("bench")
        declared = ", ".join(f"{name} {kind}" for name, kind, _ in columns())
        selected = ", ".join(f"{value} as {name}" for name, _, value in columns())
        for rows in (_WARM_ROWS, *sizes):
            numbers = f"unnest(generate_array(1, {rows})) as n"
            ask(
                client,
                f"create table bench.rows_{rows} ({declared}) as (select {selected} from {numbers})",
                address,
            )
        print(
            f"{'rows':>9}{'wall s':>8}{'rows/s':>10}{'CPU s':>7}{'before MB':>11}{'peak MB':>9}{'file MB':>9}"
        )
        peaks: dict[int, float] = {}
        for rows in sizes:
            found = _read_apart(rows, environment)
            peaks[rows] = found["peak_mb"]
            print(
                f"{rows:>9,}{found['wall_s']:>8.2f}{rows / found['wall_s']:>10,.0f}{found['cpu_s']:>7.2f}"
                f"{found['base_mb']:>11,.0f}{found['peak_mb']:>9,.0f}{found['stored_mb']:>9,.0f}"
            )
        for smaller, larger in itertools.pairwise(sizes):
            ratio = peaks[larger] / peaks[smaller]
            print(f"{smaller:,} → {larger:,} rows: {ratio:.2f} times the peak memory")


def _read_apart(rows: int, environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.storage_read", "--read", str(rows)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MART_")}
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={**kept, **environment, "PYTHONPATH": str(PROJECT / "python")},
    )
    if done.returncode:
        raise SystemExit(f"reading {rows:,} rows failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(f"rows_{sys.argv[2]}", int(sys.argv[2]))
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
