"""`mart` and its commands. What a command needs is imported when it runs, so that help is instant."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from feature_mart import __version__
from feature_mart.cli.console import Console
from feature_mart.errors import FeatureMartError, UsageError

P = ParamSpec("P")

#: What `mart --help` shows, in this order; the rest stands under its group's name.
_FIRST = ("run", "build", "docs", "export", "sample", "snapshot")


class _Ordered(click.Group):
    """Lists the commands a newcomer needs first, in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: (name not in _FIRST, _position(name), name))


def _position(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def _explained(command: Callable[P, None]) -> Callable[P, None]:
    """Turn an explained failure into its message and exit code; no traceback for those."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except FeatureMartError as error:
            click.echo(f"mart: {error}", err=True)
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt:
            click.echo("mart: interrupted; nothing half-written was kept", err=True)
            raise SystemExit(130) from None

    return guarded


def _emit(document: dict[str, Any]) -> None:
    click.echo(json.dumps({"schema": 1, **document}, default=str, ensure_ascii=False))


_json = click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
_dwh = click.option("--dwh", metavar="DIR", help="Folder of the raw tables [MART_DWH; the sample].")
_as_of = click.option(
    "--as-of", metavar="WHEN", help="A date, or an instant with offset [the newest refresh]."
)


@click.group(cls=_Ordered, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mart")
def main() -> None:
    """A feature mart: from a raw warehouse to tested, documented, point-in-time-correct training
    snapshots.

    Begin with `mart run`.
    """


@main.command()
@_dwh
@_as_of
@_json
@_explained
def run(dwh: str | None, as_of: str | None, as_json: bool) -> None:
    """Everything once: sample if needed, build, docs, snapshots, summary."""
    from feature_mart import job
    from feature_mart.cli import summary
    from feature_mart.settings import resolve_settings

    console = Console(quiet=as_json)
    with console:
        done = job.run(resolve_settings(dwh=dwh), as_of=as_of, stage=console.stage)
    if as_json:
        _emit(summary.run_document(done))
    else:
        summary.print_run(done)


@main.command()
@_dwh
@_as_of
@click.option("--full-refresh", is_flag=True, help="Build every table anew.")
@click.option("--select", multiple=True, metavar="MODEL", help="Only these models (dbt's syntax).")
@_json
@_explained
def build(
    dwh: str | None, as_of: str | None, full_refresh: bool, select: tuple[str, ...], as_json: bool
) -> None:
    """Build and test the mart; it is replaced only when every check has passed."""
    from feature_mart import job
    from feature_mart.cli import summary
    from feature_mart.runner import build_mart, logged_run
    from feature_mart.settings import resolve_settings

    settings = resolve_settings(dwh=dwh)
    console = Console(quiet=as_json)
    with console, logged_run(settings, "build") as log:
        done = build_mart(
            settings,
            log,
            as_of=as_of,
            full_refresh=full_refresh,
            select=select,
            progress=console.stage("build"),
        )
    bulk = job.find_bulk_loads(settings)
    if as_json:
        _emit(summary.build_document(done, log.run_id))
    else:
        summary.print_build(done, settings, bulk)


@main.command()
@_dwh
@click.option("--serve", is_flag=True, help="Serve the site on this machine afterwards.")
@click.option("--port", default=8080, show_default=True, help="Port for --serve.")
@_json
@_explained
def docs(dwh: str | None, serve: bool, port: int, as_json: bool) -> None:
    """Write the documentation site of the built mart."""
    from feature_mart.runner import build_docs, logged_run, serve_docs
    from feature_mart.settings import resolve_settings

    settings = resolve_settings(dwh=dwh)
    console = Console(quiet=as_json)
    with console, logged_run(settings, "docs") as log:
        page = build_docs(settings, log, console.stage("docs"))
    if as_json:
        _emit({"site": str(page)})
    else:
        click.echo(f"site: {page}")
    if serve:
        click.echo(f"serving on http://127.0.0.1:{port} (Ctrl-C stops)", err=True)
        serve_docs(settings, port)


@main.command()
@click.argument("consumer", required=False)
@click.option("--all", "every", is_flag=True, help="Every consumer.")
@_dwh
@click.option("--to", metavar="DIR", help="Where snapshots go [MART_SNAPSHOTS; the state folder].")
@click.option("--min-parts", default=1, show_default=True, type=click.IntRange(1))
@click.option("--dry-run", is_flag=True, help="Say what would be written.")
@click.option("--allow-failed", is_flag=True, help="Though a check failed; the manifest says so.")
@_json
@_explained
def export(
    consumer: str | None,
    every: bool,
    dwh: str | None,
    to: str | None,
    min_parts: int,
    dry_run: bool,
    allow_failed: bool,
    as_json: bool,
) -> None:
    """Write a snapshot of a consumer's training mart."""
    from feature_mart import job
    from feature_mart.cli import summary
    from feature_mart.runner import logged_run
    from feature_mart.settings import resolve_settings

    if (consumer is None) == (not every):
        raise UsageError("Name one consumer, or --all.")
    settings = resolve_settings(dwh=dwh)
    console = Console(quiet=as_json)
    with console, logged_run(settings, "export") as log, log.stage("export"):
        done = job.export_consumers(
            settings,
            log,
            [consumer] if consumer else [],
            to=to,
            min_parts=min_parts,
            dry_run=dry_run,
            allow_failed=allow_failed,
            progress=console.stage("export"),
        )
    if as_json:
        _emit({"snapshots": [summary.snapshot_document(each) for each in done]})
    else:
        for each in done:
            summary.print_snapshot(each)


@main.command()
@click.option("--jobs", default=20_000, show_default=True, help="How many job postings.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same bytes.")
@click.option("--out", metavar="DIR", help="Folder to write [the sample's own].")
@_json
@_explained
def sample(jobs: int, seed: int, out: str | None, as_json: bool) -> None:
    """Write a sample warehouse: a freelance marketplace with the dirt that real ones have."""
    from feature_mart import job
    from feature_mart.settings import SAMPLE, resolve_settings

    settings = resolve_settings()
    folder = Path(out).expanduser().resolve() if out else settings.home / SAMPLE / "dwh"
    console = Console(quiet=as_json)
    with console:
        job.make_sample(settings, folder, jobs, seed, console.stage("sample"))
    if as_json:
        _emit({"folder": str(folder), "jobs": jobs, "seed": seed})
    else:
        click.echo(f"sample: {folder}")


@main.group()
def snapshot() -> None:
    """Look at snapshots: list, verify."""


@snapshot.command("list")
@click.argument("consumer", required=False)
@_dwh
@click.option("--from", "source", metavar="DIR", help="Where they are [MART_SNAPSHOTS].")
@_json
@_explained
def list_(consumer: str | None, dwh: str | None, source: str | None, as_json: bool) -> None:
    """List the snapshots of a consumer, or of all."""
    from feature_mart.cli import summary
    from feature_mart.exporter import list_snapshots
    from feature_mart.settings import resolve_settings

    root = source or resolve_settings(dwh=dwh).snapshots
    lines = list_snapshots(Path(root).expanduser().absolute(), consumer)
    if as_json:
        _emit({"snapshots": [summary.line_document(line) for line in lines]})
    else:
        summary.print_lines(lines, root)


@snapshot.command()
@click.argument("address")
@_json
@_explained
def verify(address: str, as_json: bool) -> None:
    """Read everything in a snapshot again and compare it with its manifest; 1 when it differs."""
    from feature_mart.cli import summary
    from feature_mart.exporter import verify_snapshot

    verdict = verify_snapshot(address)
    if as_json:
        _emit(summary.verdict_document(verdict))
    else:
        summary.print_verdict(verdict)
    if verdict.problems:
        raise SystemExit(1)
