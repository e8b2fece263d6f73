"""Test which kinds of refreshes a schedule has, and that the same seed and number always give the same schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from feature_mart.audit.schedules import Schedule, draw_schedule
from feature_mart.core.settings import Clock

CLOCK = Clock()
SPAN = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC))


def drawn(number: int, seed: int = 0) -> Schedule:
    return draw_schedule(number, seed, CLOCK, SPAN, 4, is_backfill=False)


@pytest.mark.parametrize("number", range(40))
def test_every_schedule_has_a_killed_and_a_repeated_refresh_and_ends_with_one_that_succeeds(
    number: int,
) -> None:
    schedule = drawn(number)
    counts = schedule.count()
    assert counts["killed"] >= 1 and counts["repeated"] >= 1 and counts["built"] >= 5
    assert not schedule.refreshes[-1].is_killed


@pytest.mark.parametrize("number", range(40))
def test_refreshes_are_the_clock_s_in_order_within_the_span_and_run_after_they_are_due(
    number: int,
) -> None:
    refreshes = drawn(number).refreshes
    instants = [refresh.as_of_at for refresh in refreshes]
    assert instants == sorted(instants)
    assert all(CLOCK.refresh_at(at) == at for at in instants)
    assert SPAN[0] <= instants[0] and instants[-1] <= SPAN[1] + timedelta(days=1)
    assert all(refresh.as_of_at <= refresh.ran_at for refresh in refreshes)


def test_days_are_skipped_in_some_schedules_and_storms_break_out_before_a_refresh() -> None:
    schedules = [drawn(number) for number in range(40)]
    assert {schedule.count()["skipped"] == 0 for schedule in schedules} == {True, False}
    for schedule in schedules:
        first = schedule.refreshes[0].as_of_at
        assert first - timedelta(hours=30) <= schedule.storms[0] <= first


def test_a_seed_and_a_number_draw_the_same_schedule_again_and_another_one_another() -> None:
    assert drawn(1, seed=3) == drawn(1, seed=3)
    assert len({drawn(number, seed).refreshes for number in range(5) for seed in range(5)}) == 25


def test_counts_are_of_refreshes_and_of_the_days_between_them() -> None:
    schedule = drawn(0)
    by_hand = [refresh.as_of_at.date() for refresh in schedule.refreshes if not refresh.is_killed]
    days = (by_hand[-1] - by_hand[0]).days + 1
    assert schedule.count()["skipped"] == days - len(set(by_hand))
