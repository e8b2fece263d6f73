"""Define `mart snapshot`: list, show, verify, compare, pin, clean and train on snapshots, and set the latest one."""

from __future__ import annotations

import json
from typing import Any

import click

from feature_mart.cli.console import Console
from feature_mart.cli.options import (
    dwh_option,
    emit,
    explained,
    json_option,
    snapshot_argument,
    snapshot_option,
)
from feature_mart.core.errors import TerminalError, UsageError


@click.group()
def snapshot() -> None:
    """List, verify, compare, pin, clean and train on snapshots.

    The snapshots are those in MART_SNAPSHOTS, which is by default in the state folder of the warehouse.
    """


@snapshot.command("list")
@click.argument("consumer", required=False)
@dwh_option
@json_option
@explained
def list_(consumer: str | None, dwh: str | None, as_json: bool) -> None:
    """List the snapshots of one consumer or of all."""
    from feature_mart import pipeline
    from feature_mart.cli import snapshot_summary as summary
    from feature_mart.core.settings import resolve_settings
    from feature_mart.exporter import list_snapshots

    store = pipeline.snapshot_store(resolve_settings(dwh=dwh))
    lines = list_snapshots(store, consumer)
    if as_json:
        emit({"snapshots": [summary.line_document(line) for line in lines]})
    else:
        summary.print_lines(lines, store.address(), consumer)


@snapshot.command()
@snapshot_argument()
@dwh_option
@json_option
@explained
def show(wanted: str, dwh: str | None, as_json: bool) -> None:
    """Show a snapshot's origin, rows, and reasons for rows left out."""
    from feature_mart import pipeline
    from feature_mart.cli import snapshot_summary as summary
    from feature_mart.core.settings import resolve_settings
    from feature_mart.exporter import locate_snapshot

    settings = resolve_settings(dwh=dwh)
    place = locate_snapshot(pipeline.find_snapshot(settings, wanted), settings.s3)
    manifest, schema = place.documents()
    if as_json:
        emit(summary.shown_document(manifest, schema, place.address))
    else:
        summary.print_shown(manifest, schema, place.address, settings)


@snapshot.command()
@snapshot_argument()
@dwh_option
@json_option
@explained
def verify(wanted: str, dwh: str | None, as_json: bool) -> None:
    """Read a snapshot and compare it with its manifest. Exit code 1 if they differ."""
    from feature_mart import pipeline
    from feature_mart.cli import snapshot_summary as summary
    from feature_mart.core.settings import resolve_settings
    from feature_mart.exporter import verify_snapshot

    settings = resolve_settings(dwh=dwh)
    address = pipeline.find_snapshot(settings, wanted)
    verdict = verify_snapshot(address, settings.s3)
    if as_json:
        emit(summary.verdict_document(verdict))
    else:
        summary.print_verdict(verdict)
    if verdict.problems:
        raise SystemExit(1)


@snapshot.command()
@snapshot_argument("a")
@snapshot_argument("b")
@dwh_option
@click.option(
    "--all", "every", is_flag=True, help="Show every column, not only the most changed columns."
)
@json_option
@explained
def diff(a: str, b: str, dwh: str | None, every: bool, as_json: bool) -> None:
    """Compare the columns, rows, labels and distributions of two snapshots.

    The first snapshot is A in the output, the second is B.
    """
    from feature_mart import pipeline
    from feature_mart.cli import snapshot_summary as summary
    from feature_mart.core.settings import resolve_settings
    from feature_mart.exporter import diff_snapshots, snapshot_on_disk

    settings = resolve_settings(dwh=dwh)
    addresses = [pipeline.find_snapshot(settings, each) for each in (a, b)]
    with Console(quiet=as_json) as console:
        console.stage("diff")
        with (
            snapshot_on_disk(addresses[0], settings.s3) as old,
            snapshot_on_disk(addresses[1], settings.s3) as new,
        ):
            found = diff_snapshots(old, new)
    if as_json:
        emit(summary.diff_document(found))
    else:
        summary.print_diff(found, every=every)


