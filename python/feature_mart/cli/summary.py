"""What commands print for people when they are done."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.table import Table

from feature_mart.cli.printing import near, own_name, print_table, say
from feature_mart.exporter import SnapshotReport
from feature_mart.job import RunSummary
from feature_mart.raw_contract import BulkLoad
from feature_mart.runner import BuildReport
from feature_mart.sample import SampleReport
from feature_mart.settings import Settings
from feature_mart.zones import load_zone

_HOW = {
    "written": "new",
    "adopted": "finished a crashed attempt",
    "unchanged": "the same content was there, nothing written",
    "planned": "dry run, nothing written",
}
_LATEST = {
    "moved": "names it",
    "already": "names it",
    "held": "is held by a rollback and stays; `mart snapshot rollback CONSUMER --release` lets it go",
    "newer": "names one of a later refresh and stays",
    "fenced": "was written under a newer lease and stays",
    "csv": "stays: it names snapshots in Parquet only",
}


def print_run(done: RunSummary) -> None:
    """The summary of `mart run`."""
    settings = done.settings
    zone = load_zone(settings.clock.timezone)
    at = done.build.as_of_at.astimezone(zone)
    say("")
    say(f"Feature mart of {settings.warehouse}, as of {at:%Y-%m-%d %H:%M} {zone.key}", style="bold")
    say("", *_build_lines(done.build, settings))
    for snapshot in done.snapshots:
        say("")
        _print_splits(snapshot, zone)
    say(
        "",
        f"  docs       {near(done.site)}",
        f"  mart       {near(settings.mart_address)}",
        *(f"  snapshot   {near(each.address)} ({_HOW[each.status]})" for each in done.snapshots),
        *(
            f"  through    {through}"
            for through in dict.fromkeys(e.through for e in done.snapshots)
            if through
        ),
    )
    _print_bulk(done.bulk_loads, settings)
    say("")
    say(f"Done in {done.seconds:.0f} s. Try next:", style="bold")
    say(*_next_steps(done))


def _next_steps(done: RunSummary) -> list[str]:
    mart = own_name()
    tries = [(f"{mart} docs --serve", "read why each feature is there")]
    if not done.settings.is_sample and done.settings.bigquery is None:
        mine = f"export MART_DWH={shlex.quote(str(done.settings.dwh))}"
        tries.insert(0, (mine, "the commands below then mean this warehouse"))
    tries += [
        (f"{mart} snapshot verify {near(each.address)}", "read all of it again")
        for each in done.snapshots[:1]
    ]
    if done.settings.is_sample:
        tries.append(("make mart DWH=/path/to/parquet", "the same on a warehouse of your own"))
    # A long path does not push the reasons of the others aside.
    wide = min(40, max(len(command) for command, _ in tries))
    return [f"  {command:<{wide}}   {why}" for command, why in tries]


def print_sample(done: SampleReport, settings: Settings) -> None:
    """The summary of `mart sample`."""
    rows = ", ".join(f"{table} {count:,}" for table, count in done.rows.items())
    say(near(done.folder), f"  rows       {rows}")
    if settings.is_sample and settings.mart_path.is_file():
        say(
            f"  next       {own_name()} build --full-refresh, since the mart was built from another sample"
        )


def print_loaded(dataset: str, rows: dict[str, int]) -> None:
    """The summary of `mart sample --to bigquery`."""
    counts = ", ".join(f"{table} {count:,}" for table, count in rows.items())
    say(
        dataset,
        f"  rows       {counts}",
        f"  next       export MART_DWH={dataset}; {own_name()} build",
    )


def print_build(done: BuildReport, settings: Settings, bulk: Sequence[BulkLoad]) -> None:
    """The summary of `mart build`."""
    zone = load_zone(settings.clock.timezone)
    at = done.as_of_at.astimezone(zone)
    say(
        f"Feature mart of {settings.warehouse}, as of {at:%Y-%m-%d %H:%M} {zone.key}",
        *_build_lines(done, settings),
        f"  mart       {near(settings.mart_address)}",
    )
    _print_bulk(bulk, settings)


def _build_lines(built: BuildReport, settings: Settings) -> list[str]:
    tests = built.tests
    how = f"in full: {built.full_because}" if built.full_because else "appended to the mart"
    warned = f", {tests.warned} warned" if tests.warned else ""
    lines = [
        f"  built      {built.models} models, {how}",
        f"  checks     {tests.passed} passed{warned}",
        f"  amounts    in whole units of {settings.currency}",
    ]
    return lines + [f"  warning    {warning}" for warning in built.warnings]


def _print_bulk(found: Sequence[BulkLoad], settings: Settings) -> None:
    for bulk in found:
        say(
            f"  warning    {bulk.table}: {bulk.rows:,} of {bulk.of:,} rows were loaded on one day, {bulk.day}"
        )
        line = bulk.seed_line(settings.warehouse)
        if line is None:
            say(
                "             no line in seeds/load_clock.csv is needed: none would be known sooner"
            )
        else:
            say(
                "             if that was one bulk load, add to seeds/load_clock.csv (24 hours is a guess):",
                f"             {line}",
            )


def print_snapshot(done: SnapshotReport, settings: Settings) -> None:
    """The summary of `mart export`."""
    _print_splits(done, load_zone(settings.clock.timezone))
    lines = ["", f"  snapshot   {done.id} ({_HOW[done.status]})"]
    if done.bytes is not None:
        lines.append(
            f"  files      {done.parts} parts, {done.bytes:,} bytes, {done.sent_bytes:,} of them written now"
        )
    if done.latest is not None:
        lines.append(f"  latest     {_LATEST[done.latest]}")
    if done.through:
        lines.append(f"  through    {done.through}")
    # What a training job's channels begin with: data/train/, data/validation/, data/test/.
    say(*lines, f"  address    {near(done.address)}")


def _print_splits(done: SnapshotReport, zone: ZoneInfo) -> None:
    def local(at: datetime) -> str:
        return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"

    first, last = local(done.splits[0].start), local(done.splits[-1].end)
    say(
        f"  {done.consumer}: {done.mart_rows:,} rows, {len(done.columns)} columns (label first), "
        f"{first} to {last}"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in ("", "rows", "purged", "from", "to"):
        table.add_column(name, justify="right" if name in {"rows", "purged"} else "left")
    for split in done.splits:
        name, rows, purged = f"    {split.name}", f"{split.rows:,}", f"{split.purged:,}"
        table.add_row(name, rows, purged, local(split.start), local(split.end))
    for reason, count in sorted(done.excluded.items()):
        table.add_row(f"    excluded: {reason}", f"{count:,}", "", "", "")
    table.add_row("    all, purged ones too", f"{done.mart_rows:,}", "", "", "")
    print_table(table)
    say(*(f"  warning    {done.consumer}, {each.text}" for each in done.warnings))
