"""Choose the size and the irregularities of a random history."""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random


@dataclass(frozen=True, slots=True)
class Shape:
    """Limit the size of a universe and select its irregularities; the defaults are the minimum.

    Proposals and reviews may be deleted, corrected or duplicated in every shape. The attributes `is_bulk_loaded` and
    `has_second_bulk` refer to the periods of the load clock in `histories`.

    Attributes:
        jobs: the number of jobs.
        contracts: the number of contracts.
        versions: the maximum number of versions of a key.
        clients: the number of clients.
        categories: the number of categories.
        is_bulk_loaded: many keys with an event before TRUSTED_FROM are loaded in or at the end of the first period.
        has_second_bulk: many keys with an event before AGAIN_TO are loaded in or at the ends of the second period.
        has_late: some keys are first loaded 30 days to a year after their event.
        has_future: some keys are first loaded before their event.
        has_changes: later versions change prices, times, statuses, clients or categories.
        has_deletes: some keys are deleted, and some of these are undeleted later.
        has_duplicates: some rows have exact duplicates.
        has_nulls: nullable columns contain NULLs.
        has_ties: most events happen exactly at a midnight, a refresh or an ``available_at``, on few days.
        has_strangers: some contracts have an unknown job, and some clients have no row.
    """

    jobs: int = 1
    contracts: int = 0
    versions: int = 1
    clients: int = 1
    categories: int = 1
    is_bulk_loaded: bool = False
    has_second_bulk: bool = False
    has_late: bool = False
    has_future: bool = False
    has_changes: bool = False
    has_deletes: bool = False
    has_duplicates: bool = False
    has_nulls: bool = False
    has_ties: bool = False
    has_strangers: bool = False


FLAGS = tuple(item.name for item in fields(Shape) if item.name.startswith(("is_", "has_")))


def random_shape(rng: Random) -> Shape:
    """Return a random shape that has each irregularity with a probability of 1/2."""
    flags = {name: rng.random() < 0.5 for name in FLAGS}
    return Shape(
        jobs=rng.randint(1, 5),
        contracts=rng.randint(0, 6),
        versions=rng.randint(1, 4),
        clients=rng.randint(1, 2),
        categories=rng.randint(1, 2),
        **flags,
    )