@snapshot.command()
@snapshot_argument()
@dwh_option
@click.option("--reason", required=True, metavar="TEXT", help="Reason for keeping the snapshot.")
@json_option
@explained
def pin(wanted: str, dwh: str | None, reason: str, as_json: bool) -> None:
    """Protect a snapshot from `mart snapshot clean`."""
    from feature_mart import pipeline
    from feature_mart.core.settings import resolve_settings
    from feature_mart.exporter import find_in_store, pin_snapshot

    settings = resolve_settings(dwh=dwh)
    text, store = _reason(reason), pipeline.snapshot_store(settings)
    consumer, name = find_in_store(store, wanted, settings.s3)
    is_new = pin_snapshot(store, consumer, name, text, settings.now)
    if as_json:
        emit({"consumer": consumer, "id": name, "is_new": is_new})
    else:
        click.echo(f"{'pinned' if is_new else 'already pinned'}: {consumer} {name}")


@snapshot.command()
@snapshot_argument()
@dwh_option
@json_option
@explained
def unpin(wanted: str, dwh: str | None, as_json: bool) -> None:
    """Remove a pin, so that `mart snapshot clean` may remove the snapshot."""
    from feature_mart import pipeline
    from feature_mart.core.settings import resolve_settings
    from feature_mart.exporter import find_in_store, find_pin, unpin_snapshot

    settings = resolve_settings(dwh=dwh)
    store = pipeline.snapshot_store(settings)
    # Look for a pin first, because a pin still exists if its snapshot was removed by hand.
    consumer, name = find_pin(store, wanted), wanted
    if consumer is None:
        consumer, name = find_in_store(store, wanted, settings.s3)
    was_pinned = unpin_snapshot(store, consumer, name)
    if as_json:
        emit({"consumer": consumer, "id": name, "was_pinned": was_pinned})
    else:
        click.echo(f"{'unpinned' if was_pinned else 'was not pinned'}: {consumer} {name}")


