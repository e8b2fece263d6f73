"""Make single raw rows for tests, with default values that a test can replace.

Times are written in Tokyo time. With the default clock, the mart refreshes at 03:00 and publishes at 04:00.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from .clock import LoadClockLine, Row, World

TOKYO = ZoneInfo("Asia/Tokyo")


def at(text: str) -> datetime:
    """Return the UTC timestamp of a time in Tokyo, such as ``2024-05-01 09:00``."""
    return datetime.fromisoformat(text).replace(tzinfo=TOKYO).astimezone(UTC)


def world(as_of: str = "2026-01-01 03:00", **load_clock: LoadClockLine) -> World:
    """Return the settings of a build as of a time in Tokyo, with the default clock.

    Each keyword of ``load_clock`` is a table with its line of the load clock. Other tables have correct load times.
    """
    return World(as_of=at(as_of), load_clock=load_clock)


def job(job_id: str = "j1", /, **given: Any) -> Row:
    """Return a raw job, posted on 10 May 2024 at 12:00 and loaded then. A given `posted_at` replaces both times."""
    posted_at = given.get("posted_at", at("2024-05-10 12:00"))
    row = {
        "job_id": job_id,
        "client_id": "c1",
        "category_id": "k1",
        "title": "記事作成",
        "description": None,
        "job_type": "fixed",
        "budget_min": None,
        "budget_max": None,
        "currency": "JPY",
        "posted_at": posted_at,
        "apply_deadline_at": None,
        "status": "open",
        "loaded_at": posted_at,
        "is_deleted": None,
    }
    return row | given


def contract(contract_id: str = "d1", /, **given: Any) -> Row:
    """Return a raw contract of client c1 for job j0: 50,000 JPY, signed on 1 May 2024 at 09:00 and loaded then."""
    contracted_at = given.get("contracted_at", at("2024-05-01 09:00"))
    row = {
        "contract_id": contract_id,
        "job_id": "j0",
        "client_id": "c1",
        "freelancer_id": "f1",
        "agreed_price": Decimal(50000),
        "currency": "JPY",
        "contracted_at": contracted_at,
        "status": "active",
        "loaded_at": contracted_at,
        "is_deleted": None,
    }
    return row | given


def client(client_id: str = "c1", /, **given: Any) -> Row:
    """Return a raw client, registered and loaded on 1 April 2024 at 12:00."""
    row = {
        "client_id": client_id,
        "client_kind": "corporate",
        "prefecture": None,
        "registered_at": at("2024-04-01 12:00"),
        "loaded_at": at("2024-04-01 12:00"),
        "is_deleted": None,
    }
    return row | given


def proposal(proposal_id: str = "p1", /, **given: Any) -> Row:
    """Return a raw proposal for job j1, made on 11 May 2024 at 12:00 and loaded then."""
    proposed_at = given.get("proposed_at", at("2024-05-11 12:00"))
    row = {
        "proposal_id": proposal_id,
        "job_id": "j1",
        "freelancer_id": "f1",
        "proposed_price": None,
        "proposed_at": proposed_at,
        "loaded_at": proposed_at,
        "is_deleted": None,
    }
    return row | given


def review(review_id: str = "r1", /, **given: Any) -> Row:
    """Return a raw review of contract d1 by a freelancer: rating 5, made on 8 May 2024 at 09:00 and loaded then."""
    reviewed_at = given.get("reviewed_at", at("2024-05-08 09:00"))
    row = {
        "review_id": review_id,
        "contract_id": "d1",
        "reviewer_kind": "freelancer",
        "rating": 5,
        "reviewed_at": reviewed_at,
        "loaded_at": reviewed_at,
        "is_deleted": None,
    }
    return row | given
