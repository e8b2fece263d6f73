"""Run `mart run` and its parts: the sample if it is missing, the build, a snapshot of each consumer, the site.

Functions that take a ``log`` must be called inside ``runner.open_run``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from feature_mart import exporter
from feature_mart.bigquery import load_folder, open_client
from feature_mart.core.errors import TerminalError, UsageError
from feature_mart.core.manifest import Consumer, Manifest, parse_manifest
from feature_mart.core.raw_contract import INITIAL_STATE
from feature_mart.core.settings import Settings
from feature_mart.exporter import (
    SEALS,
    BuildContext,
    FileFormat,
    SnapshotReport,
    export_snapshot,
    read_seals,
)
from feature_mart.knowledge import build_site
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
from feature_mart.runner.archive import Archive, find_archive
from feature_mart.runner.bulk_loads import BulkLoad, find_bulks
from feature_mart.runner.decide import check_as_of
from feature_mart.runner.load_clock import read_load_clock
from feature_mart.sample import SampleReport, write_sample
from feature_mart.storage import Store, open_store

SAMPLE_JOBS = 20_000
SAMPLE_SEED = 0

#: A function that takes unusual loads and the settings of the warehouse, and returns lines that describe the loads.
DescribeLoads = Callable[["UnusualLoads", Settings], Sequence[str]]


@dataclass(frozen=True, slots=True)
class UnusualLoads:
    """Properties of the raw rows that may explain empty features, missing labels or failing checks.

    `bulk` has the bulk loads that overlap no line of the load clock. `archive` is set if the data end long before the
    refresh and the refresh was not chosen by --as-of or dbt var as_of; else it is None.
    """

    bulk: tuple[BulkLoad, ...]
    archive: Archive | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The results of `mart run`, from which the command's output is printed. `seconds` is wall time."""

    run_id: str
    settings: Settings
    build: BuildReport
    site: Path
    snapshots: tuple[SnapshotReport, ...]
    loads: UnusualLoads
    seconds: float


def run(
    settings: Settings,
    *,
    as_of: str | None,
    full_refresh: bool = False,
    stage: Callable[[str], Progress],
    describe_loads: DescribeLoads,
) -> RunSummary:
    """Write the sample if it is missing, build, export a snapshot of each consumer, and write the site.

    The site comes last because it describes the snapshots. ``as_of`` is the value of --as-of; None for the default
    refresh. ``full_refresh`` builds every table anew. ``stage`` takes the name of a stage and returns its progress
    callback. ``describe_loads`` returns lines about unusual loads, for the message of a failed build or export.

    Raises:
        FeatureMartError: a stage failed. The results of earlier stages are kept.
    """
    started = time.monotonic()
    snapshot_store(settings)
    check_as_of(settings, as_of)
    with open_run(settings, "run") as log:
        if settings.is_sample and not settings.dwh.exists():
            make_sample(log, settings.dwh, SAMPLE_JOBS, SAMPLE_SEED, stage("sample"))
        built = build_mart(
            settings,
            log,
            as_of=as_of,
            full_refresh=full_refresh,
            progress=stage("build"),
            hints=lambda: describe_loads(find_unusual_loads(settings, log, as_of), settings),
        )
        try:
            snapshots = export_consumers(settings, log, progress=stage("export"))
        except TerminalError as error:
            lines = describe_loads(find_unusual_loads(settings, log, as_of), settings)
            if type(error) is not TerminalError or not lines:
                raise
            raise TerminalError("\n".join((str(error), *lines))) from None
        for mart in log.marts:
            for snapshot in snapshots:
                if mart["name"] == f"mart_{snapshot.consumer}__training":
                    mart["splits"] = {split.name: split.rows for split in snapshot.splits}
        site = build_docs(settings, log, stage("docs"))
        loads = find_unusual_loads(settings, log, as_of)
    return RunSummary(
        log.run_id, settings, built, site, snapshots, loads, time.monotonic() - started
    )


def build_docs(settings: Settings, log: RunLog, progress: Progress | None = None) -> Path:
    """Write the documentation site of the built mart and return the path of its front page. Call inside `open_run`.

    Raises:
        FeatureMartError: as `build_site`.
    """
    return build_site(settings, snapshot_store(settings), log, progress)


def make_sample(log: RunLog, out: Path, jobs: int, seed: int, progress: Progress) -> SampleReport:
    """Write a sample warehouse to the folder ``out``. Call inside `open_run`, which locks the state folder.

    Raises:
        FeatureMartError: as `write_sample`.
    """
    with log.stage("sample"):
        return write_sample(out, jobs, seed, lambda step: progress(0, 0, step))


