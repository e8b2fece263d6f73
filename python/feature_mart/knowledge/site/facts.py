"""Collect the facts about each consumer for the site: the last snapshot, the evidence and the column profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feature_mart.core.errors import FeatureMartError
from feature_mart.core.manifest import Consumer
from feature_mart.exporter import StoredSnapshot, Window, read_latest, windows_between
from feature_mart.knowledge.site.profiles import Profile
from feature_mart.snapshot_files import parse_instant
from feature_mart.storage import Store

#: The split to use for a consumer without a snapshot. It contains all rows.
_ALWAYS = Window(
    "all", datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 1, 2, tzinfo=UTC), label_known_until=None
)


@dataclass(frozen=True, slots=True)
class ConsumerFacts:
    """The facts about one consumer.

    `exposure` is the name of the consumer's dbt exposure, `owner` the team that the exposure names, and `contact` this
    team with its address. `groups` has the consumer's features by feature group. `snapshot` is the manifest of the
    consumer's last snapshot; None if there is no snapshot or the snapshot cannot be read. `problem` is a hint if the
    snapshot cannot be read, else None. `evidence` has the consumer's documents in docs/evidence, from all warehouses.
    `profiles` and `drawings` (links) are by feature. A feature without known values has no drawing.
    """

    consumer: Consumer
    exposure: str
    owner: str
    contact: str
    description: str
    groups: Mapping[str, tuple[str, ...]]
    snapshot: Mapping[str, Any] | None
    problem: str | None
    evidence: tuple[Mapping[str, Any], ...]
    profiles: Mapping[str, Profile]
    drawings: Mapping[str, str]

    @property
    def features(self) -> tuple[str, ...]:
        """Return the consumer's features, in order of their groups."""
        return tuple(name for names in self.groups.values() for name in names)


@dataclass(frozen=True, slots=True)
class Freshness:
    """The freshness of a built model.

    `newest` is the time of the model's newest row; None if the model has no time column or no rows. `fails_after_days`
    is the limit of the model's freshness test; None if there is no such test.
    """

    model: str
    rows: int
    newest: datetime | None
    fails_after_days: int | None


def last_snapshot(
    store: Store, consumer: str, warehouse_id: str
) -> tuple[Mapping[str, Any] | None, str | None]:
    """Return the manifest of the snapshot that latest.json names, and a hint if the snapshot cannot be read.

    Both are None if this warehouse has no snapshot of the consumer. A snapshot that cannot be read is not an error,
    because the site can be built without it.
    """
    try:
        latest = read_latest(store, consumer)
        if latest is None or latest.warehouse_id != warehouse_id:
            return None, None
        place = StoredSnapshot(store, f"{consumer}/snapshots/{latest.id}")
        manifest, _ = place.documents()
    except FeatureMartError:
        # The error's own message names a folder of this machine, which must not appear on the site.
        return None, f"run `mart snapshot list {consumer}` to see why"
    return manifest, None


def splits_of(snapshot: Mapping[str, Any] | None) -> tuple[Window, ...]:
    """Return the splits of a snapshot; one split with all rows if ``snapshot`` is None."""
    if snapshot is None:
        return (_ALWAYS,)
    cut = [parse_instant(split["from"]) for split in snapshot["splits"]]
    end = parse_instant(snapshot["splits"][-1]["to"])
    return windows_between((*cut, end), int(snapshot["embargo_days"]))


def cut_of(consumer: Consumer) -> str:
    """Describe in words how a consumer's rows are split."""
    if consumer.validation_from is not None and consumer.test_from is not None:
        return f"validation from {consumer.validation_from}, test from {consumer.test_from}"
    return (
        f"the newest {consumer.test_share:.0%} of the labelled rows are test, and the "
        f"{consumer.validation_share:.0%} before them are validation"
    )
