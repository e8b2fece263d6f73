"""The whole way once: sample when none is there, build, a snapshot of every consumer, docs.

What needs a run's log happens inside ``runner.open_run``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from feature_mart.bigquery import load_folder, open_client
from feature_mart.errors import TerminalError, UsageError
from feature_mart.exporter import (
    SEALS,
    BuildContext,
    FileFormat,
    SnapshotReport,
    export_snapshot,
    read_seals,
)
from feature_mart.knowledge import build_site
from feature_mart.manifest import Consumer, Manifest, parse_manifest
from feature_mart.raw_contract import INITIAL_STATE
from feature_mart.runner import (
    BuildReport,
    Progress,
    RunLog,
    build_mart,
    open_engine,
    open_run,
    read_dbt_manifest,
    require_built,
)
from feature_mart.runner.bulk_loads import BulkLoad, find_bulks
from feature_mart.runner.load_clock import read_load_clock
from feature_mart.sample import SampleReport, write_sample
from feature_mart.settings import Settings
from feature_mart.storage import Store, open_store

SAMPLE_JOBS = 20_000
SAMPLE_SEED = 0

#: Gives what a person reads about bulk loads, as lines.
DescribeBulk = Callable[[Sequence[BulkLoad], str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What `mart run` did, for a person to read. `seconds` is wall time."""

    run_id: str
    settings: Settings
    build: BuildReport
    site: Path
    snapshots: tuple[SnapshotReport, ...]
    bulk_loads: tuple[BulkLoad, ...]
    seconds: float


def run(
    settings: Settings,
    *,
    as_of: str | None,
    stage: Callable[[str], Progress],
    describe_bulk: DescribeBulk,
) -> RunSummary:
    """Sample if needed, build, snapshots, and the docs, which tell of the snapshots.

    ``stage`` is called with each stage's name and gives what shows its progress; ``describe_bulk`` gives the lines
    about bulk loads that a failed build's message begins with.

    Raises:
        FeatureMartError: as the stages do; what earlier stages finished stays.
    """
    started = time.monotonic()
    snapshot_store(settings)
    with open_run(settings, "run") as log:
        if settings.is_sample and not settings.dwh.exists():
            make_sample(log, settings.dwh, SAMPLE_JOBS, SAMPLE_SEED, stage("sample"))
        built = build_mart(
            settings,
            log,
            as_of=as_of,
            progress=stage("build"),
            hints=lambda: describe_bulk(find_bulk_loads(settings), settings.warehouse),
        )
        snapshots = export_consumers(settings, log, progress=stage("export"))
        for mart in log.marts:
            for snapshot in snapshots:
                if mart["name"] == f"mart_{snapshot.consumer}__training":
                    mart["splits"] = {split.name: split.rows for split in snapshot.splits}
        site = build_docs(settings, log, stage("docs"))
        bulk = find_bulk_loads(settings)
    return RunSummary(
        log.run_id, settings, built, site, snapshots, bulk, time.monotonic() - started
    )


def build_docs(settings: Settings, log: RunLog, progress: Progress | None = None) -> Path:
    """The documentation site of the built mart, inside `open_run`; returns its front page.

    Raises:
        FeatureMartError: as `build_site`.
    """
    return build_site(settings, snapshot_store(settings), log, progress)


def make_sample(log: RunLog, out: Path, jobs: int, seed: int, progress: Progress) -> SampleReport:
    """Write the sample's own warehouse, as the one writer of its state folder."""
    with log.stage("sample"):
        return write_sample(out, jobs, seed, lambda step: progress(0, 0, step))


@dataclass(frozen=True, slots=True)
class LoadedSample:
    """A sample on BigQuery: its dataset, as ``project.dataset``, and rows by table."""

    dataset: str
    rows: dict[str, int]


def load_sample(
    settings: Settings, dataset: str, jobs: int, seed: int, progress: Progress
) -> LoadedSample:
    """Make a sample and load it into a dataset of the target's project.

    Raises:
        UsageError: the target is not BigQuery, or the dataset is there and was not made by this.
        FeatureMartError: BigQuery did not do it.
    """
    address = settings.bigquery
    if address is None:
        raise UsageError(
            "--to bigquery needs a target there: set MART_TARGET (bigquery_dev, say), MART_GCP_PROJECT and "
            "MART_GCP_LOCATION."
        )
    client = open_client(address, {"mart_command": "sample"})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / dataset
        write_sample(folder, jobs, seed, lambda step: progress(0, 0, step))
        rows = load_folder(
            client, address, folder, dataset, lambda table: progress(0, 0, f"load {table}")
        )
    return LoadedSample(f"{address.project}.{dataset}", rows)


