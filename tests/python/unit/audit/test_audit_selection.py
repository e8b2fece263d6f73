"""Test the selection audit: the counts of rows that a change moves for a consumer, by kind of move and by label."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from click.testing import CliRunner

from feature_mart.audit.moved_rows import ConsumerMoves, Side, compare_rows
from feature_mart.cli import main
from feature_mart.core.duckdb_files import connect
from feature_mart.core.manifest import Column, Consumer
from feature_mart.exporter import Assignment, assign_splits

CONSUMER = Consumer("prices", "mart_p__features", "mart_p__training", "price", "regression")
_DAY = "timestamptz '2025-01-01 00:00:00+00' + to_days({}::int)"
COLUMNS = [
    Column(name, kind, role, None, False, "")
    for name, kind, role in (
        ("job_id", "varchar", "key"),
        ("requested_at", "timestamptz", "key"),
        ("label_known_at", "timestamptz", "audit"),
        ("price", "double", "label"),
        ("exclusion_reason", "varchar", "audit"),
        ("x", "double", None),
    )
]
#: A row of the training mart: the days of requested_at and label_known_at, counted from 2025-01-01, then price,
#: exclusion_reason and split_name.
Row = tuple[int, int | None, float | None, str | None, str | None]
ROWS: Mapping[str, Row] = {
    f"j{n:03}": (n, n + 5, float(n), None, "train" if n < 150 else "test") for n in range(200)
} | {f"open{n}": (n, None, None, "label_not_yet_known", None) for n in range(20)}


def write_build(
    path: Path,
    rows: Mapping[str, Row],
    *,
    twice: Sequence[str] = (),
    spine: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
) -> Side:
    """Write the tables of a mart that the audit reads, and return the mart as one side of a comparison.

    ``twice`` lists the jobs with two training rows. ``spine`` and ``features`` list the jobs of int_job__requests and
    mart_p__features; None means all jobs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with connect(path) as con:
        con.execute(
            f"create table mart_p__training as select job_id, {_DAY.format('requested')} as requested_at, "
            f"{_DAY.format('known')} as label_known_at, price, reason as exclusion_reason, split_name "
            f"from (values {_values([(job, *rows[job]) for job in (*rows, *twice)])}) "
            "as given (job_id, requested, known, price, reason, split_name)"
        )
        for table, jobs in (("int_job__requests", spine), ("mart_p__features", features)):
            given = [(job,) for job in (rows if jobs is None else jobs)]
            con.execute(f"create table {table} as from (values {_values(given)}) given (job_id)")
    return Side(path, CONSUMER, Assignment((), "split_name"))


def _values(rows: Sequence[tuple[str | float | None, ...]]) -> str:
    """Return rows as the SQL list that follows VALUES."""
    cells = (["null" if cell is None else repr(cell) for cell in row] for row in rows)
    return ", ".join(f"({', '.join(row)})" for row in cells)


def moved(folder: Path, after: Mapping[str, Row], **other: Sequence[str]) -> dict[str, int]:
    """Return the number of rows that moved between ROWS and ``after``, by the kind and the detail of the move.

    ``other`` has further arguments of `write_build` for the mart with the rows ``after``.
    """
    report = report_of(folder, after, **other)
    return {f"{each.what}: {each.detail}".rstrip(": "): each.rows for each in report.moves}


def report_of(folder: Path, after: Mapping[str, Row], **other: Sequence[str]) -> ConsumerMoves:
    before = write_build(folder / "before.duckdb", ROWS)
    return compare_rows(before, write_build(folder / "after.duckdb", after, **other))


def without(*jobs: str) -> dict[str, Row]:
    return {job: row for job, row in ROWS.items() if job not in jobs}


