"""Export a snapshot: define the public functions and the reports, and call the steps in order."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from feature_mart.core.errors import TerminalError
from feature_mart.core.manifest import Consumer, Manifest
from feature_mart.core.zones import load_zone
from feature_mart.exporter.commit import begun_parts, commit_snapshot, committed_manifest
from feature_mart.exporter.documents import BuildContext, manifest_document, parts_list
from feature_mart.exporter.latest import LatestOutcome, check_same_warehouse, move_latest
from feature_mart.exporter.layout import FileFormat, Layout, plan_layout
from feature_mart.exporter.part_files import open_writer
from feature_mart.exporter.parts import write_parts
from feature_mart.exporter.plan import Plan, plan_snapshot
from feature_mart.exporter.removal import clear_dead_attempt
from feature_mart.exporter.source import RowSource, open_duckdb
from feature_mart.exporter.staging import Staging
from feature_mart.exporter.uploads import Meter, StoredPart, Uploads
from feature_mart.snapshot_files import (
    CONDITIONS,
    MANIFEST,
    SCHEMA,
    SPLITS,
    check_document,
    encode_document,
    part_path,
    split_manifest,
)
from feature_mart.snapshot_files.usability import Shortcoming
from feature_mart.storage import Store

Progress = Callable[[str], None]
"""A function that is called with one short line before each step."""

Status = Literal["written", "adopted", "unchanged", "planned"]
"""The status of an export.