@snapshot.command()
@click.argument("consumer", required=False)
@dwh_option
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    help="Keep the newest N snapshots of each format.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(0, 100_000),
    metavar="D",
    help="Keep snapshots made within the last D days.",
)
@click.option(
    "--attempts",
    default=24,
    show_default=True,
    type=click.IntRange(0, 100_000),
    metavar="HOURS",
    help="Remove abandoned exports and unfinished uploads that are older than HOURS.",
)
@click.option("--dry-run", is_flag=True, help="Report what would be removed, but remove nothing.")
@json_option
@explained
def clean(
    consumer: str | None,
    dwh: str | None,
    keep: int | None,
    keep_days: int | None,
    attempts: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove old snapshots and abandoned exports.

    A snapshot is removed only if --keep or --keep-days is given and neither of them keeps the snapshot. The latest,
    held, pinned and damaged snapshots are never removed.
    """
    from feature_mart import pipeline
    from feature_mart.cli import snapshot_summary as summary
    from feature_mart.core.settings import resolve_settings
    from feature_mart.exporter import Rule, clean_snapshots

    settings = resolve_settings(dwh=dwh)
    done = clean_snapshots(
        pipeline.snapshot_store(settings),
        Rule(keep, keep_days, attempts),
        now=settings.now,
        consumer=consumer,
        dry_run=dry_run,
    )
    if as_json:
        emit(summary.clean_document(done))
    else:
        summary.print_clean(done)


@snapshot.command()
@click.argument("consumer")
@dwh_option
@snapshot_option("--to", "to", "Snapshot to name in latest.json.")
@click.option("--reason", metavar="TEXT", help="Reason for the rollback, kept in latest.json.")
@click.option("--release", "is_release", is_flag=True, help="Let exports move latest.json again.")
@json_option
@explained
def rollback(
    consumer: str,
    dwh: str | None,
    to: str | None,
    reason: str | None,
    is_release: bool,
    as_json: bool,
) -> None:
    """Move latest.json to another snapshot and hold it there, or release it."""
    from feature_mart import pipeline
    from feature_mart.core.settings import resolve_settings
    from feature_mart.exporter import find_in_store, release, roll_back

    if is_release == (to is not None) or (to is None) != (reason is None):
        raise UsageError("Pass --to SNAPSHOT and --reason TEXT, or --release alone.")
    settings = resolve_settings(dwh=dwh)
    store = pipeline.snapshot_store(settings)
    if to is None or reason is None:
        freed = release(store, consumer)
        document: dict[str, Any] = {"consumer": consumer, "id": freed.id if freed else None}
        text = (
            f"released: latest of {consumer} names {freed.id} until the next export"
            if freed
            else f"latest.json of {consumer} was not held"
        )
    else:
        text = _reason(reason)
        owner, to = find_in_store(store, to, settings.s3)
        if owner != consumer:
            raise UsageError(f"{to} is a snapshot of {owner}, not of {consumer}.")
        before = roll_back(store, consumer, to, text)
        former = before.id if before else None
        document = {"consumer": consumer, "id": to, "before": former}
        text = (
            f"latest of {consumer} names {to} (before: {former}); exports do not move it until `mart snapshot "
            f"rollback {consumer} --release`"
        )
    if as_json:
        emit(document)
    else:
        click.echo(text)


@snapshot.command("train-request")
@snapshot_argument()
@dwh_option
@click.option("--role", required=True, metavar="ARN", help="IAM role of the training job.")
@click.option("--image", metavar="URI", help="Container image [`image` of the exposure].")
@click.option("--source", metavar="S3", help="For script mode: the program, as a tar.gz in S3.")
@click.option(
    "--built-in",
    is_flag=True,
    help="Use SageMaker's built-in XGBoost instead of the project's program.",
)
@click.option(
    "--hyperparameter",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="Hyperparameter; may be repeated.",
)
@click.option(
    "--instance-type", default="ml.m5.large", show_default=True, help="SageMaker instance type."
)
@click.option(
    "--instance-count",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Number of instances.",
)
@click.option(
    "--volume-gb",
    default=30,
    show_default=True,
    type=click.IntRange(1),
    help="Disk size of each instance.",
)
@click.option(
    "--max-runtime-s",
    default=3600,
    show_default=True,
    type=click.IntRange(1),
    help="Maximum run time in seconds, after which SageMaker stops the job.",
)
@click.option(
    "--output", metavar="S3", help="Where to write models [models/ next to the snapshots]."
)
@click.option(
    "--name-suffix",
    default="",
    help="Suffix of the job's name, for a second job on the same snapshot.",
)
@explained
def train_request(
    wanted: str,
    dwh: str | None,
    role: str,
    image: str | None,
    source: str | None,
    built_in: bool,
    given: tuple[str, ...],
    instance_type: str,
    instance_count: int,
    volume_gb: int,
    max_runtime_s: int,
    output: str | None,
    name_suffix: str,
) -> None:
    """Print a SageMaker create_training_job request.

    Use it with `aws sagemaker create-training-job --cli-input-json`. The command itself
    reads only the snapshot's documents.
    """
    from feature_mart import pipeline
    from feature_mart.core.settings import resolve_settings
    from feature_mart.exporter import contradicted_by_latest, locate_snapshot
    from feature_mart.training.request import training_request

    settings = resolve_settings(dwh=dwh)
    address = pipeline.find_snapshot(settings, wanted)
    place = locate_snapshot(address, settings.s3)
    committed = place.committed()
    manifest = committed.manifest
    consumer = manifest["consumer"]
    contradiction = contradicted_by_latest(place, committed)
    if contradiction is not None:
        raise TerminalError(
            f"latest.json of {consumer}: {contradiction}; no request was printed: run `mart snapshot verify`."
        )
    pairs = [each.partition("=") for each in given]
    if any(not sign or not name for name, sign, _ in pairs):
        raise UsageError("--hyperparameter must be NAME=VALUE, such as max_depth=6.")
    request = training_request(
        manifest,
        address,
        label_kind=committed.schema["label_kind"],
        role=role,
        image=image or pipeline.built_manifest(settings).consumer(consumer).image or "",
        manifest_sha256=committed.manifest_sha256,
        hyperparameters={name: value for name, _, value in pairs},
        source=source,
        is_built_in=built_in,
        instance_type=instance_type,
        instance_count=instance_count,
        volume_gb=volume_gb,
        max_runtime_s=max_runtime_s,
        output=output,
        name_suffix=name_suffix,
    )
    click.echo(json.dumps(request, indent=2, ensure_ascii=False))


def _reason(text: str) -> str:
    if not text.strip():
        raise UsageError("--reason is empty: state the reason.")
    return text.strip()
