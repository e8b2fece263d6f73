"""Write the text and JSON output of `mart snapshot`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from feature_mart.cli.printing import near, print_table, say
from feature_mart.cli.split_table import left_out_lines, local_time, print_splits
from feature_mart.core.settings import Settings
from feature_mart.core.zones import load_zone
from feature_mart.exporter import (
    CleanReport,
    ColumnDiff,
    SnapshotDiff,
    SnapshotLine,
    Verdict,
)
from feature_mart.snapshot_files import manifest_warnings, parse_instant
from feature_mart.snapshot_files.left_out import count_left_out, explain_left_out

_MOST = 15


def line_document(line: SnapshotLine) -> dict[str, Any]:
    """Return the JSON of one snapshot in `mart snapshot list --json`."""
    document = asdict(line)
    for name in ("as_of_at", "created_at"):
        at = document[name]
        document[name] = at.isoformat() if at else None
    return document


def print_lines(lines: Sequence[SnapshotLine], where: str, consumer: str | None) -> None:
    """Print the table of `mart snapshot list`."""
    if not lines:
        of = f" of {consumer}" if consumer else ""
        say(f"No snapshots{of} under {near(where)}.")
        return
    table = _table("consumer", "id", "rows", "bytes", "", "address")
    for line in lines:
        notes = [
            line.problem,
            "latest" if line.is_latest else None,
            "held" if line.is_held else None,
            f"pinned: {line.pinned}" if line.pinned else None,
            line.file_format if line.file_format != "parquet" else None,
            f"{len(line.warnings)} warnings (--json)" if line.warnings else None,
        ]
        table.add_row(
            line.consumer,
            line.id,
            f"{sum(line.rows.values()):,}" if line.rows else "",
            f"{line.bytes:,}" if line.bytes is not None else "",
            ", ".join(note for note in notes if note),
            near(line.address),
        )
    print_table(table)


def shown_document(
    manifest: Mapping[str, Any], schema: Mapping[str, Any], address: str
) -> dict[str, Any]:
    """Return the JSON of `mart snapshot show --json`."""
    counts = count_left_out(manifest["excluded"], manifest["purged"].values())
    return {
        "address": address,
        "label": schema["label"],
        "label_kind": schema["label_kind"],
        "format": schema.get("format", "parquet"),
        "meanings": dict(explain_left_out(counts)),
        "manifest": manifest,
    }


def print_shown(
    manifest: Mapping[str, Any], schema: Mapping[str, Any], address: str, settings: Settings
) -> None:
    """Print the origin, the rows and the warnings of a snapshot."""
    git, tests, engine = manifest["git"], manifest["tests"], manifest["engine"]
    code = f"commit {git['commit'] or 'unknown: the snapshot was made outside a Git repository'}"
    code += ", with changes that were not committed" if git["dirty"] else ""
    features = sum(column["role"] == "feature" for column in schema["columns"])
    as_of = local_time(parse_instant(manifest["as_of_at"]), settings.clock)
    made = local_time(parse_instant(manifest["created_at"]), settings.clock)
    size = sum(part["bytes"] for part in manifest["parts"])
    say(
        f"{manifest['consumer']} {manifest['id']}",
        f"  address    {near(address)}",
        f"  as of      {as_of}, warehouse {manifest['warehouse_id']}",
        f"  made       {made}, {engine['name']} {engine['version']}, {code}",
        f"  checks     {tests['passed']} passed, {tests['failed']} failed, {tests['warned']} warned",
        f"  columns    {schema['label']} ({schema['label_kind']}) and {features} features",
        f"  files      {len(manifest['parts'])} parts, {size:,} bytes, {schema.get('format', 'parquet')}",
        "",
    )
    purged, excluded = manifest["purged"], manifest["excluded"]
    rows = [
        (
            each["name"],
            each["rows"],
            purged[each["name"]],
            parse_instant(each["from"]),
            parse_instant(each["to"]),
        )
        for each in manifest["splits"]
    ]
    total = sum(row[1] + row[2] for row in rows) + sum(excluded.values())
    print_splits(rows, excluded, total, load_zone(settings.clock.timezone))
    say(*left_out_lines(count_left_out(excluded, purged.values())))
    say(*(f"  warning    {each}" for each in manifest_warnings(manifest)))


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """Return the JSON of `mart snapshot verify --json`."""
    return {
        "address": verdict.address,
        "id": verdict.id,
        "manifest_sha256": verdict.manifest_sha256,
        "parts": verdict.parts,
        "rows": verdict.rows,
        "warnings": list(verdict.warnings),
        "problems": [{"where": each.where, "what": each.what} for each in verdict.problems],
    }


def print_verdict(verdict: Verdict) -> None:
    """Print the verdict of `mart snapshot verify`."""
    if not verdict.problems:
        say(f"good: {verdict.id}, {verdict.parts} parts, {verdict.rows:,} rows")
        say(f"  SHA-256 of manifest.json: {verdict.manifest_sha256}")
        say(*(f"  warning    {each}" for each in verdict.warnings))
        return
    say(f"bad: {near(verdict.address)}")
    say(*(f"  - {problem.where}: {problem.what}" for problem in verdict.problems))


def diff_document(found: SnapshotDiff) -> dict[str, Any]:
    """Return the JSON of `mart snapshot diff --json`."""
    return asdict(found)


def print_diff(found: SnapshotDiff, *, every: bool) -> None:
    """Print the differences between two snapshots.

    If ``every`` is False, only the columns whose distribution changed most are printed.
    """
    say(f"A {found.a}", f"B {found.b}", "")
    for name, (one, other) in found.facts.items():
        say(f"  {name:<24} {_shown(one)} → {_shown(other)}")
    say(*(f"  column added             {name}" for name in found.added))
    say(*(f"  column removed           {name}" for name in found.removed))
    say(*(f"  column changed           {n}: {a} → {b}" for n, (a, b) in found.changed.items()))
    say("")
    table = _table("", "in both", "only in A", "only in B", "relabelled")
    for split in found.splits:
        counts = (split.both, split.only_a, split.only_b, split.relabelled)
        table.add_row(split.name, *(f"{count:,}" for count in counts))
    print_table(table)
    moved = sorted(found.columns, key=lambda column: (-column.psi, column.name))
    if not every:
        moved = [column for column in moved if column.psi > 0][:_MOST]
    if not moved:
        say("", "No column's distribution changed.")
        return
    say("")
    table = _table("column, all splits", "PSI", "NULL", "mean", "median")
    for column in moved:
        table.add_row(column.name, f"{column.psi:.4f}", *_values(column))
    print_table(table)
    if len(moved) < len(found.columns):
        say(f"  {len(found.columns) - len(moved)} more columns: pass --all")


def clean_document(done: CleanReport) -> dict[str, Any]:
    """Return the JSON of `mart snapshot clean --json`."""
    return asdict(done)


def print_clean(done: CleanReport) -> None:
    """Print what `mart snapshot clean` removed, or would remove in a dry run."""
    for each in done.removed:
        what = "abandoned export" if each.kind == "attempt" else "snapshot"
        verb = "would remove" if done.is_dry_run else "removed"
        say(f"{verb} {what} {near(each.address)} ({each.files} files, {each.bytes:,} bytes)")
    if done.uploads:
        say(f"removed {done.uploads} unfinished uploads")
    say(f"snapshots {'that would be kept' if done.is_dry_run else 'kept'}: {done.kept}")


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    words = {"", "consumer", "id", "address", "column, all splits"}
    for name in names:
        table.add_column(name, justify="left" if name in words else "right")
    return table


def _values(column: ColumnDiff) -> tuple[str, str, str]:
    one, other = column.null_share
    nulls = f"{one:.1%} → {other:.1%}"
    return nulls, _pair(column.mean), _pair(column.median)


def _pair(pair: tuple[float | None, float | None]) -> str:
    return " → ".join("–" if value is None else f"{value:.4g}" for value in pair)


def _shown(value: object) -> str:
    return "–" if value is None else str(value)