written: the snapshot is new. adopted: the export finished an earlier attempt. unchanged: the store had the content
already. planned: a dry run found that the snapshot would be new.
"""


@dataclass(frozen=True, slots=True)
class SplitReport:
    """One split of a snapshot: bounds, number of rows in the snapshot, and number of rows purged."""

    name: str
    start: datetime
    end: datetime
    rows: int
    purged: int


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """The result of an export.

    Attributes:
        mart_rows: number of rows of the training mart: the rows of all splits, the purged and the excluded rows.
        parts, bytes: number and total size of the part files; None on a dry run that would write a new snapshot.
        latest: the effect on latest.json; None on a dry run.
        sent_bytes: total size of the part files that this export wrote, without files that were already stored.
        warnings: the reasons why the snapshot is of little use.
        through: endpoint, region, profile, proxy and certificates of a bucket, as text; empty for a folder.
    """

    consumer: str
    id: str
    address: str
    status: Status
    mart_rows: int
    columns: tuple[str, ...]
    splits: tuple[SplitReport, ...]
    excluded: dict[str, int]
    parts: int | None
    bytes: int | None
    latest: LatestOutcome | None
    sent_bytes: int = 0
    warnings: tuple[Shortcoming, ...] = ()
    through: str = ""


def export_snapshot(
    mart_path: Path,
    manifest: Manifest,
    consumer: Consumer,
    store: Store,
    *,
    context: BuildContext,
    dry_run: bool = False,
    min_parts: int = 1,
    file_format: FileFormat = "parquet",
    strict: bool = False,
    progress: Progress | None = None,
    meter: Meter | None = None,
) -> SnapshotReport:
    """Write one consumer's snapshot from a DuckDB mart to a folder or a bucket.

    The export is idempotent: if a snapshot of the same content is committed, no snapshot is written. Each split has
    about one part per `part_rows` rows and at least `min_parts` parts, but never more parts than rows. An empty split
    has one part of 0 rows. A CSV snapshot has another id than a Parquet snapshot of the same rows, and is never named
    by latest.json. A snapshot that cannot be trained on or scored is written with warnings, or refused if `strict`.

    Args:
        context: facts about the build, for manifest.json.
        dry_run: plan the snapshot and write nothing to the store.
        progress: called with one short line before each step.
        meter: called with the number of rows and bytes stored so far.

    Raises:
        TerminalError: tests failed and `allow_failed` is not set; `strict` and there is a warning; the table does not
            match its contract; there is no labelled row; a value is not a finite float32; row counts do not add up; the
            place holds snapshots of another warehouse; a snapshot of the same id is damaged or has fewer parts
            than `min_parts`; the store refuses a write or ignores conditional writes.
        TransientError: the store failed, and a retry may succeed.
    """
    layout = plan_layout(consumer, manifest.columns(consumer.training_model), file_format)
    show = Show(progress or _quiet, meter or _unmeasured)
    try:
        if dry_run:
            with TemporaryDirectory() as room, open_duckdb(mart_path, Path(room)) as source:
                return export_rows(
                    source,
                    layout,
                    consumer,
                    store,
                    Path(),
                    context,
                    show,
                    min_parts,
                    dry_run=True,
                    strict=strict,
                )
        with store.scratch() as scratch, open_duckdb(mart_path, scratch) as source:
            return export_rows(
                source, layout, consumer, store, scratch, context, show, min_parts, strict=strict
            )
    except OSError as error:
        # For a bucket, the error comes from the local disk, where the parts are written before upload.
        raise TerminalError(
            f"Writing to {store.address()}, or writing the parts to local disk, failed: {error}. Nothing was "
            "committed. Make room or correct the cause, then export again."
        ) from error


@dataclass(frozen=True, slots=True)
class Show:
    """Callbacks that report the progress of an export."""

    step: Progress
    meter: Meter


def _quiet(_line: str) -> None:
    pass


def _unmeasured(_rows: int, _bytes: int) -> None:
    pass


def export_rows(
    source: RowSource,
    layout: Layout,
    consumer: Consumer,
    store: Store,
    scratch: Path,
    context: BuildContext,
    show: Show,
    min_parts: int = 1,
    *,
    dry_run: bool = False,
    strict: bool = False,
) -> SnapshotReport:
    """Export a snapshot from any source to any store, with the arguments and errors of `export_snapshot`.

    `scratch` is the local folder in which the parts are written first; a dry run does not use it.
    """
    if context.tests_failed and not context.allow_failed:
        raise TerminalError(
            f"{context.tests_failed} tests failed in the last build; correct them and build again, or export with "
            "--allow-failed, which the manifest records."
        )
    room = nullcontext() if dry_run else Staging(scratch / "rows", len(layout.columns))
    beside = ThreadPoolExecutor(1)
    with room as staging, _left_alone(beside):
        # Check the store in another thread: opening the connection to a bucket takes as long as counting the rows.
        checking = beside.submit(check_same_warehouse, store, consumer.name, context.warehouse_id)
        plan = plan_snapshot(
            source,
            layout,
            consumer,
            staging,
            as_of_at=context.as_of_at,
            zone=load_zone(context.business_timezone),
            min_parts=min_parts,
            step=show.step,
        )
        checking.result()
        if strict and plan.shortcomings:
            raise _of_no_use(plan)
        prefix = f"{consumer.name}/snapshots/{plan.id}"

        def unchanged(done: dict[str, Any]) -> SnapshotReport:
            _check_min_parts(plan, done, min_parts, store.address(prefix))
            moved = None if dry_run else _move(store, consumer, plan, context, is_new=False)
            return _report(plan, store, prefix, "unchanged", done, moved)

        done = committed_manifest(store, prefix)
        if done is not None:
            return unchanged(done)
        if staging is None:
            return _report(plan, store, prefix, "planned", None, None)
        # All fields of the documents except `parts` are known here, so validate them before anything is written.
        shapes = [part_path(kind, split, 0) for kind in ("data", "keys") for split in SPLITS]
        parts = tuple(StoredPart(path, 0, 0, "0" * 64, is_sent=False) for path in shapes)
        likely = manifest_document(plan, source, consumer, context, parts)
        check_document(likely, "snapshot_manifest", "The new manifest.json")
        check_document(layout.schema_document(), "schema", "The new schema.json")
        show.step("wait for other exports")
        with store.exclusive(f"consumer-{consumer.name}"):
            done = committed_manifest(store, prefix)
            if done is not None:
                return unchanged(done)
            return _commit(plan, source, consumer, store, prefix, staging, scratch, context, show)


@contextmanager
def _left_alone(pool: ThreadPoolExecutor) -> Iterator[None]:
    """Shut down the pool at the end, also on an error, without waiting for requests still in flight."""
    try:
        yield
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _commit(
    plan: Plan,
    source: RowSource,
    consumer: Consumer,
    store: Store,
    prefix: str,
    staging: Staging,
    scratch: Path,
    context: BuildContext,
    show: Show,
) -> SnapshotReport:
    # Before any part is written, reject a store that ignores conditional writes.
    store.require_conditions(f"{consumer.name}/{CONDITIONS}")
    there = clear_dead_attempt(store, prefix, context.created_at)
    begun = begun_parts(store, prefix) if f"{prefix}/{MANIFEST}" in there else None
    with (
        open_writer(scratch) as writer,
        Uploads(store, prefix, begun, there, show.meter) as uploads,
    ):
        write_parts(plan, staging, writer, uploads, scratch, show.step)
        staging.close()
        parts = uploads.finish()
    document = manifest_document(plan, source, consumer, context, parts)
    others = {SCHEMA: encode_document(plan.layout.schema_document())}
    for split in SPLITS:
        others[split_manifest(split)] = parts_list(store, prefix, split, parts)
    status, kept = commit_snapshot(store, prefix, document, others, show.step)
    show.step("move latest.json")
    latest = _move(store, consumer, plan, context, is_new=status != "unchanged")
    sent = sum(part.bytes for part in parts if part.is_sent)
    return _report(plan, store, prefix, status, kept, latest, sent)


def _of_no_use(plan: Plan) -> TerminalError:
    every = ". ".join(each.text for each in plan.shortcomings)
    return TerminalError(
        f"{plan.layout.consumer}: --strict refused the snapshot; nothing was written. {every}."
    )


def _check_min_parts(plan: Plan, done: dict[str, Any], min_parts: int, address: str) -> None:
    for measure, split in zip(plan.measures, SPLITS, strict=True):
        have = sum(part["path"].startswith(f"data/{split}/") for part in done["parts"])
        if have < min(min_parts, measure.rows):
            raise TerminalError(
                f"{address} has this content already, but with only {have} parts of {split}, and --min-parts is "
                f"{min_parts}. A committed snapshot is not rewritten: move the snapshot away, or export to another "
                "place."
            )


def _move(
    store: Store, consumer: Consumer, plan: Plan, context: BuildContext, *, is_new: bool
) -> LatestOutcome:
    if plan.layout.file_format != "parquet":
        return "csv"
    return move_latest(
        store,
        consumer.name,
        snapshot_id=plan.id,
        as_of_at=context.as_of_at,
        warehouse_id=context.warehouse_id,
        fencing=context.fencing,
        is_new=is_new,
    )


def _report(
    plan: Plan,
    store: Store,
    prefix: str,
    status: Status,
    document: Any,
    latest: LatestOutcome | None,
    sent_bytes: int = 0,
) -> SnapshotReport:
    parts = None if document is None else document["parts"]
    return SnapshotReport(
        consumer=plan.layout.consumer,
        id=plan.id,
        address=store.address(prefix),
        status=status,
        mart_rows=plan.survey.rows,
        columns=plan.layout.columns,
        splits=tuple(
            SplitReport(window.name, window.start, window.end, measure.rows, measure.purged)
            for window, measure in zip(plan.windows, plan.measures, strict=True)
        ),
        excluded=plan.survey.excluded,
        parts=None if parts is None else len(parts),
        bytes=None if parts is None else sum(part["bytes"] for part in parts),
        latest=latest,
        sent_bytes=sent_bytes,
        warnings=plan.shortcomings,
        through=store.through(),
    )
