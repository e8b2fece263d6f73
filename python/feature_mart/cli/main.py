"""Define `mart` and its commands. Each command imports what it needs when it runs, so that `--help` is fast."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from feature_mart import __version__
from feature_mart.cli.audit import audit
from feature_mart.cli.conformance import conformance
from feature_mart.cli.console import Console
from feature_mart.cli.cost import cost
from feature_mart.cli.knowledge import knowledge
from feature_mart.cli.options import (
    as_of_option,
    dwh_option,
    emit,
    emit_error,
    explained,
    full_refresh_option,
    json_option,
)
from feature_mart.cli.snapshot import snapshot
from feature_mart.core.errors import UsageError

if TYPE_CHECKING:
    from feature_mart.exporter import FileFormat

#: The sections of `mart --help`, and the commands in each, in the order in which a new user needs them.
_SECTIONS: dict[str, tuple[str, ...]] = {
    "First": ("run", "build", "docs", "export"),
    "Raw data": ("sample",),
    "Snapshots": ("snapshot",),
    "Knowledge": ("knowledge",),
    "Proofs": ("audit", "conformance"),
    "BigQuery": ("cost",),
}


#: Environment variables that change Python itself. Python has read them before this program starts, so the program
#: only warns.
_PYTHON = {
    "PYTHONPATH": "modules in these folders take precedence over installed modules",
    "PYTHONHOME": "the standard library is loaded from there",
    "PYTHONOPTIMIZE": "assertions are disabled",
    "PYTHONWARNINGS": "a warning may stop a command",
}


_JSON = f"{__name__}.is_json"
_GIVEN = click.core.ParameterSource.COMMANDLINE


class _Grouped(click.Group):
    """A click group whose help lists the commands by section, including the commands of subgroups.

    With --json, wrong options and arguments are also reported as an error object.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            if ctx.meta[_JSON]:
                emit_error("usage", error.format_message(), error.exit_code)
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, names in _SECTIONS.items():
            rows: list[tuple[str, str]] = []
            for name in names:
                command = self.commands[name]
                if isinstance(command, click.Group):
                    rows += [
                        (f"{name} {inner}", command.commands[inner].get_short_help_str(70))
                        for inner in command.list_commands(ctx)
                    ]
                else:
                    rows.append((name, command.get_short_help_str(70)))
            with formatter.section(section):
                formatter.write_dl(rows)


