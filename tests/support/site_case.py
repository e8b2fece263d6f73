"""Build the facts about a consumer, and the content of a front page, for tests of the site's texts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from feature_mart.core.manifest import Consumer
from feature_mart.core.settings import Clock
from feature_mart.knowledge.site.catalogue import Catalogue
from feature_mart.knowledge.site.facts import ConsumerFacts
from feature_mart.knowledge.site.pages import Links
from feature_mart.knowledge.site.profiles import Counts, Extent, Profile
from feature_mart.knowledge.site.status import LastChecks, RunRecord
from feature_mart.knowledge.why import Why
from feature_mart.runner import CheckCounts

LINKS = Links("mart")
PRICE = Consumer(
    "price", "mart_price__features", "mart_price__training", "y", "regression", metrics=("r2",)
)


def facts(*evidence: dict[str, Any], snapshot: str | None = None, **others: Any) -> ConsumerFacts:
    """Return the facts about a consumer.

    Args:
        evidence: evidence documents of the consumer.
        snapshot: the id of the last snapshot; None if there is none.
        others: further fields of the facts.
    """
    columns = {"groups": {"posting": ("job_budget_log",)}, "profiles": {}, "drawings": {}}
    return ConsumerFacts(
        consumer=PRICE,
        exposure="price",
        owner="pricing",
        contact="pricing, pricing@example.com",
        description="Estimates prices.",
        snapshot=None if snapshot is None else {"id": snapshot, "splits": []},
        problem=None,
        evidence=evidence,
        **{**columns, **others},
    )


def catalogue(why: Why, consumer: ConsumerFacts) -> Catalogue:
    """Return the content of a front page with one feature, which ``consumer`` uses."""
    return Catalogue(
        warehouse="sample",
        as_of_at=datetime(2026, 3, 31, 18, tzinfo=UTC),
        clock=Clock("Asia/Tokyo", 3, 60),
        currency="JPY",
        consumers=[consumer],
        reasons={why.column: why},
        types={why.column: "double"},
        freshness=(),
        checks=LastChecks(RunRecord("20260401T000000Z-run-1", CheckCounts(passed=561))),
        owned_paths=(),
        candidates=(),
        decisions=(),
    )


def profile(column: str) -> Profile:
    """Return the profile of a column that is not NULL in one of the two rows of train."""
    return Profile(
        column,
        Extent(0.0, 1.0, 1, is_exact=True),
        {"train": Counts((1,), (0.0,))},
        {"train": 1},
        (),
        (),
        0.0,
        1.0,
        is_categorical=False,
    )