CHANGES: dict[str, tuple[dict[str, Row], dict[str, Sequence[str]], dict[str, int]]] = {
    "nothing": ({**ROWS}, {}, {}),
    "a row gone from everywhere": (
        without("j001"),
        {},
        {"spine row removed": 1, "features row removed": 1, "training row removed": 1},
    ),
    "rows new everywhere": (
        {**ROWS, "new1": ROWS["j001"], "new2": ROWS["open1"]},
        {},
        {"spine row added": 2, "features row added": 2, "training row added": 2},
    ),
    "a row gone from the training mart alone": (
        without("j001"), {"spine": [*ROWS], "features": [*ROWS]}, {"training row removed": 1}
    ),
    "a row doubled in the training mart": ({**ROWS}, {"twice": ["j001"]}, {"training row added": 1}),
    "a row gone from the features mart alone": (
        {**ROWS}, {"features": [*without("j001")]}, {"features row removed": 1}
    ),
    "a price changed": ({**ROWS, "j001": (1, 6, 9.5, None, "train")}, {}, {"label changed": 1}),
    "labels known at other times": (
        {**ROWS, "j001": (1, 5, 1.0, None, "train"), "j002": (2, 8, 2.0, None, "train")},
        {},
        {"label_known_at changed: earlier": 1, "label_known_at changed: later": 1},
    ),
    "rows excluded, by reason": (
        {
            **ROWS,
            "j001": (1, 6, None, "void", None),
            "j002": (2, 7, None, "void", None),
            "j003": (3, None, None, "label_not_yet_known", None),
        },
        {},
        {
            "newly excluded: void": 2,
            "newly excluded: label_not_yet_known": 1,
            "label_known_at changed: no longer known": 1,
        },
    ),
    "a row no longer excluded": (
        {**ROWS, "open1": (1, 6, 3.0, None, "train")},
        {},
        {"no longer excluded: label_not_yet_known": 1, "label_known_at changed: known now": 1},
    ),
    "a row excluded for another reason": (
        {**ROWS, "open1": (1, None, None, "void", None)},
        {},
        {"excluded for another reason: label_not_yet_known → void": 1},
    ),
    "rows dated otherwise and split otherwise": (
        {**ROWS, "j199": (1, 204, 199.0, None, "train"), "j001": (9, 6, 1.0, None, "purged")},
        {},
        {
            "request time changed: earlier": 1,
            "request time changed: later": 1,
            "split changed: test → train": 1,
            "split changed: train → purged": 1,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_each_way_of_moving_is_counted_apart(tmp_path: Path, change: str) -> None:
    after, other, expected = CHANGES[change]
    assert moved(tmp_path, after, **other) == expected


def test_rows_left_out_by_their_price_are_marked_and_others_are_not(tmp_path: Path) -> None:
    cheap = [job for job, row in ROWS.items() if row[2] is not None and row[2] < 20]
    drawn = [f"j{n:03}" for n in range(3, 200, 10)]
    by_price = report_of(tmp_path / "cheap", without(*cheap), spine=[*ROWS], features=[*ROWS])
    (move,) = by_price.moves
    assert (move.rows, move.by_group) == (20, (20, *[0] * 10))
    assert move.is_selected == (True, *[False] * 10)
    (move,) = report_of(tmp_path / "n", without(*drawn), spine=[*ROWS], features=[*ROWS]).moves
    assert (move.rows, set(move.by_group[:10])) == (20, {2})
    assert not any(move.is_selected)


def test_rows_are_grouped_by_tenths_of_the_label_and_those_without_one_stand_last(
    tmp_path: Path,
) -> None:
    groups = report_of(tmp_path, ROWS).groups
    assert [group.rows for group in groups] == [20] * 11
    assert [(group.least, group.greatest) for group in (groups[0], groups[9], groups[10])] == [
        (0.0, 19.0), (180.0, 199.0), (None, None),
    ]  # fmt: skip


def test_classes_are_groups_of_their_own(tmp_path: Path) -> None:
    classes: dict[str, Row] = {
        job: (row[0], row[1], float(row[2] > 9) if row[2] is not None else None, *row[3:])
        for job, row in ROWS.items()
    }
    side = write_build(tmp_path / "a.duckdb", classes)
    report = compare_rows(side, replace(side))
    found = [(group.least, group.greatest, group.rows) for group in report.groups]
    assert found == [(0.0, 0.0, 10), (1.0, 1.0, 190), (None, None, 20)]


def test_a_row_has_the_label_it_had_before_or_else_after(tmp_path: Path) -> None:
    after = {
        **ROWS,
        "j000": (0, 5, None, "void", None),
        "open0": (0, 5, 199.0, None, "train"),
    }
    report = report_of(tmp_path, after)
    found = {move.what: move.by_group for move in report.moves}
    assert found["newly excluded"][0] == found["no longer excluded"][9] == 1


def test_splits_are_those_of_an_export(tmp_path: Path) -> None:
    """Expect validation and test to begin with a whole day.

    Counted backwards, the labelled rows reach 20% on the first day of test and 30% on the first day of validation.
    """
    rows: dict[str, Row] = {f"j{n}": (n, n + 1, 1.0, None, None) for n in range(10)}
    rows |= {"late": (0, 9, 1.0, None, None), "out": (0, 1, None, "void", None)}
    side = write_build(tmp_path / "a.duckdb", rows)
    found = assign_splits(side.database, CONSUMER, COLUMNS, ZoneInfo("UTC"))
    with duckdb.connect(str(side.database)) as con:
        con.execute("set TimeZone = 'UTC'")
        splits = dict(
            con.execute(f"select job_id, {found.expression} from mart_p__training").fetchall()
        )
    in_train = {f"j{n}": "train" for n in range(6)}
    assert splits == in_train | {
        "j6": "validation",
        **dict.fromkeys(("j7", "j8", "j9"), "test"),
        "late": "purged",
        "out": None,
    }
    assert [window.name for window in found.windows] == ["train", "validation", "test"]


def test_a_mart_without_a_label_has_no_splits(tmp_path: Path) -> None:
    side = write_build(tmp_path / "a.duckdb", {"out": (0, 1, None, "void", None)})
    found = assign_splits(side.database, CONSUMER, COLUMNS, ZoneInfo("UTC"))
    assert found.windows == ()
    report = compare_rows(replace(side, splits=found), replace(side, splits=found))
    assert (report.rows_after, report.moves) == (1, ())


def test_a_commit_that_is_not_there_is_wrong_usage_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "dbt_project.yml").write_text("name: x\nvars: {}\n")
    monkeypatch.chdir(tmp_path)
    environment = {"MART_HOME": str(tmp_path / "home"), "MART_DWH": str(tmp_path)}
    done = CliRunner().invoke(main, ["audit", "selection", "--base", "nope"], env=environment)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "'nope' is not a commit" in done.stderr
