"""Generate random proposals, reviews and skills, some of them late, corrected, deleted or duplicated."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from .clock import Row

#: A function that draws the load times of a key, ascending and distinct, from the time of the event.
Loads = Callable[[Random, datetime], list[datetime]]
Instant = Callable[[Random], datetime]

_RATINGS = (1, 2, 3.5, 4.5, 5, 5, 0, 6, None)
_KINDS = ("freelancer", "freelancer", " Freelancer", "client", None)


def proposals(
    rng: Random, prefix: str, jobs: list[Row], instant: Instant, loads: Loads
) -> list[Row]:
    """Return the rows of up to six proposals, most of them made 0 to 90 days after a job of the universe was posted."""
    rows: list[Row] = []
    for number in range(rng.choice((0, 1, 2, 4, 6)) if jobs else 0):
        job = rng.choice(jobs)
        soon = job["posted_at"] + timedelta(days=rng.choice((0, 0, 1, 13, 89, 90)))
        proposed_at = rng.choice((soon, soon, instant(rng)))
        first = {
            "proposal_id": f"{prefix}P{number}",
            "job_id": rng.choice((*[job["job_id"]] * 9, f"{prefix}-nojob")),
            "freelancer_id": f"{prefix}F{rng.randrange(2)}",
            "proposed_price": rng.choice((100, 5000, None)),
            "proposed_at": proposed_at,
            "is_deleted": rng.random() < 0.05,
        }

        def change(rng: Random) -> Row:
            return rng.choice(
                ({"is_deleted": True}, {"is_deleted": False}, {"proposed_at": instant(rng)})
            )

        rows += _versions(rng, first, loads(rng, proposed_at), change)
    return rows


def reviews(
    rng: Random, prefix: str, contracts: list[Row], instant: Instant, loads: Loads
) -> list[Row]:
    """Return the rows of up to four reviews of contracts of the universe, by clients and freelancers."""
    rows: list[Row] = []
    for number in range(rng.choice((0, 1, 2, 4)) if contracts else 0):
        contract = rng.choice(contracts)
        reviewed_at = rng.choice((instant(rng), contract["contracted_at"] + timedelta(days=7)))
        first = {
            "review_id": f"{prefix}R{number}",
            "contract_id": rng.choice((*[contract["contract_id"]] * 9, f"{prefix}-nocontract")),
            "reviewer_kind": rng.choice(_KINDS),
            "rating": rng.choice(_RATINGS),
            "reviewed_at": reviewed_at,
            "is_deleted": rng.random() < 0.05,
        }

        def change(rng: Random) -> Row:
            return rng.choice(
                (
                    {"is_deleted": True},
                    {"is_deleted": False},
                    {"rating": rng.choice(_RATINGS)},
                    {"reviewed_at": instant(rng)},
                )
            )

        rows += _versions(rng, first, loads(rng, reviewed_at), change)
    return rows


def skill_sets(rng: Random, job: Row, is_deleted: Callable[[Random], bool | None]) -> list[Row]:
    """Return the rows of up to four skill sets of a job: without a load time, or loaded with, before or after the job.

    Args:
        rng: the random generator.
        job: the job's first row.
        is_deleted: draws ``is_deleted`` of a row.
    """
    rows: list[Row] = []
    day, loaded_at = timedelta(days=1), job["loaded_at"]
    for loaded in (None, loaded_at, loaded_at - day, loaded_at + day):
        if rng.random() < 0.4:
            rows += [
                {
                    "job_id": job["job_id"],
                    "skill": skill,
                    "loaded_at": loaded,
                    "is_deleted": is_deleted(rng),
                }
                for skill in rng.sample(("SQL", "sql", "翻訳", "Python"), rng.randint(1, 3))
            ]
    return rows


def _versions(
    rng: Random, first: Row, loads: list[datetime], change: Callable[[Random], Row]
) -> list[Row]:
    rows = [first | {"loaded_at": loads[0]}]
    rows += [{} for _ in loads[1:]]
    for at, loaded_at in enumerate(loads[1:], start=1):
        rows[at] = rows[at - 1] | change(rng) | {"loaded_at": loaded_at}
    if rng.random() < 0.15:
        rows.append(dict(rng.choice(rows)))
    return rows
