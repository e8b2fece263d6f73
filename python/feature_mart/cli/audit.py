"""Define the commands of `mart audit`, which print a verdict and what was not judged. A fault gives exit code 1."""

from __future__ import annotations

from pathlib import Path

import click

from feature_mart.cli.console import Console
from feature_mart.cli.options import (
    as_of_option,
    dwh_option,
    emit,
    explained,
    json_option,
    snapshot_argument,
)
from feature_mart.core.errors import UsageError

_perturb = click.option(
    "--perturb",
    metavar="SEED",
    type=click.IntRange(0),
    help="Audit a copy of the warehouse with late, corrected, cancelled and deleted rows that SEED determines.",
)


@click.group()
def audit() -> None:
    """Check that the mart is point-in-time correct. Exit code 1 if it is not."""


@audit.command()
@dwh_option
@click.option(
    "--cutoffs",
    default=5,
    show_default=True,
    type=click.IntRange(1, 50),
    help="Number of cutoffs to compare.",
)
@click.option("--seed", default=0, show_default=True, help="Seed for drawing the cutoffs.")
@_perturb
@click.option(
    "--every-refresh",
    is_flag=True,
    help="Audit a small generated warehouse instead of MART_DWH, with a cutoff at every refresh.",
)
@click.option(
    "--jobs",
    default=300,
    show_default=True,
    type=click.IntRange(10),
    help="With --every-refresh: number of job postings in the generated warehouse.",
)
@click.option(
    "--nights",
    type=click.IntRange(1),
    help="With --every-refresh: use only the newest N refreshes [all].",
)
@as_of_option
@json_option
@explained
def leakage(
    dwh: str | None,
    cutoffs: int,
    seed: int,
    perturb: int | None,
    every_refresh: bool,
    jobs: int,
    nights: int | None,
    as_of: str | None,
    as_json: bool,
) -> None:
    """Rebuild without the rows known after each cutoff: no earlier value may change."""
    from feature_mart.audit import audit_every_refresh, audit_leakage
    from feature_mart.cli import leakage_verdict
    from feature_mart.core.settings import require_embedded, resolve_settings
    from feature_mart.runner import open_run

    settings = resolve_settings(dwh=dwh)
    require_embedded(settings, "mart audit")
    if every_refresh and (as_of or perturb is not None):
        raise UsageError(
            "--every-refresh generates and perturbs its own warehouse and audits its newest refresh: leave out "
            "--as-of and --perturb."
        )
    with Console(quiet=as_json) as console, open_run(settings, "audit") as log:
        progress = console.stage("leakage")
        if every_refresh:
            report = audit_every_refresh(
                settings, log, jobs=jobs, nights=nights, seed=seed, progress=progress
            )
        else:
            report = audit_leakage(
                settings,
                log,
                as_of=as_of,
                cutoffs=cutoffs,
                seed=seed,
                perturb=perturb,
                progress=progress,
            )
    if as_json:
        emit(leakage_verdict.leakage_document(report, settings))
    else:
        leakage_verdict.print_leakage(report, settings)
    if not report.is_clean:
        raise SystemExit(1)


@audit.command()
@dwh_option
@click.option(
    "--schedules",
    default=2,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Number of random refresh schedules.",
)
@click.option(
    "--universes",
    default=0,
    show_default=True,
    metavar="N",
    type=click.IntRange(0, 99),
    help="Instead of MART_DWH, use N generated warehouses without common keys, merged into one.",
)
@click.option(
    "--jobs",
    default=60,
    show_default=True,
    type=click.IntRange(1),
    help="With --universes: number of job postings in each generated warehouse.",
)
@click.option(
    "--seed", default=0, show_default=True, help="Seed for drawing schedules and universes."
)
@_perturb
@json_option
@explained
def incremental(
    dwh: str | None,
    schedules: int,
    universes: int,
    jobs: int,
    seed: int,
    perturb: int | None,
    as_json: bool,
) -> None:
    """Compare marts built incrementally, by random schedules, with one full build.

    The incremental builds run day by day, with refreshes skipped, repeated and killed.
    """
    from feature_mart.audit import audit_incremental
    from feature_mart.cli import verdicts
    from feature_mart.core.settings import require_embedded, resolve_settings
    from feature_mart.runner import open_run

    settings = resolve_settings(dwh=dwh)
    require_embedded(settings, "mart audit")
    with Console(quiet=as_json) as console, open_run(settings, "audit") as log:
        report = audit_incremental(
            settings,
            log,
            schedules=schedules,
            universes=universes,
            jobs=jobs,
            seed=seed,
            perturb=perturb,
            progress=console.stage("incremental"),
        )
    if as_json:
        emit(verdicts.incremental_document(report, settings))
    else:
        verdicts.print_incremental(report, settings)
    if not report.is_clean:
        raise SystemExit(1)


