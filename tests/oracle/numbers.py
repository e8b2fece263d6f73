"""Compute logs, means, quantiles and ratios. Sums are exact, because they are sums of integers in millionths."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

MICROSECOND = timedelta(microseconds=1)
BUCKET_WIDTH = 50_000  # in millionths, so 0.05 on the scale of natural logs


def half_away_from_zero(number: Decimal | float) -> int:
    """Return the nearest integer, with ties rounded away from zero."""
    # ROUND_HALF_UP of the module decimal rounds the magnitude: -2.5 becomes -3.
    return int(Decimal(number).to_integral_value(ROUND_HALF_UP))


@lru_cache(maxsize=100_000)
def fixed_log(amount: int | None) -> int | None:
    """Return the natural log of an amount in millionths; None if the amount is None or not positive."""
    if amount is None or amount <= 0:
        return None
    return half_away_from_zero(math.log(float(amount)) * 1e6)


def mean_log(fixed_logs: list[int]) -> float | None:
    """Return the mean of logs given in millionths; None for an empty list."""
    return sum(fixed_logs) / (len(fixed_logs) * 1_000_000) if fixed_logs else None


def quantile_log(fixed_logs: Iterable[int], numerator: int, denominator: int) -> float | None:
    """Return a quantile of logs, as the midpoint of the bucket of the quantile; None if there are no logs.

    Args:
        fixed_logs: logs in millionths.
        numerator: the numerator of the share of the quantile, such as 1 for the lower quartile. The quantile is the
            value at rank ``ceil(share * n)`` of the n sorted logs.
        denominator: the denominator of the share, such as 4 for the lower quartile.
    """
    ordered = sorted(fixed_logs)
    if not ordered:
        return None
    rank = -(-len(ordered) * numerator // denominator)
    bucket = ordered[rank - 1] // BUCKET_WIDTH
    return (bucket * BUCKET_WIDTH + BUCKET_WIDTH // 2) / 1e6


def days_between(later: datetime, earlier: datetime | None) -> float | None:
    """Return `later` minus `earlier` in days of 24 hours; None if `earlier` is None."""
    return None if earlier is None else ((later - earlier) // MICROSECOND) / 86_400e6


def fixed_point(number: float | None) -> int | None:
    """Return a number in millionths, rounded to an integer; None for None."""
    return None if number is None else half_away_from_zero(number * 1e6)


def ratio(numerator: int, denominator: int) -> float | None:
    """Return the quotient of two integers as a float; None if the denominator is 0."""
    return None if denominator == 0 else float(numerator) / float(denominator)


def shrunk_mean(total: int, count: int, prior: int, prior_count: int) -> int:
    """Return a mean shrunk towards a prior, as if `prior_count` further observations had the value `prior`.

    Without any observation, the result is `prior`.
    """
    mean = fixed_ratio(total + prior_count * prior, count + prior_count)
    return prior if mean is None else mean


def fixed_ratio(numerator: int, denominator: int) -> int | None:
    """Return the quotient of two integers, rounded to an integer; None if the denominator is 0."""
    quotient = ratio(numerator, denominator)
    return None if quotient is None else half_away_from_zero(quotient)