@click.group(cls=_Grouped, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mart")
def main() -> None:
    """Build tested, documented, point-in-time-correct training snapshots from a raw warehouse.

    Start with `mart run`. MART_DWH names the warehouse, a folder of Parquet files; if it is not set, a sample is used.
    To run the same commands on BigQuery, set MART_TARGET, MART_GCP_PROJECT and MART_GCP_LOCATION.
    """
    for name, effect in _PYTHON.items():
        if os.environ.get(name):
            click.echo(f"mart: {name}={os.environ[name]} is set: {effect}", err=True)


@main.command()
@dwh_option
@as_of_option
@full_refresh_option
@json_option
@explained
def run(dwh: str | None, as_of: str | None, full_refresh: bool, as_json: bool) -> None:
    """Run everything: sample if needed, build, docs, snapshots, summary."""
    from feature_mart import pipeline
    from feature_mart.cli import documents, summary
    from feature_mart.core.settings import resolve_settings

    with Console(quiet=as_json) as console:
        done = pipeline.run(
            resolve_settings(dwh=dwh),
            as_of=as_of,
            full_refresh=full_refresh,
            stage=console.stage,
            describe_loads=summary.load_lines,
        )
    if as_json:
        emit(documents.run_document(done))
    else:
        summary.print_run(done)


@main.command()
@dwh_option
@as_of_option
@full_refresh_option
@click.option(
    "--select",
    multiple=True,
    metavar="MODEL",
    help="Build only these models (dbt's selection syntax).",
)
@json_option
@explained
def build(
    dwh: str | None,
    as_of: str | None,
    full_refresh: bool,
    select: tuple[str, ...],
    as_json: bool,
) -> None:
    """Build and test the mart. The mart is published only if no blocking check fails."""
    from feature_mart import pipeline
    from feature_mart.cli import documents, summary
    from feature_mart.core.settings import resolve_settings
    from feature_mart.runner import build_mart, open_run

    settings = resolve_settings(dwh=dwh)
    with Console(quiet=as_json) as console, open_run(settings, "build") as log:
        done = build_mart(
            settings,
            log,
            as_of=as_of,
            full_refresh=full_refresh,
            select=select,
            progress=console.stage("build"),
            hints=lambda: summary.load_lines(
                pipeline.find_unusual_loads(settings, log, as_of), settings
            ),
        )
        loads = pipeline.find_unusual_loads(settings, log, as_of)
    if as_json:
        emit(documents.build_document(done, log.run_id, settings, loads))
    else:
        summary.print_build(done, settings, loads)


@main.command()
@dwh_option
@click.option(
    "--serve",
    is_flag=True,
    help="Serve the site on this machine. The site is written first only if there is none yet.",
)
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port for --serve.",
)
@click.option(
    "--publish",
    metavar="PLACE",
    help="Also publish the site to s3://bucket/prefix or a folder.",
)
@json_option
@explained
def docs(dwh: str | None, serve: bool, port: int, publish: str | None, as_json: bool) -> None:
    """Write the documentation site of the mart: reasons and distributions of each feature."""
    from feature_mart import pipeline
    from feature_mart.cli.split_table import local_time
    from feature_mart.core.settings import resolve_settings
    from feature_mart.knowledge.site import (
        check_place,
        check_port,
        publish_site,
        serve_docs,
        written_at,
    )
    from feature_mart.runner import open_run, require_built

    settings = resolve_settings(dwh=dwh)
    page, written = settings.site_dir / "index.html", written_at(settings)
    is_written = not serve or publish is not None or written is None
    if is_written:
        require_built(settings)
    if serve:
        check_port(port)
    published = None
    if is_written:
        place = None if publish is None else pipeline.snapshot_store(settings, publish)
        with Console(quiet=as_json) as console, open_run(settings, "docs") as log:
            if place is not None:
                check_place(place)
            page = pipeline.build_docs(settings, log, console.stage("docs"))
            published = None if place is None else publish_site(page.parent, place)
    elif written is not None:
        click.echo(
            f"the site was written on {local_time(written, settings.clock)}; run `mart docs` to update it",
            err=True,
        )
    if as_json:
        emit({"site": str(page), "published": asdict(published) if published else None})
    else:
        click.echo(str(page))
        if published is not None:
            megabytes = published.bytes / 1e6
            click.echo(f"{published.address}  ({published.files} files, {megabytes:.1f} MB)")
    if serve:
        click.echo(f"serving on http://127.0.0.1:{port} (press Ctrl-C to stop)", err=True)
        serve_docs(settings, port)