def find_bulk_loads(settings: Settings) -> tuple[BulkLoad, ...]:
    """Return bulk loads for which seeds/load_clock.csv has no line of this warehouse, of tables where a line counts."""
    known = read_load_clock(settings.project, settings.warehouse)
    engine = open_engine(settings)
    found: list[BulkLoad] = []
    for table in INITIAL_STATE:
        if table not in settings.overwritten_sources:
            with engine.first_loads(table) as loads:
                if loads is not None:
                    found += find_bulks(table, loads, known.get(table, ()))
    return tuple(found)


def snapshot_store(settings: Settings, to: str | None = None) -> Store:
    """Where snapshots go: MART_SNAPSHOTS, or what --to named.

    Raises:
        UsageError: the address is none of a folder or a bucket.
    """
    return open_store(
        settings.snapshots if to is None else to, settings.s3, settings.scratch_dir / "export"
    )


def export_consumers(
    settings: Settings,
    log: RunLog,
    names: Sequence[str] = (),
    *,
    to: str | None = None,
    min_parts: int = 1,
    dry_run: bool = False,
    allow_failed: bool = False,
    strict: bool = False,
    file_format: FileFormat = "parquet",
    progress: Progress | None = None,
) -> tuple[SnapshotReport, ...]:
    """A snapshot of each named consumer, or of all, from the mart as it is.

    With `strict`, nothing is written for any of them unless every one is of use: several are judged, as on a dry run,
    before the first is written.

    Raises:
        UsageError: there is no mart, no such consumer, or the place is none that can be written.
        TerminalError: as `export_snapshot`.
    """
    store = snapshot_store(settings, to)
    with log.stage("export"):
        built = require_built(settings)
        log.as_of_at = built.as_of_at
        manifest = parse_manifest(read_dbt_manifest(settings))
        consumers = _choose_consumers(manifest, names)
        tables = [*(consumer.training_model for consumer in consumers), SEALS]
        with open_engine(settings).local_mart(tables, built.published_at) as mart:
            context = BuildContext(
                warehouse_id=settings.warehouse_id,
                as_of_at=built.as_of_at,
                created_at=settings.now,
                business_timezone=settings.clock.timezone,
                git_commit=log.git.commit,
                git_dirty=log.git.dirty,
                dbt_manifest_sha256=manifest.sha256,
                rationale_sha256=manifest.rationale_sha256,
                tests_passed=built.tests.passed,
                tests_failed=built.tests.failed,
                tests_warned=built.tests.warned,
                sources=read_seals(mart),
                allow_failed=allow_failed,
                engine=built.engine,
            )

            def export(*, dry_run: bool) -> tuple[SnapshotReport, ...]:
                meters = {consumer: _Meter(consumer.name, progress) for consumer in consumers}
                return tuple(
                    export_snapshot(
                        mart,
                        manifest,
                        consumer,
                        store,
                        context=context,
                        dry_run=dry_run,
                        min_parts=min_parts,
                        file_format=file_format,
                        strict=strict,
                        progress=meter.step,
                        meter=meter.moved,
                    )
                    for consumer, meter in meters.items()
                )

            if strict and len(consumers) > 1 and not dry_run:
                export(dry_run=True)
            return export(dry_run=dry_run)


def built_manifest(settings: Settings) -> Manifest:
    """dbt's manifest of the last build. Raises: UsageError where there is no mart."""
    require_built(settings)
    return parse_manifest(read_dbt_manifest(settings))


class _Meter:
    """Says of one export what it does, and how many rows and bytes are in their places, and how fast."""

    def __init__(self, name: str, progress: Progress | None) -> None:
        self._name, self._progress = name, progress
        self._began: float | None = None
        self._rows = self._bytes = 0
        self._step = ""

    def step(self, step: str) -> None:
        """Another step begins; the rate counts from the first part's."""
        self._step = step
        if self._began is None and step.startswith("write "):
            self._began = time.monotonic()
        self._show()

    def moved(self, rows: int, size: int) -> None:
        """So many rows and bytes, of all parts so far."""
        self._rows, self._bytes = rows, size
        self._show()

    def _show(self) -> None:
        if self._progress is None:
            return
        moved = ""
        if self._began is not None and self._bytes:
            seconds = max(time.monotonic() - self._began, 0.001)
            megabytes = self._bytes / 1e6
            rate = megabytes / seconds
            moved = f"{self._rows:,} rows, {megabytes:,.0f} MB, {rate:,.0f} MB/s · "
        self._progress(0, 0, f"{self._name}: {moved}{self._step}")


def _choose_consumers(manifest: Manifest, names: Sequence[str]) -> tuple[Consumer, ...]:
    if names:
        return tuple(manifest.consumer(name) for name in names)
    if not manifest.consumers:
        raise TerminalError(
            "No exposure names a consumer: add one to models/exposures.yml (config.meta.consumer)."
        )
    return manifest.consumers
