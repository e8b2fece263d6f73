"""Decide which reviews count, and for which client."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from .chain import latest_known
from .clock import Clock, Row
from .numbers import fixed_point

Chains = dict[str, list[Row]]
Reviews = list[tuple[datetime, list[Row]]]


def is_counted_review(review: Row) -> bool:
    """Return True if a review version is by a freelancer, has a rating from 1 to 5, and is not deleted."""
    rating = review["rating"]
    is_rated = rating is not None and 1 <= rating <= 5
    return not review["is_deleted"] and review["reviewer_kind"] == "freelancer" and is_rated


def frozen_client(
    review_versions: list[Row], contract_versions: list[Row], clock: Clock
) -> tuple[datetime, str | None] | None:
    """Return the refresh at which a review first counts, and its client; None if the review never counts.

    The client is the one in the version of the contract known at that refresh, and does not change afterwards.
    """
    instants = {row["known_at"] for row in contract_versions[:1]}
    instants |= {row[name] for row in review_versions for name in ("known_at", "reviewed_at")}
    for as_of_at in sorted({clock.refresh(instant) for instant in instants}):
        review = latest_known(review_versions, as_of_at)
        contract = latest_known(contract_versions, as_of_at)
        if review is None or contract is None or not is_counted_review(review):
            continue
        if review["reviewed_at"] <= as_of_at:
            return as_of_at, contract["client_id"]
    return None


def reviews_by_client(reviews: Chains, contracts: Chains, clock: Clock) -> dict[str, Reviews]:
    """Return the version chains of the reviews of each client, each with the refresh from which the review counts."""
    found: dict[str, Reviews] = defaultdict(list)
    for versions in reviews.values():
        frozen = frozen_client(versions, contracts.get(versions[0]["contract_id"], []), clock)
        if frozen is not None and frozen[1] is not None:
            found[frozen[1]].append((frozen[0], versions))
    return found


def counted_ratings(reviews: Reviews, at: datetime) -> list[int]:
    """Return the ratings of a client at a refresh, in millionths, one for each review that counts."""
    now = [latest_known(versions, at) for counts_from, versions in reviews if counts_from <= at]
    return [
        fixed_point(row["rating"]) or 0
        for row in now
        if row is not None and is_counted_review(row) and row["reviewed_at"] <= at
    ]