@audit.command()
@dwh_option
@_perturb
@json_option
@explained
def conservation(dwh: str | None, perturb: int | None, as_json: bool) -> None:
    """Account for every raw row, from the warehouse to the snapshots."""
    from feature_mart import pipeline
    from feature_mart.audit import audit_conservation
    from feature_mart.cli import verdicts
    from feature_mart.core.settings import require_embedded, resolve_settings
    from feature_mart.runner import open_run

    settings = resolve_settings(dwh=dwh)
    require_embedded(settings, "mart audit")
    with Console(quiet=as_json) as console, open_run(settings, "audit") as log:
        report = audit_conservation(
            settings,
            log,
            pipeline.snapshot_store(settings),
            perturb=perturb,
            progress=console.stage("conservation"),
        )
    if as_json:
        emit(verdicts.conservation_document(report, settings))
    else:
        verdicts.print_conservation(report, settings)
    if not report.is_clean:
        raise SystemExit(1)


@audit.command()
@snapshot_argument()
@dwh_option
@json_option
@explained
def reproduce(wanted: str, dwh: str | None, as_json: bool) -> None:
    """Rebuild a snapshot from its manifest and commit, and compare."""
    from feature_mart import pipeline
    from feature_mart.audit import audit_reproduce
    from feature_mart.cli import verdicts
    from feature_mart.core.settings import require_embedded, resolve_settings
    from feature_mart.runner import open_run

    settings = resolve_settings(dwh=dwh)
    require_embedded(settings, "mart audit")
    address = pipeline.find_snapshot(settings, wanted)
    with Console(quiet=as_json) as console, open_run(settings, "audit") as log:
        report = audit_reproduce(settings, log, address, console.stage("reproduce"))
    if as_json:
        emit(verdicts.reproduce_document(report))
    else:
        verdicts.print_reproduce(report)
    if not report.is_same:
        raise SystemExit(1)


@audit.command()
@dwh_option
@click.option("--base", required=True, metavar="REF", help="Commit to compare with, such as main.")
@as_of_option
@json_option
@explained
def selection(dwh: str | None, base: str, as_of: str | None, as_json: bool) -> None:
    """List the rows that a change moves, by label.

    Build the working tree and the commit REF over the same warehouse. Report rows that enter or leave the spine or a
    mart, change their label, become excluded, or move to another split. The exit code is 0 even if rows moved.
    """
    from feature_mart.audit import audit_selection
    from feature_mart.cli import selection_verdict
    from feature_mart.core.settings import require_embedded, resolve_settings
    from feature_mart.runner import open_run, resolve_commit

    settings = resolve_settings(dwh=dwh)
    require_embedded(settings, "mart audit")
    commit = resolve_commit(settings.project, base)
    with Console(quiet=as_json) as console, open_run(settings, "audit") as log:
        progress = console.stage("selection")
        report = audit_selection(settings, log, base, commit, as_of=as_of, progress=progress)
    if as_json:
        emit(selection_verdict.selection_document(report, settings))
    else:
        selection_verdict.print_selection(report, settings)


@audit.command()
@dwh_option
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--entity",
    multiple=True,
    required=True,
    metavar="COLUMN[=KEY]",
    help=(
        "Column of the file that holds the entity's key, and the mart's name of the key (such as job_id) if it "
        "differs."
    ),
)
@click.option(
    "--time",
    required=True,
    metavar="COLUMN",
    help="Column with the time by which a row's values had to be known.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="COLUMN=FEATURE",
    help="Column of the file, and the feature that it holds, if their names differ.",
)
@click.option(
    "--sample",
    "is_sample",
    is_flag=True,
    help="The file is a sample: report the number of missing jobs, but not as a fault.",
)
@json_option
@explained
def file(
    dwh: str | None,
    path: Path,
    entity: tuple[str, ...],
    time: str,
    columns: tuple[str, ...],
    is_sample: bool,
    as_json: bool,
) -> None:
    """Audit a training file that was made elsewhere.

    Report values that were not known yet at their row's time, with the correct values.

    FILE is Parquet or CSV. The exit code is 1 if the file leaks, if rows are missing or duplicated, or if rows or
    values cannot be judged.
    """
    from feature_mart.audit import Question, judge_file
    from feature_mart.cli import file_verdict
    from feature_mart.core.files import expand_user
    from feature_mart.core.manifest import parse_manifest
    from feature_mart.core.settings import require_embedded, resolve_settings
    from feature_mart.runner import read_dbt_manifest, require_built

    settings = resolve_settings(dwh=dwh)
    require_embedded(settings, "mart audit")
    built = require_built(settings)
    question = Question(
        expand_user(str(path), "FILE"),
        _pairs("--entity", entity),
        time,
        _pairs("--column", columns),
        is_sample,
    )
    manifest = parse_manifest(read_dbt_manifest(settings))
    report = judge_file(question, settings.mart_path, manifest, settings.clock, built.as_of_at)
    if as_json:
        emit(file_verdict.file_document(report, settings))
    else:
        file_verdict.print_file(report, settings)
    if not report.is_good:
        raise SystemExit(1)


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    """Return the values of an option as a mapping: ``a=b`` maps a to b, and ``a`` alone maps a to itself.

    Raises:
        UsageError: a text has neither form; the message names ``option``.
    """
    pairs = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not name or (sign and not value):
            raise UsageError(f"{option} {text!r}: write COLUMN=NAME.")
        pairs[name] = value or name
    return pairs
