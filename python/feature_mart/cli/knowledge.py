"""Define the commands of `mart knowledge`, which check and print the reasons for features and measure effects."""

from __future__ import annotations

from dataclasses import asdict

import click

from feature_mart.cli.console import Console
from feature_mart.cli.options import dwh_option, emit, explained, json_option, snapshot_argument
from feature_mart.cli.printing import near

_seeds = click.option(
    "--seeds",
    default=5,
    show_default=True,
    type=click.IntRange(1, 100),
    help="Number of training runs, each with its own seed.",
)

_replace = click.option(
    "--replace",
    "is_replaced",
    is_flag=True,
    help="Overwrite a file even if it was measured with more seeds.",
)


@click.group()
def knowledge() -> None:
    """Show, check and measure the reasons for features."""


@knowledge.command()
@click.option(
    "--base", metavar="REF", help="Also check that changes since this commit state a reason."
)
@click.option("--fix", is_flag=True, help="First update the generated columns in the marts' YAML.")
@json_option
@explained
def check(base: str | None, fix: bool, as_json: bool) -> None:
    """Check that every feature has its reasons. Exit code 1 if one is missing.

    With --base: if the meaning of a model, macro, seed, var or setting that features depend on changed since that
    commit, its reason must have changed too. Names, comments and layout do not count. Each change is printed with the
    features that it affects and the text to update; --json lists all of them.
    """
    from feature_mart.core.settings import resolve_settings
    from feature_mart.knowledge import UNJUDGED, check_knowledge, write_mart_columns

    project = resolve_settings().project
    written = write_mart_columns(project) if fix else ()
    found = check_knowledge(project, base)
    if as_json:
        emit({"missing": [asdict(each) for each in found], "written": list(written)})
    else:
        for path in written:
            click.echo(f"{path}: written")
        for each in found:
            column = f" {each.column}:" if each.column else ""
            click.echo(f"{each.path}:{column} {each.what}")
        if not found:
            click.echo("every feature has its reasons")
            if base:
                click.echo(f"not judged by --base: {UNJUDGED}")
    if found:
        raise SystemExit(1)


@knowledge.command()
@click.argument("column")
@json_option
@explained
def why(column: str, as_json: bool) -> None:
    """Print the documentation of a column and its consumers."""
    from feature_mart.core.settings import resolve_settings
    from feature_mart.knowledge import explain_column
    from feature_mart.knowledge.why import prose_of

    found = explain_column(resolve_settings().project, column)
    if as_json:
        emit(asdict(found))
        return
    click.echo(f"{found.column}  ({found.path})")
    click.echo(f"  {found.description}")
    names = (
        "why",
        "transform",
        "unit",
        "null_means",
        "serve",
        "owner",
        "added",
        "verified_by",
        "role",
    )
    for name in names:
        if name in found.meta:
            click.echo(f"  {name:<11} {found.meta[name]}")
    users = ", ".join(f"{name} (label {label})" for name, label in found.consumers.items())
    click.echo(f"  {'used by':<11} {users or 'no consumer'}")
    click.echo(f"  {'also in':<11} {', '.join(found.handed_on) or 'no other model'}")
    for where, worth in found.evidence:
        click.echo(f"  {'worth':<11} {worth}, on {where}")
    for heading, text in found.notes.items():
        click.echo(f"\n{heading}\n{text}")
    for candidate in found.rejected:
        click.echo(
            f"\nRejected: {candidate.name} ({candidate.path})\n{prose_of(candidate.description)}"
        )


@knowledge.command()
@snapshot_argument()
@dwh_option
@_seeds
@_replace
@json_option
@explained
def evidence(wanted: str, dwh: str | None, seeds: int, is_replaced: bool, as_json: bool) -> None:
    """Measure each feature group: train without it, and with it alone.

    Write docs/evidence/<consumer>.<warehouse>.json. A file that was measured with more seeds is kept, unless --replace
    is given. Choose features by the validation score; the test score is only reported.
    """
    from feature_mart import pipeline
    from feature_mart.cli.evidence_table import print_evidence
    from feature_mart.core.settings import resolve_settings
    from feature_mart.exporter import locate_snapshot, snapshot_on_disk
    from feature_mart.knowledge import (
        check_seeds,
        evidence_path,
        measure_evidence,
        write_evidence,
    )

    settings = resolve_settings(dwh=dwh)
    manifest = pipeline.built_manifest(settings)
    address = pipeline.find_snapshot(settings, wanted)
    consumer = locate_snapshot(address, settings.s3).documents()[0]["consumer"]
    manifest.consumer(consumer)
    path = evidence_path(settings.project, consumer, settings.warehouse)
    if not is_replaced:
        check_seeds(path, "evidence", seeds)
    with (
        Console(quiet=as_json) as console,
        snapshot_on_disk(address, settings.s3) as folder,
    ):
        show = console.stage("evidence")
        document = measure_evidence(
            folder, manifest, consumer, settings.warehouse_id, seeds=seeds, progress=show
        )
    write_evidence(path, document)
    if as_json:
        emit({"path": str(path), **document})
    else:
        print_evidence(document, path)


@knowledge.command()
@click.argument("name")
@snapshot_argument()
@dwh_option
@_seeds
@_replace
@json_option
@explained
def candidate(
    name: str, wanted: str, dwh: str | None, seeds: int, is_replaced: bool, as_json: bool
) -> None:
    """Measure and plot what the columns of analyses/rejected/NAME.sql add to a model.

    Train with and without these columns, and write docs/evidence/rejected/ and docs/assets/rejected/
    <name>.<consumer>.<warehouse>. Files that were measured with more seeds are kept, unless --replace is given. Scores
    are of the validation split; the test split is not used.
    """
    from feature_mart import pipeline
    from feature_mart.core.settings import resolve_settings
    from feature_mart.exporter import locate_snapshot
    from feature_mart.knowledge import check_seeds, rejected_path
    from feature_mart.knowledge.candidate import judge_candidate
    from feature_mart.knowledge.candidate_plot import describe_plot
    from feature_mart.knowledge.candidate_rows import find_candidate

    settings = resolve_settings(dwh=dwh)
    find_candidate(settings.project, name)
    pipeline.built_manifest(settings)
    address = pipeline.find_snapshot(settings, wanted)
    consumer = locate_snapshot(address, settings.s3).documents()[0]["consumer"]
    if not is_replaced:
        path = rejected_path(settings.project, name, consumer, settings.warehouse_id)
        check_seeds(path, "candidate", seeds)
    with Console(quiet=as_json) as console:
        document, evidence_file, plot_path = judge_candidate(
            settings, address, name, seeds=seeds, stage=console.stage
        )
    if as_json:
        emit({"path": str(evidence_file), "plot": str(plot_path), **document})
        return
    click.echo(f"{name}: {', '.join(document['columns'])}")
    click.echo(
        f"{document['consumer']}, warehouse {document['warehouse_id']}, snapshot {document['snapshot']}, {seeds} "
        f"seeds; a value is known for {document['known_ratio']:.1%} of the rows of train"
    )
    click.echo(describe_plot(document))
    click.echo(f"  written to {near(evidence_file)} and {near(plot_path)}")
