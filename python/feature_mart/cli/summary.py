"""What commands print when they are done: for people as text, for machines as documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from feature_mart.exporter import SnapshotLine, SnapshotReport, Verdict
from feature_mart.job import RunSummary
from feature_mart.runner import BuildReport
from feature_mart.settings import Settings
from feature_mart.warehouse import BulkLoad

_WIDE = 250


def _console() -> Console:
    """A pipe has no width: nothing is cut or folded there."""
    console = Console(soft_wrap=True, highlight=False)
    return console if console.is_terminal else Console(width=_WIDE, highlight=False)


def _print(*lines: str) -> None:
    console = _console()
    for line in lines:
        console.print(line, markup=False)


def _near(path: Path | str) -> str:
    """A path as seen from the working folder, where it lies below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def print_run(done: RunSummary) -> None:
    """The summary of `mart run`."""
    settings, built = done.settings, done.build
    _print("", f"feature mart of {settings.warehouse}, as of {_local(done)}")
    _print(*_build_lines(built))
    for snapshot in done.snapshots:
        _print("")
        _print_snapshot_table(snapshot)
    _print(
        "",
        f"  docs       {_near(done.site)}",
        f"  mart       {_near(settings.mart_path)}",
        *_bulk_lines(done.bulk_loads, settings),
        "",
        f"Done in {done.seconds:.0f} s. Try next:",
        "  mart docs --serve                        read why each feature is there",
        *(f"  mart snapshot verify {_near(each.address)}" for each in done.snapshots[:1]),
        "  models/features/                         change a feature, then make mart again",
    )


def _local(done: RunSummary) -> str:
    from zoneinfo import ZoneInfo

    clock = done.settings.clock
    at = done.build.as_of_at.astimezone(ZoneInfo(clock.timezone))
    return f"{at:%Y-%m-%d %H:%M} {clock.timezone}"


def _build_lines(built: BuildReport) -> list[str]:
    tests = built.tests
    how = f"in full ({built.full_because})" if built.full_because else "appended to the mart"
    lines = [
        f"  build      {built.models} models, {how}",
        f"  checks     {tests.passed} passed, {tests.warned} warned, {tests.failed} failed",
    ]
    return lines + [f"  warning    {warning}" for warning in built.warnings]


def _bulk_lines(found: Sequence[BulkLoad], settings: Settings) -> list[str]:
    lines = []
    for bulk in found:
        lines += [
            f"  warning    {bulk.table}: {bulk.rows} of {bulk.of} rows were loaded on {bulk.day} (UTC); if that "
            "is one bulk load,",
            "             add to seeds/load_clock.csv (the hours are yours to judge): "
            + bulk.seed_line(settings.warehouse),
        ]
    return lines


def print_build(done: BuildReport, settings: Settings, bulk: Sequence[BulkLoad]) -> None:
    """The summary of `mart build`."""
    _print(
        f"mart of {settings.warehouse} as of {done.as_of_at:%Y-%m-%d %H:%M}Z: "
        f"{_near(settings.mart_path)}",
        *_build_lines(done),
        *_bulk_lines(bulk, settings),
    )


def print_snapshot(done: SnapshotReport) -> None:
    """The summary of `mart export`."""
    _print_snapshot_table(done)


def _print_snapshot_table(done: SnapshotReport) -> None:
    words = {
        "written": "new",
        "adopted": "finished a crashed attempt",
        "unchanged": "the same content was there, nothing written",
        "planned": "dry run, nothing written",
    }
    _print(f"{done.consumer}: snapshot {done.id} ({words[done.status]})")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2), show_header=True)
    for name in ("", "rows", "purged", "from", "to"):
        table.add_column(name, justify="right" if name in {"rows", "purged"} else "left")
    for split in done.splits:
        table.add_row(
            split.name,
            f"{split.rows:,}",
            f"{split.purged:,}",
            f"{split.start:%Y-%m-%d %H:%M}Z",
            f"{split.end:%Y-%m-%d %H:%M}Z",
        )
    for reason, rows in sorted(done.excluded.items()):
        table.add_row(f"excluded: {reason}", f"{rows:,}", "", "", "")
    purged = sum(split.purged for split in done.splits)
    table.add_row("all", f"{done.mart_rows:,}", f"{purged:,}" if purged else "", "", "")
    _console().print(table)
    _print(
        f"  columns    {len(done.columns)} (label first)",
        f"  address    {_near(done.address)}",
    )