@main.command()
@click.argument("consumer", required=False)
@dwh_option
@click.option("--all", "every", is_flag=True, help="Export every consumer.")
@click.option(
    "--to",
    metavar="PLACE",
    help="Where to write: a folder or s3://bucket/prefix [MART_SNAPSHOTS; the state folder].",
)
@click.option(
    "--format",
    "file_format",
    default="parquet",
    show_default=True,
    type=click.Choice(["parquet", "csv"]),
    help="Format of the data parts. CSV has the label first and no header; latest.json never names a CSV snapshot.",
)
@click.option(
    "--min-parts",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Minimum number of files per split: one for each training instance.",
)
@click.option("--dry-run", is_flag=True, help="Report what would be written, but write nothing.")
@click.option(
    "--allow-failed",
    is_flag=True,
    help="Export even if a check failed; the manifest records the failure.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Fail with exit code 1, instead of a warning, if a split cannot be trained on or scored.",
)
@json_option
@explained
def export(
    consumer: str | None,
    dwh: str | None,
    every: bool,
    to: str | None,
    file_format: FileFormat,
    min_parts: int,
    dry_run: bool,
    allow_failed: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Write a snapshot of a consumer's training mart."""
    from feature_mart import pipeline
    from feature_mart.cli import documents, summary
    from feature_mart.core.settings import resolve_settings
    from feature_mart.runner import open_run, require_built

    if (consumer is None) == (not every):
        raise UsageError("Name one consumer, or pass --all.")
    settings = resolve_settings(dwh=dwh)
    require_built(settings)
    with Console(quiet=as_json) as console, open_run(settings, "export") as log:
        done = pipeline.export_consumers(
            settings,
            log,
            [consumer] if consumer else [],
            to=to,
            min_parts=min_parts,
            dry_run=dry_run,
            allow_failed=allow_failed,
            strict=strict,
            file_format=file_format,
            progress=console.stage("export"),
        )
    if as_json:
        emit({"snapshots": [documents.snapshot_document(each) for each in done]})
    else:
        for each in done:
            summary.print_snapshot(each, settings)


@main.command()
@click.option("--jobs", default=20_000, show_default=True, help="Number of job postings.")
@click.option(
    "--seed", default=0, show_default=True, help="Random seed; the same seed gives the same files."
)
@click.option("--out", metavar="DIR", help="Folder to write to [the sample's folder in MART_HOME].")
@click.option(
    "--to",
    type=click.Choice(["bigquery"]),
    help="Load the sample into BigQuery; --out then names the dataset.",
)
@click.option(
    "--empty",
    metavar="DIR",
    help="Write the eight raw tables without rows to a new folder, as a template for your own data.",
)
@json_option
@explained
def sample(
    jobs: int, seed: int, out: str | None, to: str | None, empty: str | None, as_json: bool
) -> None:
    """Write a sample warehouse: a freelance marketplace with realistic data faults."""
    from feature_mart import pipeline
    from feature_mart.cli import documents, summary
    from feature_mart.core.services import EMBEDDED
    from feature_mart.core.settings import SAMPLE, resolve_settings
    from feature_mart.runner import open_run
    from feature_mart.sample import write_empty, write_sample

    if empty is not None:
        _refuse_beside("--empty", ("jobs", "seed", "out", "to"))
        folder = write_empty(empty)
        if as_json:
            emit(documents.empty_document(folder))
        else:
            summary.print_empty(folder)
        return
    with Console(quiet=as_json) as console:
        show = console.stage("sample")
        if to is not None:
            loaded = pipeline.load_sample(resolve_settings(), out or SAMPLE, jobs, seed, show)
            place: str | None = loaded.dataset
        else:
            home = resolve_settings(target=EMBEDDED).home
            settings = resolve_settings(dwh=out or str(home / SAMPLE / "dwh"), target=EMBEDDED)
            place = None
            if settings.is_sample:
                with open_run(settings, "sample") as log:
                    done = pipeline.make_sample(log, settings.dwh, jobs, seed, show)
            else:
                done = write_sample(settings.dwh, jobs, seed, lambda table: show(0, 0, table))
    if place is not None:
        if as_json:
            emit({"dataset": place, "jobs": jobs, "seed": seed, "rows": loaded.rows})
        else:
            summary.print_loaded(place, loaded.rows)
    elif as_json:
        emit(documents.sample_document(done))
    else:
        summary.print_sample(done, settings)


def _refuse_beside(flag: str, names: tuple[str, ...]) -> None:
    """Check that none of the named options is given on the command line together with ``flag``.

    Raises:
        UsageError: one of the options is given.
    """
    ctx = click.get_current_context()
    given = [name for name in names if ctx.get_parameter_source(name) is _GIVEN]
    if given:
        raise UsageError(f"{flag} cannot be used with --{given[0]}: leave out one of the two.")


main.add_command(audit)
main.add_command(conformance)
main.add_command(cost)
main.add_command(knowledge)
main.add_command(snapshot)