@dataclass(frozen=True, slots=True)
class LoadedSample:
    """A sample on BigQuery. `dataset` is ``project.dataset``, and `rows` is the number of rows by table."""

    dataset: str
    rows: dict[str, int]


def load_sample(
    settings: Settings, dataset: str, jobs: int, seed: int, progress: Progress
) -> LoadedSample:
    """Generate a sample and load it into a dataset of the target's project.

    Raises:
        UsageError: the target is not BigQuery, the dataset was not made by this command, or as `write_sample`.
        FeatureMartError: a request to BigQuery failed.
    """
    address = settings.bigquery
    if address is None:
        raise UsageError(
            "--to bigquery needs a BigQuery target: set MART_TARGET (such as bigquery_dev), MART_GCP_PROJECT and "
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
    """Return the bulk loads that overlap no line of seeds/load_clock.csv, as `find_bulks` for each table.

    Only tables to which lines of the load clock can apply are searched.

    Raises:
        UsageError: as `read_load_clock`.
    """
    known = read_load_clock(settings.project, settings.warehouse)
    engine = open_engine(settings)
    found: list[BulkLoad] = []
    for table in INITIAL_STATE:
        if table not in settings.overwritten_sources:
            with engine.first_loads(table) as loads:
                if loads is not None:
                    found += find_bulks(table, loads, known.get(table, ()))
    return tuple(found)


def find_unusual_loads(settings: Settings, log: RunLog, as_of: str | None) -> UnusualLoads:
    """Return the unusual loads of the raw rows, as of the refresh of a run that has begun to build.

    ``as_of`` is the value of --as-of; None if it is not given. If the user chose the refresh, no archive is reported.

    Raises:
        UsageError: as `read_load_clock`.
    """
    bulk = find_bulk_loads(settings)
    if as_of or settings.as_of or log.as_of_at is None:
        return UnusualLoads(bulk, None)
    known = read_load_clock(settings.project, settings.warehouse)
    lines = [line for each in known.values() for line in each]
    lines += [each.line for each in bulk if each.line is not None]
    return UnusualLoads(bulk, find_archive(settings, open_engine(settings), log.as_of_at, lines))


def snapshot_store(settings: Settings, to: str | None = None) -> Store:
    """Return the store of the snapshots at ``to``, the value of --to. If ``to`` is None, use MART_SNAPSHOTS.

    Raises:
        UsageError: the address is neither a folder nor a bucket.
    """
    return open_store(
        settings.snapshots if to is None else to, settings.s3, settings.scratch_dir / "export"
    )


def find_snapshot(settings: Settings, wanted: str) -> str:
    """Return the address of the snapshot that a user names by id, consumer, folder or address.

    Raises:
        UsageError: as `exporter.find_snapshot`.
    """
    return exporter.find_snapshot(snapshot_store(settings), wanted, settings.s3)


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
    """Export a snapshot of each named consumer, or of all consumers, from the built mart.

    With ``strict``, no snapshot is written unless all of them are usable; if there are several consumers, a dry run
    checks this first. ``to`` is the value of --to; None for MART_SNAPSHOTS. The other options are those of
    `export_snapshot` and `BuildContext`.

    Raises:
        UsageError: there is no mart or no such consumer, or the place for the snapshots is not valid.
        TerminalError: as `export_snapshot`, or no exposure has a consumer.
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
    """Return dbt's manifest of the last build.

    Raises:
        UsageError: there is no mart.
    """
    require_built(settings)
    return parse_manifest(read_dbt_manifest(settings))


class _Meter:
    """Reports the progress of one export: the present step, the rows and bytes written so far, and the rate."""

    def __init__(self, name: str, progress: Progress | None) -> None:
        self._name, self._progress = name, progress
        self._began: float | None = None
        self._rows = self._bytes = 0
        self._step = ""

    def step(self, step: str) -> None:
        """Start another step. The rate is measured from the start of the first step that writes a part."""
        self._step = step
        if self._began is None and step.startswith("write "):
            self._began = time.monotonic()
        self._show()

    def moved(self, rows: int, size: int) -> None:
        """Set the rows and bytes written so far, over all parts."""
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
            "No exposure has a consumer: set config.meta.consumer of an exposure in models/exposures.yml."
        )
    return manifest.consumers
