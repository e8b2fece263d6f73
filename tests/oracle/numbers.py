"""The mart's numbers: exact where they can be, one float division where they cannot."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

MICROSECOND = timedelta(microseconds=1)
BUCKET_WIDTH = 50_000  # of fixed_log, so 0.05 of a natural log


def half_away_from_zero(number: Decimal | float) -> int:
    """The nearest integer; a tie goes away from zero."""
    # decimal's ROUND_HALF_UP speaks of the magnitude: -2.5 becomes -3.
    return int(Decimal(number).to_integral_value(ROUND_HALF_UP))


@lru_cache(maxsize=100_000)
def fixed_log(amount: int | None) -> int | None:
    """The natural log in millionths; None for None and for zero or below."""
    if amount is None or amount <= 0:
        return None
    return half_away_from_zero(math.log(float(amount)) * 1e6)


def mean_log(fixed_logs: list[int]) -> float | None:
    """The mean of logs given in millionths; None when there are none."""
    return sum(fixed_logs) / (len(fixed_logs) * 1_000_000) if fixed_logs else None


def quantile_log(fixed_logs: Iterable[int], numerator: int, denominator: int) -> float | None:
    """The midpoint of the first bucket that reaches a share of the logs; None when there are none.

    A value falls in the bucket that holds the one at rank ``ceil(share * n)`` of the sorted logs.
    """
    ordered = sorted(fixed_logs)
    if not ordered:
        return None
    rank = -(-len(ordered) * numerator // denominator)
    bucket = ordered[rank - 1] // BUCKET_WIDTH
    return (bucket * BUCKET_WIDTH + BUCKET_WIDTH // 2) / 1e6


def days_between(later: datetime, earlier: datetime | None) -> float | None:
    """Days of 24 hours, as a float; None when there is no earlier time."""
    return None if earlier is None else ((later - earlier) // MICROSECOND) / 86_400e6


def fixed_point(number: float | None) -> int | None:
    """A number in millionths."""
    return None if number is None else half_away_from_zero(number * 1e6)


def ratio(numerator: int, denominator: int) -> float | None:
    """One float division; None by zero."""
    return None if denominator == 0 else float(numerator) / float(denominator)


def shrunk_mean(total: int, count: int, prior: int, prior_count: int) -> int:
    """A mean to which a prior adds that many observations; of no observation at all the prior."""
    mean = fixed_ratio(total + prior_count * prior, count + prior_count)
    return prior if mean is None else mean


def fixed_ratio(numerator: int, denominator: int) -> int | None:
    """One float division, rounded to a whole number; None by zero."""
    quotient = ratio(numerator, denominator)
    return None if quotient is None else half_away_from_zero(quotient)
