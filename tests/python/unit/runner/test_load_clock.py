"""Test the reading of seeds/load_clock.csv, and which lines a build refuses before dbt starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from compiled_mart import PROJECT
from feature_mart.core.errors import UsageError
from feature_mart.runner.load_clock import (
    COLUMNS,
    LoadClockLine,
    check_load_clock,
    read_load_clock,
)
from feature_mart.sample import LOAD_CLOCK

HEADER = ",".join(COLUMNS)
MARCH, APRIL = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)


def written(folder: Path, *lines: str, header: str = HEADER) -> Path:
    seed = folder / "seeds" / "load_clock.csv"
    seed.parent.mkdir(parents=True, exist_ok=True)
    seed.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return folder


def test_the_lines_of_this_warehouse_and_those_without_one_hold(tmp_path: Path) -> None:
    project = written(
        tmp_path,
        "w,jobs,2024-04-01 00:00:00+00,6,a note,2024-03-01 00:00:00+00",
        '"","jobs","2024-02-01 09:00:00+09","24","",',
        "other,jobs,2024-04-01 00:00:00+00,1,,",
        "w,contracts,2024-04-01 00:00:00.000001+00,0,,",
    )
    assert read_load_clock(project, "w") == {
        "jobs": (
            LoadClockLine(datetime(2024, 2, 1, tzinfo=UTC), 24),
            LoadClockLine(APRIL, 6, MARCH),
        ),
        "contracts": (LoadClockLine(APRIL + timedelta(microseconds=1), 0),),
    }
    assert read_load_clock(tmp_path / "nowhere", "w") == {}


def test_the_order_of_the_columns_is_free(tmp_path: Path) -> None:
    header = "table,untrusted_from,trusted_from,assumed_lag_hours,warehouse,note"
    line = "jobs,2024-03-01 00:00:00+00,2024-04-01 00:00:00+00,6,w,"
    project = written(tmp_path, line, header=header)
    assert read_load_clock(project, "w") == {"jobs": (LoadClockLine(APRIL, 6, MARCH),)}


@pytest.mark.parametrize("start", [None, MARCH, MARCH + timedelta(microseconds=7)])
def test_a_line_is_read_as_it_was_written(tmp_path: Path, start: datetime | None) -> None:
    line = LoadClockLine(APRIL, 24, start)
    name = 'a "warehouse", quoted'
    project = written(tmp_path, line.seed_line(name, "jobs", "a, note"))
    assert read_load_clock(project, name) == {"jobs": (line,)}
    assert '""' not in line.seed_line("w", "jobs", ""), "BigQuery takes it for a text"


def test_the_sample_has_its_lines() -> None:
    found = read_load_clock(PROJECT, "sample")
    assert set(found) == {line.table for line in LOAD_CLOCK}
    assert read_load_clock(PROJECT, "another") == {}


def test_a_seed_of_before_periods_is_told_what_to_add(tmp_path: Path) -> None:
    header = "warehouse,table,trusted_from,assumed_lag_hours,note"
    project = written(tmp_path, "w,jobs,2024-04-01 00:00:00+00,6,", header=header)
    with pytest.raises(
        UsageError, match=r"has no column untrusted_from.*add the name to the first line"
    ):
        read_load_clock(project, "w")
    project = written(tmp_path, "jobs,2024-04-01 00:00:00+00,6", header="table,trusted_from,lag")
    with pytest.raises(
        UsageError, match="has no column warehouse, assumed_lag_hours, note, untrusted_"
    ):
        read_load_clock(project, "w")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("w,jobs,2024-04-01 00:00:00+00,6,note", "line 2 .jobs.: the line does not have 6 fields"),
        ("w,jobs,2024-04-01 00:00:00+00,6,a,b,", "line 2 .jobs.: the line does not have 6 fields"),
        ("w,jobs,april,6,,", "trusted_from is 'april'"),
        ("w,jobs,,6,,", "trusted_from is ''"),
        ("w,jobs,2024-04-01 00:00:00+00,6,,march", "untrusted_from is 'march'"),
        ("w,jobs,2024-04-01 00:00:00+00,0.5,,", "assumed_lag_hours is '0.5'; write a whole number"),
        ("w,jobs,2024-04-01 00:00:00+00,,,", "assumed_lag_hours is ''"),
        ("w,job,2024-04-01 00:00:00+00,6,,", "line 2: job is not a raw table"),
        (
            "w,jobs,2024-04-01 00:00:00+00,6,,2024-04-01 00:00:00+00",
            "untrusted_from is not before trusted_from",
        ),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_load_clock(written(tmp_path, line), "w")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("w,jobs,2024-04-01 00:00:00+00,6,,", "w,jobs,2024-04-02 00:00:00+00,6,,"),
        ("w,jobs,2024-04-01 00:00:00+00,6,,", ",jobs,2024-04-01 00:00:00+00,6,,"),
        (
            "w,jobs,2024-04-01 00:00:00+00,6,,",
            "w,jobs,2024-05-01 00:00:00+00,6,,2024-03-31 23:59:59.999999+00",
        ),
    ],
)
def test_periods_that_overlap_are_refused(tmp_path: Path, one: str, other: str) -> None:
    with pytest.raises(UsageError, match=r"lines 2 and 3 .jobs. overlap"):
        read_load_clock(written(tmp_path, other, one), "w")


def test_periods_that_meet_and_those_of_two_tables_are_apart(tmp_path: Path) -> None:
    project = written(
        tmp_path,
        "w,jobs,2024-05-01 00:00:00+00,6,,2024-04-01 00:00:00+00",
        "w,jobs,2024-04-01 00:00:00+00,6,,",
        "w,contracts,2024-04-01 00:00:00+00,6,,",
    )
    assert [line.trusted_from.month for line in read_load_clock(project, "w")["jobs"]] == [4, 5]


def test_a_build_refuses_rows_known_before_their_events(tmp_path: Path) -> None:
    project = written(tmp_path, "w,jobs,2024-04-01 00:00:00+00,-1,,")
    assert read_load_clock(project, "w"), "the audit judges it"
    with pytest.raises(UsageError, match=r"jobs.*known before their events"):
        check_load_clock(project, "w")
