"""`mart knowledge`: why a feature is there, and whether every one says so."""

from __future__ import annotations

from dataclasses import asdict

import click

from feature_mart.cli.options import emit, explained, json_option


@click.group()
def knowledge() -> None:
    """Ask for the reasons behind features, and whether they are there."""


@knowledge.command()
@click.option(
    "--base", metavar="REF", help="Also: what changed since this commit without its reason."
)
@json_option
@explained
def check(base: str | None, as_json: bool) -> None:
    """Check that every feature has its reasons; 1 where one lacks some.

    With --base, a feature whose SQL or Python means something else than at that commit needs a touched reason too:
    its why, its transform, or its model's Markdown. Comments and layout do not count.
    """
    from feature_mart.knowledge import check_knowledge
    from feature_mart.settings import resolve_settings

    found = check_knowledge(resolve_settings().project, base)
    if as_json:
        emit({"missing": [asdict(each) for each in found]})
    else:
        for each in found:
            column = f" {each.column}:" if each.column else ""
            click.echo(f"{each.path}:{column} {each.what}")
        if not found:
            click.echo("every feature has its reasons")
    if found:
        raise SystemExit(1)


@knowledge.command()
@click.argument("column")
@json_option
@explained
def why(column: str, as_json: bool) -> None:
    """Print everything that is written of a column, and who uses it."""
    from feature_mart.knowledge import explain_column
    from feature_mart.settings import resolve_settings

    found = explain_column(resolve_settings().project, column)
    if as_json:
        emit(asdict(found))
        return
    click.echo(f"{found.column}  ({found.path})")
    click.echo(f"  {found.description}")
    names = ("why", "transform", "unit", "null_means", "serve", "owner", "added", "role")
    for name in names:
        if name in found.meta:
            click.echo(f"  {name:<11} {found.meta[name]}")
    users = ", ".join(f"{name} (label {label})" for name, label in found.consumers.items())
    click.echo(f"  {'used by':<11} {users or 'no consumer'}")
    click.echo(f"  {'also in':<11} {', '.join(found.handed_on) or 'no other model'}")
    for heading, text in found.notes.items():
        click.echo(f"\n{heading}\n{text}")
    for candidate in found.rejected:
        click.echo(f"\nRejected: {candidate.name} ({candidate.path})\n{candidate.description}")
