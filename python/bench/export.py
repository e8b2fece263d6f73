"""Compare an export of 30 columns with a bare sorted COPY of the same parts: ``python -m bench.export [ROWS …]``.

An export to S3 is compared with the slower of the export to a folder and a bare upload. Each measurement runs in its
own process, for which CPU time and peak memory are measured. The bare COPY gets the bounds of the parts and writes the
same data and key parts with the same settings, but does not count, hash, check or commit. The S3 server is another
process on the same machine, so it competes for the CPU during an upload.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from bench.__main__ import FOLDER, Measured, measure
from feature_mart.core.duckdb_files import attach, connect, copy_to, parquet, quoted
from feature_mart.core.manifest import Manifest, parse_manifest
from feature_mart.core.services import S3Options
from feature_mart.exporter import BuildContext, export_snapshot
from feature_mart.exporter.layout import plan_layout
from feature_mart.exporter.part_files import COPY_OPTIONS
from feature_mart.snapshot_files import read_committed
from feature_mart.storage import open_store

SIZES = (5_000_000, 20_000_000)
MODEL = "mart_price_estimation__training"
FEATURES = 29
PART_ROWS = 250_000
BUCKET = "bench"
_ROUNDS = 5
_AUDIT = ("entered_at", "label_known_at", "exclusion_reason")


def make_mart(rows: int) -> Path:
    """Create a mart with an unordered training table, and return its path.

    The table has a label and 29 features, each of which is NULL in a tenth of the rows. A mart from an earlier run is
    reused.
    """
    path = FOLDER / f"export-{rows}.duckdb"
    if path.exists():
        return path
    FOLDER.mkdir(exist_ok=True)
    draft = path.with_suffix(".part")
    draft.unlink(missing_ok=True)
    # As in a real mart, counts, codes and ratios have few distinct values, and means and logs have many.
    kinds = (
        "(hash(i, {n}) % 40)::double",
        "ln(1 + hash(i, {n}) % 10000000)",
        "(hash(i, {n}) % 1000)::double / 1000",
    )
    features = ", ".join(
        f"case when hash(i, {n}, 1) % 10 = 0 then null else {kinds[n % 3].format(n=n)} end as f_{n:02d}"
        for n in range(FEATURES)
    )
    with duckdb.connect(str(draft)) as con:
        con.execute(
            "set TimeZone = 'UTC'; set memory_limit = '4GB'; set enable_progress_bar = false"
        )
        con.execute(f"set temp_directory = '{FOLDER}/spill'")
        con.execute(
            f"""
            create table {MODEL} as
            select
                'job-' || lpad(i::varchar, 9, '0') as job_id,
                moment as requested_at,
                moment + to_hours(1) as entered_at,
                {features},
                moment + to_hours(24) as label_known_at,
                8 + (hash(i, 99) % 100000)::double / 20000 as price_log,
                case when i % 20 = 0 then 'void' end as exclusion_reason
            from (
                select
                    hash(n) % {rows * 4} as i,
                    timestamptz '2021-01-01 00:00:00+00' + to_seconds((hash(n) % {rows * 4}) * 150000000.0 / {rows * 4})
                        as moment
                from range({rows}) as r (n)
            )
            qualify row_number() over (partition by i) = 1
            """
        )
    draft.rename(path)
    return path


def describe() -> Manifest:
    """Return a manifest that describes the training table of `make_mart`."""
    kinds = {"job_id": "varchar", "requested_at": "timestamptz", "entered_at": "timestamptz"}
    kinds |= {f"f_{n:02d}": "double" for n in range(FEATURES)}
    kinds |= {"label_known_at": "timestamptz", "price_log": "double", "exclusion_reason": "varchar"}
    roles = {"job_id": "key", "requested_at": "key", "price_log": "label"}
    roles |= dict.fromkeys(_AUDIT, "audit")
    columns = {
        name: {
            "name": name,
            "data_type": kind,
            "config": {"meta": {"role": roles[name]} if name in roles else {}},
        }
        for name, kind in kinds.items()
    }
    meta = {
        "consumer": "price_estimation",
        "features_model": "mart_price_estimation__features",
        "training_model": MODEL,
        "label": "price_log",
        "label_kind": "regression",
        "part_rows": PART_ROWS,
    }
    node = {"name": MODEL, "resource_type": "model", "raw_code": "select 1", "columns": columns}
    exposure = {"name": "price_estimation", "config": {"meta": meta}}
    return parse_manifest(
        {
            "metadata": {},
            "nodes": {f"model.mart.{MODEL}": node},
            "macros": {},
            "exposures": {"exposure.mart.price_estimation": exposure},
        }
    )


def export(mart: Path, to: str, endpoint: str) -> None:
    """Export a snapshot in the same way as `mart export`, and print its address."""
    manifest = describe()
    context = BuildContext(
        warehouse_id="bench",
        as_of_at=datetime(2026, 11, 1, 18, tzinfo=UTC),
        created_at=datetime.now(UTC),
        business_timezone="Asia/Tokyo",
        git_commit=None,
        git_dirty=False,
        dbt_manifest_sha256="a" * 64,
        rationale_sha256="b" * 64,
        tests_passed=0,
        tests_failed=0,
        tests_warned=0,
    )
    store = open_store(to, S3Options(endpoint=endpoint), FOLDER / "scratch")
    report = export_snapshot(mart, manifest, manifest.consumers[0], store, context=context)
    print(report.address)


def copy_bare(mart: Path, like: Path, out: Path) -> None:
    """Write the parts of the snapshot ``like`` to ``out`` with one sorted COPY for each part and nothing else."""
    layout = plan_layout(describe().consumers[0], describe().columns(MODEL))
    manifest = read_committed(like).manifest
    bounds: list[tuple[str, datetime, datetime]] = []
    with connect() as con:
        for part in manifest["parts"]:
            if part["path"].startswith("keys/"):
                ((low, high),) = con.execute(
                    f"select min(requested_at), max(requested_at) from {parquet(like / part['path'])}"
                ).fetchall()
                bounds.append((part["path"], low, high))
    columns = ", ".join(f'"{name}"::float as "{name}"' for name in layout.columns)
    out.mkdir(parents=True)
    with connect(memory_limit="2GB") as con:
        con.execute(f"set temp_directory = {quoted(FOLDER / 'spill')}")
        attach(con, mart, "mart")
        for path, low, high in bounds:
            where = f"exclusion_reason is null and requested_at between '{low}' and '{high}'"
            for kind, chosen in (
                ("data", columns),
                ("keys", "job_id, requested_at, label_known_at"),
            ):
                target = out / path.replace("keys/", f"{kind}/").replace("/", "-")
                copy_to(
                    con,
                    f"select {chosen} from mart.{MODEL} where {where} order by requested_at, job_id",
                    target,
                    COPY_OPTIONS["parquet"],
                )


def upload_bare(folder: Path, prefix: str, endpoint: str) -> None:
    """Upload the parts of a snapshot one by one, each with a SHA-256 checksum and four threads of boto3."""
    from boto3.s3.transfer import TransferConfig

    from feature_mart.storage.opening import open_s3_client

    client = open_s3_client(S3Options(endpoint=endpoint))
    config = TransferConfig(max_concurrency=4, multipart_chunksize=16 * 2**20)
    for path in sorted((folder / "data").rglob("*.parquet")) + sorted(
        (folder / "keys").rglob("*.parquet")
    ):
        key = f"{prefix}/{path.relative_to(folder)}"
        client.upload_file(
            str(path), BUCKET, key, ExtraArgs={"ChecksumAlgorithm": "SHA256"}, Config=config
        )


def main(sizes: list[int]) -> None:
    """Measure each step for every size, and print the median times and the highest peak memory."""
    print(f"{'rows':>11}  {'what':<28}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}{'MB':>8}")
    with _server() as endpoint:
        for rows in sizes:
            _measure_size(rows, endpoint)


def _measure_size(rows: int, endpoint: str) -> None:
    mart = make_mart(rows)
    place = FOLDER / f"snapshots-{rows}"
    found: dict[str, list[Measured]] = defaultdict(list)
    for turn in range(_ROUNDS if rows <= SIZES[0] else 1):
        shutil.rmtree(place, ignore_errors=True)
        found["export"].append(_child("export", mart, place, ""))
        (snapshot,) = place.glob("price_estimation/snapshots/*")
        found["export to S3"].append(
            _child("export", mart, f"s3://{BUCKET}/{rows}/{turn}", endpoint)
        )
        found["upload alone"].append(_child("upload", snapshot, f"{rows}/{turn}/bare", endpoint))
        shutil.rmtree(FOLDER / "bare", ignore_errors=True)
        found["bare COPY"].append(_child("bare", mart, snapshot, FOLDER / "bare"))
    size = sum(path.stat().st_size for path in snapshot.rglob("*.parquet")) / 1e6
    middle = {name: _median(values) for name, values in found.items()}
    for name, each in middle.items():
        print(
            f"{rows:>11,}  {name:<28}{each.wall_s:>8.1f}{each.cpu_s:>8.1f}{each.peak_mb:>9,.0f}{size:>8,.0f}"
        )
    for name, bare in _ratios(middle):
        print(f"{'':>11}  {name}: {bare:.2f}")


def _ratios(of: dict[str, Measured]) -> Iterator[tuple[str, float]]:
    yield "export / bare COPY", of["export"].wall_s / of["bare COPY"].wall_s
    slower = max(of["export"].wall_s, of["upload alone"].wall_s)
    yield "export to S3 / the slower of export and upload alone", of["export to S3"].wall_s / slower


def _median(values: list[Measured]) -> Measured:
    return Measured(
        statistics.median(each.wall_s for each in values),
        statistics.median(each.cpu_s for each in values),
        max(each.peak_mb for each in values),
    )


def _child(*arguments: object) -> Measured:
    keys = {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "bench.export", *(str(each) for each in arguments)]
    return measure(command, {"PYTHONPATH": "python", **keys})


@contextmanager
def _server() -> Iterator[str]:
    sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "support"))
    from s3_client import client_at, make_bucket  # type: ignore[import-not-found]
    from s3_server import run_s3  # type: ignore[import-not-found]

    with run_s3() as server:
        make_bucket(client_at(server.endpoint), BUCKET)
        yield server.endpoint


_STEPS: dict[str, Callable[..., None]] = {
    "export": lambda mart, to, endpoint="": export(Path(mart), to, endpoint),
    "bare": lambda mart, like, out: copy_bare(Path(mart), Path(like), Path(out)),
    "upload": lambda folder, prefix, endpoint: upload_bare(Path(folder), prefix, endpoint),
}

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in _STEPS:
        _STEPS[sys.argv[1]](*sys.argv[2:])
    else:
        began = time.monotonic()
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
        print(f"{time.monotonic() - began:.0f} s")
