"""Test the bounds of splits at midnights of the business zone, the purging of rows, and the sizes of parts."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import snapshot_case as case
from feature_mart.core.errors import TerminalError
from feature_mart.exporter.splits import part_slices, plan_windows

TOKYO = ZoneInfo("Asia/Tokyo")
TEN_DAYS = [(date(2026, 1, day), 10) for day in range(1, 11)]


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=TOKYO).astimezone(UTC)


def test_splits_cut_at_the_midnight_that_begins_the_day_of_the_share() -> None:
    train, validation, test = plan_windows(TEN_DAYS, case.consumer(), TOKYO)
    assert train.start == midnight(date(2026, 1, 1))
    assert train.end == validation.start == midnight(date(2026, 1, 8))
    assert validation.end == test.start == midnight(date(2026, 1, 9))
    assert test.end == midnight(date(2026, 1, 11))
    assert train.start == datetime(2025, 12, 31, 15, tzinfo=UTC)


def test_splits_of_three_tenths_are_not_moved_by_binary_fractions() -> None:
    assert 0.1 + 0.2 > 0.3
    train, *_ = plan_windows(TEN_DAYS, case.consumer(validation_share=0.1, test_share=0.2), TOKYO)
    assert train.end == midnight(date(2026, 1, 8))


def test_splits_purge_up_to_the_start_of_the_next_split_less_the_embargo() -> None:
    train, validation, test = plan_windows(TEN_DAYS, case.consumer(embargo_days=2), TOKYO)
    assert train.label_known_until == validation.start - timedelta(days=2)
    assert validation.label_known_until == test.start - timedelta(days=2)
    assert test.label_known_until is None


def test_splits_of_one_day_leave_train_and_validation_empty() -> None:
    train, validation, test = plan_windows([(date(2026, 1, 5), 3)], case.consumer(), TOKYO)
    assert train.start == train.end == validation.end == test.start
    assert test.end - test.start == timedelta(days=1)


def test_splits_without_a_test_share_do_not_purge_against_it() -> None:
    train, validation, test = plan_windows(TEN_DAYS, case.consumer(test_share=0), TOKYO)
    assert test.start == test.end == validation.end
    assert validation.label_known_until is None
    assert train.label_known_until == validation.start


def test_splits_by_dates_replace_the_shares() -> None:
    dated = case.consumer(validation_from="2026-01-03", test_from="2026-02-01")
    train, validation, test = plan_windows(TEN_DAYS, dated, TOKYO)
    assert validation.start == midnight(date(2026, 1, 3))
    assert test.start == test.end == midnight(date(2026, 2, 1))
    assert train.label_known_until == validation.start


def test_splits_refuse_dates_in_the_wrong_order_and_no_days() -> None:
    wrong = case.consumer(validation_from="2026-01-05", test_from="2026-01-03")
    with pytest.raises(TerminalError, match="test_from 2026-01-03 is before"):
        plan_windows(TEN_DAYS, wrong, TOKYO)
    with pytest.raises(TerminalError, match="no labelled rows"):
        plan_windows([], case.consumer(), TOKYO)


def test_splits_follow_the_clock_change_of_a_zone() -> None:
    days = [(date(2026, 3, 27) + timedelta(days=day), 10) for day in range(10)]
    train, *_ = plan_windows(days, case.consumer(), ZoneInfo("Europe/Berlin"))
    assert train.start == datetime(2026, 3, 26, 23, tzinfo=UTC)
    assert train.end == datetime(2026, 4, 2, 22, tzinfo=UTC)


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, unique_by=lambda x: x[0]
    ),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_splits_hold_the_share_and_not_a_day_more(
    days: list[tuple[int, int]], validation: int, test: int
) -> None:
    first = date(2026, 1, 1)
    counted = [(first + timedelta(days=day), rows) for day, rows in days]
    consumer = case.consumer(validation_share=validation / 100, test_share=test / 100)
    windows = plan_windows(counted, consumer, TOKYO)
    total = sum(rows for _, rows in counted)
    held = [
        sum(rows for day, rows in counted if window.start <= midnight(day) < window.end)
        for window in windows
    ]
    assert sum(held) == total
    for share, cut in ((test, windows[2].start), (validation + test, windows[1].start)):
        newer = sum(rows for day, rows in counted if midnight(day) >= cut)
        after_the_day = sum(rows for day, rows in counted if midnight(day) > cut)
        assert newer >= Fraction(share, 100) * total
        assert share == 0 or after_the_day < Fraction(share, 100) * total


@given(st.integers(0, 5000), st.integers(1, 700), st.integers(1, 9))
def test_parts_are_of_one_size_and_never_empty_beside_others(
    rows: int, part_rows: int, least: int
) -> None:
    starts = part_slices(rows, part_rows, least)
    sizes = [end - start for start, end in zip(starts, [*starts[1:], rows], strict=True)]
    assert sum(sizes) == rows
    assert starts[0] == 0
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= part_rows
    assert len(sizes) == max(1, min(rows, max(least, -(-rows // part_rows))))
