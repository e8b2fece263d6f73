"""Exporting a snapshot: what is asked, what is answered, and the steps between."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from feature_mart.errors import TerminalError
from feature_mart.exporter.commit import begun_parts, committed_manifest, publish
from feature_mart.exporter.documents import BuildContext, manifest_document, parts_list
from feature_mart.exporter.latest import LatestOutcome, check_warehouse, move_latest
from feature_mart.exporter.layout import FileFormat, Layout, plan_layout
from feature_mart.exporter.part_files import open_writer
from feature_mart.exporter.parts import write_parts
from feature_mart.exporter.plan import Plan, plan_snapshot
from feature_mart.exporter.removal import clear_dead_attempt
from feature_mart.exporter.source import RowSource, open_duckdb
from feature_mart.exporter.staging import Staging
from feature_mart.exporter.uploads import Meter, Part, Uploads
from feature_mart.manifest import Consumer, Manifest
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
from feature_mart.zones import load_zone

Progress = Callable[[str], None]
"""Called with one short line before each step."""

Status = Literal["written", "adopted", "unchanged", "planned"]
"""written; a crashed attempt was finished; the content was there already; new, on a dry run."""


@dataclass(frozen=True, slots=True)
class SplitReport:
    """One split of a snapshot: instants, rows written, rows purged."""

    name: str
    start: datetime
    end: datetime
    rows: int
    purged: int


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """What an export did. `mart_rows` = rows of all splits + purged + excluded.

    `parts` and `bytes` are None on a dry run of something new, `latest` on every dry run. `sent_bytes` are those of
    parts that were not in their places before. `warnings` say why the snapshot is of little use; `through` how a bucket
    was reached, empty for a folder.
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

    The same content again writes nothing. Each split has about ``rows / part_rows`` parts and at
    least `min_parts`, but none more than rows; an empty split has one part of 0 rows. A snapshot in CSV is
    another one than that in Parquet, and never the latest. A snapshot that cannot be trained on or scored is written
    with warnings, or with `strict` refused.

    Raises:
        TerminalError: tests failed and were not allowed to, a warning with `strict`, the table is not its contract, no
            labelled row, a value no float32 can hold, rows lost, another warehouse's folder, a
            damaged snapshot of the same id; or the store refuses.
        TransientError: the store may take it later.
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
        # Of a bucket it is the local disk, where parts are made.
        raise TerminalError(
            f"Writing to {store.address()}, or its parts to local disk before, failed: {error}. Nothing was committed; "
            "make room, or mend that, and export again."
        ) from error


@dataclass(frozen=True, slots=True)
class Show:
    """What an export tells while it goes on."""

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
    """`export_snapshot` for any source and any store; parts are made in `scratch`."""
    if context.tests_failed and not context.allow_failed:
        raise TerminalError(
            f"{context.tests_failed} tests failed in the last build; mend them and build again, "
            "or export with "
            "--allow-failed, which the snapshot will say."
        )
    room = nullcontext() if dry_run else Staging(scratch / "rows", len(layout.columns))
    beside = ThreadPoolExecutor(1)
    with room as staging, _left_alone(beside):
        # The first request to a bucket opens the connection, which takes as long as counting the rows.
        checking = beside.submit(check_warehouse, store, consumer.name, context.warehouse_id)
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
        # All but the parts is known: what would be refused in the end is refused before the first byte.
        shapes = [part_path(kind, split, 0) for kind in ("data", "keys") for split in SPLITS]
        parts = tuple(Part(path, 0, 0, "0" * 64, is_sent=False) for path in shapes)
        likely = manifest_document(plan, source, consumer, context, parts)
        check_document(likely, "snapshot_manifest", "The new manifest.json")
        check_document(layout.schema_document(), "schema", "The new schema.json")
        show.step("wait for other exports")
        with store.exclusive(consumer.name):
            done = committed_manifest(store, prefix)
            if done is not None:
                return unchanged(done)
            return _commit(plan, source, consumer, store, prefix, staging, scratch, context, show)


@contextmanager
def _left_alone(pool: ThreadPoolExecutor) -> Iterator[None]:
    """Who fails meanwhile does not wait for what a pool is asking a service."""
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
    # The first write: a store that cannot hold two exports apart says so before any part is made.
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
    status, kept = publish(store, prefix, document, others, show.step)
    show.step("move latest.json")
    latest = _move(store, consumer, plan, context, is_new=status != "unchanged")
    sent = sum(part.bytes for part in parts if part.is_sent)
    return _report(plan, store, prefix, status, kept, latest, sent)


def _of_no_use(plan: Plan) -> TerminalError:
    every = ". ".join(each.text for each in plan.shortcomings)
    return TerminalError(
        f"{plan.layout.consumer}: --strict refuses this snapshot, and nothing was written. {every}."
    )


def _check_min_parts(plan: Plan, done: dict[str, Any], min_parts: int, address: str) -> None:
    for measure, split in zip(plan.measures, SPLITS, strict=True):
        have = sum(part["path"].startswith(f"data/{split}/") for part in done["parts"])
        if have < min(min_parts, measure.rows):
            raise TerminalError(
                f"{address} holds this content already, with {have} parts of {split} where "
                "--min-parts asks for "
                f"{min_parts}. A committed snapshot is not rewritten: move it away, or export to "
                "another place."
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
