"""Test the leakage audit's verdict on a line of the load clock: right, wrong with a correction, or not judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from bulk_cases import DAY, HOUR, START, Row, contract, daily_rows, loaded_at_once, warehouse_of
from feature_mart.audit import LeakageReport
from feature_mart.audit.load_clock import LineVerdict, describe_faults, judge_load_clock
from feature_mart.cli.leakage_verdict import print_leakage
from feature_mart.core.settings import resolve_settings
from feature_mart.runner.load_clock import LoadClockLine

MID = START + 65 * DAY


def mid_history() -> list[Row]:
    return loaded_at_once(daily_rows(120), START + 40 * DAY, MID)


def judged(folder: Path, rows: Sequence[Row], *lines: LoadClockLine) -> tuple[LineVerdict, ...]:
    raw = warehouse_of(folder, rows, *lines)
    return judge_load_clock(raw, "Asia/Tokyo", "w")


def line(end: datetime, hours: float = 24, start: datetime | None = None) -> LoadClockLine:
    return LoadClockLine(end, hours, start)


def fields(text: str) -> list[str]:
    return [field.strip('"') for field in text.split(",")]


def test_the_narrow_line_of_a_bulk_load_is_right(tmp_path: Path) -> None:
    (verdict,) = judged(tmp_path, mid_history(), line(MID + HOUR, 24, MID - HOUR))
    assert verdict.is_right and verdict.moved.keys > 150 and describe_faults(verdict) == ()
    assert 10 * DAY < verdict.moved.median < verdict.moved.greatest < 35 * DAY


def test_a_line_that_distrusts_the_loads_before_a_bulk_load_is_wrong(tmp_path: Path) -> None:
    rows = mid_history()
    late = {
        row["contract_id"]
        for row in rows
        if row["loaded_at"] < MID and row["loaded_at"] - row["contracted_at"] > DAY
    }
    (verdict,) = judged(tmp_path, rows, line(MID + HOUR))
    assert not verdict.is_right and verdict.sound is not None and not verdict.is_short
    assert verdict.sound.keys == len(late) and verdict.sound.example in late
    (said,) = describe_faults(verdict)
    assert f"contracts: {len(late)} keys count as known before they were loaded" in said
    assert f"contract_id={verdict.sound.example}" in said
    (corrected,) = verdict.corrected
    assert corrected in said
    assert fields(corrected)[2:4] == ["2024-03-06 00:00:01+00", "24"]
    assert fields(corrected)[5] == "2024-03-06 00:00:00+00"


def test_a_line_that_trusts_too_late_is_wrong(tmp_path: Path) -> None:
    rows = loaded_at_once(daily_rows(120), START, START + 30 * DAY)
    first = line(START + 30 * DAY + HOUR)
    (verdict,) = judged(tmp_path, rows, line(START + 100 * DAY))
    assert verdict.sound is not None and verdict.sound.days > 50
    assert fields(verdict.corrected[0])[5] == "", "a first load is distrusted from the beginning"
    (verdict,) = judged(tmp_path, rows, first)
    assert verdict.is_right


def test_a_line_without_any_bulk_load_is_to_go(tmp_path: Path) -> None:
    (verdict,) = judged(tmp_path, daily_rows(120), line(START + 100 * DAY))
    assert not verdict.is_right and verdict.corrected == ()
    assert describe_faults(verdict)[0].endswith("remove the line")


@pytest.mark.parametrize("hours", [0, 4, -240])
def test_a_lag_below_the_median_of_the_usual_is_wrong(tmp_path: Path, hours: int) -> None:
    (verdict,) = judged(tmp_path, mid_history(), line(MID + HOUR, hours, MID))
    assert verdict.is_short and verdict.sound is None and verdict.lags is not None
    (said,) = describe_faults(verdict)
    assert f"known {hours} hours after their events, for example contract_id=k" in said
    # The corrected line keeps the period, and its lag covers nine of ten usual rows.
    assert fields(verdict.corrected[0])[2:4] == [
        "2024-03-06 01:00:00+00",
        str(verdict.lags.hours),
    ]
    (verdict,) = judged(tmp_path, mid_history(), line(MID + HOUR, verdict.lags.hours, MID))
    assert verdict.is_right


def test_both_faults_of_a_line_are_named_in_one_text(tmp_path: Path) -> None:
    (verdict,) = judged(tmp_path, mid_history(), line(MID + HOUR, 0))
    (said,) = describe_faults(verdict)
    assert "load times look correct" in said and "hours after their events" in said


def test_contracts_always_loaded_weeks_after_need_a_lag_of_weeks(tmp_path: Path) -> None:
    rows = loaded_at_once(daily_rows(200, lag=21 * DAY), START + 80 * DAY, START + 120 * DAY)
    at = START + 120 * DAY
    (verdict,) = judged(tmp_path, rows, line(at + HOUR, 24, at))
    assert verdict.is_short
    (verdict,) = judged(tmp_path, rows, line(at + HOUR))
    assert verdict.is_short and verdict.sound is not None
    (verdict,) = judged(tmp_path, rows, line(at + HOUR, 25 * 24, at))
    assert verdict.is_right


def test_each_line_of_a_table_has_its_verdict(tmp_path: Path) -> None:
    rows = loaded_at_once(mid_history(), START, START + 20 * DAY)
    first, second = line(START + 20 * DAY + HOUR), line(MID + HOUR, 0, MID)
    one, other = judged(tmp_path, rows, first, second)
    assert one.is_right and other.is_short


def test_a_bulk_load_too_small_to_be_found_is_no_fault_of_its_line(tmp_path: Path) -> None:
    at = START + 65 * DAY
    rows = loaded_at_once(daily_rows(120), at - 4 * DAY, at)
    (verdict,) = judged(tmp_path, rows, line(at + HOUR, 24, at))
    assert verdict.is_right and verdict.moved.keys > 0


def test_a_line_with_nothing_to_compare_it_with_is_not_judged(tmp_path: Path) -> None:
    rows = [contract(f"k{number}", START, START + 30 * DAY) for number in range(300)]
    (verdict,) = judged(tmp_path, rows, line(START + 31 * DAY, 0))
    assert verdict.is_right and verdict.lags is None and verdict.moved.keys == 300


def test_a_wrong_line_makes_the_audit_fail_and_is_printed_with_its_correction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = resolve_settings(dwh=str(tmp_path), environment={"MART_HOME": str(tmp_path)})
    wrong = judged(tmp_path / "dwh", mid_history(), line(MID + HOUR))
    right = judged(tmp_path / "dwh", mid_history(), line(MID + HOUR, 24, MID))
    assert LeakageReport(MID, (), {}, (), right).is_clean
    report = LeakageReport(MID, (), {}, (), wrong)
    assert not report.is_clean
    print_leakage(report, settings)
    said = capsys.readouterr().out
    assert "clean" not in said and "leaks" not in said and "WRONG" in said
    (fault,) = [text for text in said.splitlines() if text.startswith("the load clock is wrong")]
    assert fault.endswith(f"write {wrong[0].corrected[0]}")


def test_a_line_that_changes_nothing_is_right(tmp_path: Path) -> None:
    (verdict,) = judged(tmp_path, daily_rows(120), line(START - DAY, -5))
    assert verdict.is_right and verdict.moved.keys == 0
