"""What the site tells of each consumer besides what is written: its last snapshot, evidence, and profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feature_mart.errors import FeatureMartError
from feature_mart.exporter import SnapshotPlace, Window, read_latest, windows_between
from feature_mart.knowledge.site.profiles import Profile
from feature_mart.manifest import Consumer
from feature_mart.snapshot_files import parse_instant
from feature_mart.storage import Store

#: Where no snapshot says how rows are split.
_ALWAYS = Window(
    "all", datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 1, 2, tzinfo=UTC), label_known_until=None
)


@dataclass(frozen=True, slots=True)
class ConsumerFacts:
    """One ML model that reads the mart; `exposure` is what dbt calls it.

    `snapshot` is the manifest of its last snapshot, None without one, and `problem` says why it cannot be read.
    `evidence` are the documents of docs/evidence of all warehouses, and `groups` its features by the model they come
    from. `drawings` are links to those of features that are ever known.
    """

    consumer: Consumer
    exposure: str
    owner: str
    description: str
    groups: Mapping[str, tuple[str, ...]]
    snapshot: Mapping[str, Any] | None
    problem: str | None
    evidence: tuple[Mapping[str, Any], ...]
    profiles: Mapping[str, Profile]
    drawings: Mapping[str, str]

    @property
    def features(self) -> tuple[str, ...]:
        """All its features."""
        return tuple(name for names in self.groups.values() for name in names)


@dataclass(frozen=True, slots=True)
class Freshness:
    """A model as it was built: rows, its newest row (None for a model without a clock), and when a check fails."""

    model: str
    rows: int
    newest: datetime | None
    fails_after_days: int | None


def last_snapshot(
    store: Store, consumer: str, warehouse_id: str
) -> tuple[Mapping[str, Any] | None, str | None]:
    """The manifest of the snapshot that latest.json names, or what to do about one that cannot be read.

    None of both without one. A site without its snapshots is a site: nothing is raised.
    """
    try:
        latest = read_latest(store, consumer)
        if latest is None or latest.warehouse_id != warehouse_id:
            return None, None
        place = SnapshotPlace(store, f"{consumer}/snapshots/{latest.id}")
        manifest, _ = place.documents()
    except FeatureMartError:
        # Not what is wrong: that names a folder of this machine.
        return None, f"`mart snapshot list {consumer}` says why"
    return manifest, None


def splits_of(snapshot: Mapping[str, Any] | None) -> tuple[Window, ...]:
    """The splits as the snapshot cut them; all labelled rows as one where there is none."""
    if snapshot is None:
        return (_ALWAYS,)
    cut = [parse_instant(split["from"]) for split in snapshot["splits"]]
    end = parse_instant(snapshot["splits"][-1]["to"])
    return windows_between((*cut, end), int(snapshot["embargo_days"]))


def cut_of(consumer: Consumer) -> str:
    """How a consumer's rows are split, in words."""
    if consumer.validation_from is not None and consumer.test_from is not None:
        return f"validation from {consumer.validation_from}, test from {consumer.test_from}"
    return (
        f"the newest {consumer.test_share:.0%} of the labelled rows are test, the "
        f"{consumer.validation_share:.0%} before them validation"
    )
