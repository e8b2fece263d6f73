"""Print the text output of `mart run`, `build`, `sample` and `export`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from feature_mart.cli.printing import duration, near, own_name, say
from feature_mart.cli.split_table import at_minute, left_out_lines, print_splits
from feature_mart.core.raw_contract import CONTRACT, OPTIONAL
from feature_mart.core.settings import Settings
from feature_mart.core.zones import load_zone
from feature_mart.exporter import SnapshotReport
from feature_mart.pipeline import RunSummary, UnusualLoads
from feature_mart.runner import BuildReport
from feature_mart.runner.bulk_loads import BulkLoad, lag_note
from feature_mart.sample import SampleReport
from feature_mart.snapshot_files.left_out import count_left_out

_HOW = {
    "written": "new",
    "adopted": "completed an interrupted export",
    "unchanged": "nothing written, because the same content exists",
    "planned": "dry run, nothing written",
}
_LATEST = {
    "moved": "names this snapshot",
    "already": "names this snapshot",
    "held": "not moved: held by a rollback; release it with `mart snapshot rollback CONSUMER --release`",
    "newer": "not moved: latest.json names a snapshot of a later refresh",
    "fenced": "not moved: latest.json was written under a newer lease",
    "csv": "not moved: latest.json names only Parquet snapshots",
}


def print_run(done: RunSummary) -> None:
    """Print the summary of `mart run`."""
    settings = done.settings
    zone = load_zone(settings.clock.timezone)
    at = done.build.as_of_at.astimezone(zone)
    say("")
    say(f"Feature mart of {settings.warehouse}, as of {at:%Y-%m-%d %H:%M} {zone.key}", style="bold")
    say("", *_build_lines(done.build, done.loads, settings))
    for snapshot in done.snapshots:
        say("")
        _print_splits(snapshot, zone)
    say("", *_left_out_lines(done.snapshots))
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
    say("")
    say(f"Done in {done.seconds:.0f} s. Try next:", style="bold")
    say(*_next_steps(done))


def _next_steps(done: RunSummary) -> list[str]:
    mart = own_name()
    tries = [(f"{mart} docs --serve", "read the reasons for each feature")]
    if not done.settings.is_sample and done.settings.bigquery is None:
        mine = f"export MART_DWH={shlex.quote(str(done.settings.dwh))}"
        tries.insert(0, (mine, "use this warehouse in the commands below"))
    tries += [
        (f"{mart} snapshot verify {near(each.address)}", "verify all files of the snapshot")
        for each in done.snapshots[:1]
    ]
    if done.settings.is_sample:
        tries.append(("make mart DWH=/path/to/parquet", "run on your own warehouse"))
    # Limit the width of the first column, because a long path would push all reasons to the right.
    wide = min(40, max(len(command) for command, _ in tries))
    return [f"  {command:<{wide}}   {why}" for command, why in tries]


def print_sample(done: SampleReport, settings: Settings) -> None:
    """Print the summary of `mart sample`."""
    rows = ", ".join(f"{table} {count:,}" for table, count in done.rows.items())
    say(near(done.folder), f"  rows       {rows}")
    if settings.is_sample and settings.mart_path.is_file():
        say(
            f"  next       {own_name()} build --full-refresh, because the mart was built from another sample"
        )


def print_empty(folder: Path) -> None:
    """Print the summary of `mart sample --empty DIR`."""
    say(near(folder))
    say(*(f"  {table:<12} {', '.join(columns)}" for table, columns in CONTRACT.items()))
    optional = (f"{table}: {', '.join(columns)}" for table, columns in OPTIONAL.items())
    build = f"{own_name()} build --dwh {shlex.quote(near(folder))}"
    say(
        f"  optional     {'; '.join(optional)}",
        f"  next         write rows into these tables (at least into jobs), then run {build}",
    )


def print_loaded(dataset: str, rows: dict[str, int]) -> None:
    """Print the summary of `mart sample --to bigquery`."""
    counts = ", ".join(f"{table} {count:,}" for table, count in rows.items())
    say(
        dataset,
        f"  rows       {counts}",
        f"  next       export MART_DWH={dataset}; {own_name()} build",
    )


def print_build(done: BuildReport, settings: Settings, loads: UnusualLoads) -> None:
    """Print the summary of `mart build`."""
    zone = load_zone(settings.clock.timezone)
    at = done.as_of_at.astimezone(zone)
    say(
        f"Feature mart of {settings.warehouse}, as of {at:%Y-%m-%d %H:%M} {zone.key}",
        *_build_lines(done, loads, settings),
        f"  mart       {near(settings.mart_address)}",
    )


def _build_lines(built: BuildReport, loads: UnusualLoads, settings: Settings) -> list[str]:
    """Return the lines about a build. Unusual loads precede warnings, because such a load may explain a warning."""
    tests = built.tests
    how = f"in full: {built.full_because}" if built.full_because else "appended to the mart"
    warned = f", {tests.warned} warned" if tests.warned else ""
    return [
        f"  built      {built.models} models, {how}",
        f"  checks     {tests.passed} passed{warned}",
        f"  amounts    in whole units of {settings.currency}",
        *load_lines(loads, settings),
        *(f"  warning    {warning}" for warning in built.warnings),
        *(f"  not judged yet: {each.line()}" for each in built.unjudged),
    ]


def load_lines(loads: UnusualLoads, settings: Settings) -> list[str]:
    """Return the lines about unusual loads, which may explain empty features, missing labels or failures."""
    lines = bulk_lines(loads.bulk, settings.warehouse)
    archive = loads.archive
    if archive is not None:
        ends = at_minute(archive.ends_at, load_zone(settings.clock.timezone))
        needs = any(each.line is not None for each in loads.bulk)
        lines += [
            f"  archive    the data end on {ends} ({archive.column}), {archive.days:,} days before this refresh; "
            "build the mart as of the end of the data:",
            f"             --as-of {archive.as_of} --full-refresh"
            + (", after you have added the lines above to seeds/load_clock.csv" if needs else ""),
        ]
    return lines


def bulk_lines(found: Sequence[BulkLoad], warehouse: str) -> list[str]:
    """Return lines about the bulk loads in ``found``, with the lines to add to the load clock."""
    lines: list[str] = []
    if any(bulk.line is not None for bulk in found):
        lines += [
            "  bulk load  rows of a bulk load count as known only from that load on. At earlier refreshes, features "
            "are empty",
            "             and rows excluded. Checks may report this, which is normal for the first load of a "
            "warehouse.",
        ]
    for bulk in found:
        lines.append(
            f"  warning    {bulk.table}: {bulk.keys:,} of {bulk.of:,} keys were first loaded together, on {bulk.day}"
        )
        line, moved = bulk.seed_line(warehouse), bulk.moved
        if line is None:
            lines.append(
                "             seeds/load_clock.csv needs no line: no key would count as known earlier"
            )
        else:
            lines += [
                "             if these keys were known before, add this line to seeds/load_clock.csv:",
                f"             {line}",
                f"             {moved.keys:,} keys then count as known earlier: half of them by "
                f"{duration(moved.median)} or more, none by more than {duration(moved.greatest)}",
                f"             ({lag_note(bulk.compared)})",
            ]
    return lines


def print_snapshot(done: SnapshotReport, settings: Settings) -> None:
    """Print the summary of `mart export`."""
    _print_splits(done, load_zone(settings.clock.timezone))
    lines = [*_left_out_lines([done]), "", f"  snapshot   {done.id} ({_HOW[done.status]})"]
    if done.bytes is not None:
        lines.append(
            f"  files      {done.parts} parts, {done.bytes:,} bytes, {done.sent_bytes:,} of them written now"
        )
    if done.latest is not None:
        lines.append(f"  latest     {_LATEST[done.latest]}")
    if done.through:
        lines.append(f"  through    {done.through}")
    # Print the address, because a training job needs the folders data/train/, data/validation/ and data/test/ in it.
    say(*lines, f"  address    {near(done.address)}")


def _print_splits(done: SnapshotReport, zone: ZoneInfo) -> None:
    first, last = done.splits[0].start, done.splits[-1].end
    say(
        f"  {done.consumer}: {done.mart_rows:,} rows, {len(done.columns)} columns (label first), "
        f"{at_minute(first, zone)} to {at_minute(last, zone)}"
    )
    rows = [(each.name, each.rows, each.purged, each.start, each.end) for each in done.splits]
    print_splits(rows, done.excluded, done.mart_rows, zone)
    say(*(f"  warning    {done.consumer}, {each.text}" for each in done.warnings))


def _left_out_lines(snapshots: Sequence[SnapshotReport]) -> list[str]:
    counts: dict[str, int] = {}
    for each in snapshots:
        counts = count_left_out(each.excluded, (split.purged for split in each.splits), counts)
    return left_out_lines(counts)