def print_lines(lines: Sequence[SnapshotLine], root: str) -> None:
    """The table of `mart snapshot list`."""
    if not lines:
        _print(f"no snapshots under {_near(root)}")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("consumer", "id", "rows", "bytes", "", "address"):
        table.add_column(name, justify="right" if name in {"rows", "bytes"} else "left")
    for line in lines:
        note = line.problem or ("latest" if line.is_latest else "")
        table.add_row(
            line.consumer,
            line.id,
            f"{sum(line.rows.values()):,}" if line.rows else "",
            f"{line.bytes:,}" if line.bytes is not None else "",
            note + (", held" if line.is_held and line.is_latest else ""),
            _near(line.address),
        )
    _console().print(table)


def print_verdict(verdict: Verdict) -> None:
    """The verdict of `mart snapshot verify`."""
    if not verdict.problems:
        _print(f"good: {verdict.id}, {verdict.parts} parts, {verdict.rows:,} rows")
        return
    _print(f"bad: {_near(verdict.address)}")
    _print(*(f"  - {problem.where}: {problem.what}" for problem in verdict.problems))


def run_document(done: RunSummary) -> dict[str, Any]:
    """`mart run --json`."""
    return {
        "warehouse_id": done.settings.warehouse,
        "as_of_at": done.build.as_of_at.isoformat(),
        "models": done.build.models,
        "full_because": done.build.full_because,
        "tests": _tests(done.build),
        "site": str(done.site),
        "snapshots": [snapshot_document(each) for each in done.snapshots],
        "seconds": round(done.seconds, 3),
    }


def build_document(done: BuildReport, run_id: str) -> dict[str, Any]:
    """`mart build --json`."""
    return {
        "run_id": run_id,
        "as_of_at": done.as_of_at.isoformat(),
        "models": done.models,
        "full_because": done.full_because,
        "tests": _tests(done),
        "warnings": list(done.warnings),
    }


def _tests(done: BuildReport) -> dict[str, int]:
    return {
        "passed": done.tests.passed,
        "failed": done.tests.failed,
        "warned": done.tests.warned,
    }


def snapshot_document(done: SnapshotReport) -> dict[str, Any]:
    """One snapshot of `mart export --json` and `mart run --json`."""
    return {
        "consumer": done.consumer,
        "id": done.id,
        "address": done.address,
        "status": done.status,
        "mart_rows": done.mart_rows,
        "columns": list(done.columns),
        "splits": [
            {
                "name": split.name,
                "from": split.start.isoformat(),
                "to": split.end.isoformat(),
                "rows": split.rows,
                "purged": split.purged,
            }
            for split in done.splits
        ],
        "excluded": done.excluded,
        "bytes": done.bytes,
    }


def line_document(line: SnapshotLine) -> dict[str, Any]:
    """One line of `mart snapshot list --json`."""
    return {
        "consumer": line.consumer,
        "id": line.id,
        "address": line.address,
        "is_latest": line.is_latest,
        "is_held": line.is_held,
        "problem": line.problem,
        "rows": line.rows,
        "bytes": line.bytes,
    }


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """`mart snapshot verify --json`."""
    return {
        "address": verdict.address,
        "id": verdict.id,
        "parts": verdict.parts,
        "rows": verdict.rows,
        "problems": [{"where": each.where, "what": each.what} for each in verdict.problems],
    }
