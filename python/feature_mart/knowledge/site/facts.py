"""What the site tells of each consumer besides what is written: its last snapshot, evidence, and profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feature_mart.exporter import SnapshotPlace, read_latest
from feature_mart.knowledge.site.profiles import Profile, Split
from feature_mart.manifest import Consumer
from feature_mart.snapshot_files import DamagedFileError, DamagedSnapshotError, parse_instant
from feature_mart.storage import Store

#: Where no snapshot says how rows are split.
_SINCE = datetime.fromisoformat("0001-01-02T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class ConsumerFacts:
    """One ML model that reads the mart.

    `snapshot` is the manifest of its last snapshot, None without one, and `problem` says why it cannot be read.
    `evidence` are the documents of docs/evidence of all warehouses, and `groups` its features by the model they come
    from. `drawings` are links to those of features that are ever known.
    """

    consumer: Consumer
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
    """The manifest of the snapshot that latest.json names, or what is wrong with it; None of both without one."""
    try:
        latest = read_latest(store, consumer)
        if latest is None or latest.warehouse_id != warehouse_id:
            return None, None
        place = SnapshotPlace(store, f"{consumer}/snapshots/{latest.id}")
        manifest, _ = place.documents()
    except (DamagedFileError, DamagedSnapshotError) as error:
        return None, str(error)
    return manifest, None


def splits_of(snapshot: Mapping[str, Any] | None) -> tuple[Split, ...]:
    """The splits as the snapshot cut them; all labelled rows as one where there is none."""
    if snapshot is None:
        return (Split("all", _SINCE, None),)
    starts = [parse_instant(split["from"]) for split in snapshot["splits"]]
    untils = [*starts[1:], None]
    return tuple(
        Split(split["name"], start, until)
        for split, start, until in zip(snapshot["splits"], starts, untils, strict=True)
    )
