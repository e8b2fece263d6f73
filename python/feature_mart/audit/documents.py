"""Compare the manifests of a snapshot and of its rebuild, entry by entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """An entry of two manifests, with the value in the older manifest (`then`) and in the newer one (`now`) as text."""

    name: str
    then: str
    now: str

    @property
    def is_same(self) -> bool:
        """Return True if both manifests have the same value."""
        return self.then == self.now


def compare_manifests(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[tuple[ManifestEntry, ...], tuple[str, ...]]:
    """Return the entries of an older and a newer manifest, and messages about what could not be compared.

    Content hashes are always compared. SHA-256 of files and the engine's hash of the raw keys are compared only if both
    snapshots were made by the same version of the same engine.
    """
    not_judged = []
    checks = [*_definitions(then, now), *_rows(then, now)]
    engines = [f"{each['engine']['name']} {each['engine']['version']}" for each in (then, now)]
    is_one_engine = engines[0] == engines[1]
    checks += _sources(then, now, is_one_engine)
    if is_one_engine:
        checks += _parts(then, now)
    else:
        not_judged.append(
            f"SHA-256 of the files and hashes of the raw keys: the snapshot was made with {engines[0]}, the "
            f"rebuild with {engines[1]}"
        )
    if then["git"]["dirty"]:
        not_judged.append(
            "uncommitted changes of the code at the time of the export, because the commit does not contain them"
        )
    return tuple(checks), tuple(not_judged)


def _definitions(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[ManifestEntry]:
    hashes = [each["dbt_manifest_sha256"][:16] for each in (then, now)]
    yield ManifestEntry("definitions (dbt manifest)", *hashes)
    yield ManifestEntry("refresh", then["as_of_at"], now["as_of_at"])
    columns = [{f"{c['name']} {c['type']}" for c in each["columns"]} for each in (then, now)]
    only = [", ".join(sorted(columns[side] - columns[1 - side])) for side in (0, 1)]
    yield ManifestEntry(
        "columns",
        *(
            f"{len(each)}" + (f", only there: {names}" if names else "")
            for each, names in zip(columns, only, strict=True)
        ),
    )


def _rows(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[ManifestEntry]:
    new = {split["name"]: split for split in now["splits"]}
    for old in then["splits"]:
        other = new.get(old["name"], {})
        for field in ("from", "to", "rows", "content_hash"):
            name = f"{old['name']} {field.replace('_', ' ')}"
            yield ManifestEntry(name, str(old[field]), str(other.get(field, "none")))
    for field in ("excluded", "purged"):
        yield ManifestEntry(field, _listed(then[field]), _listed(now[field]))
    yield ManifestEntry("id", then["id"], now["id"])


def _sources(
    then: Mapping[str, Any], now: Mapping[str, Any], is_one_engine: bool
) -> Iterator[ManifestEntry]:
    new = {source["table"]: source for source in now["sources"]}
    fields = ["rows", "max_loaded_at", "assumed_rows", *(["keys_hash"] if is_one_engine else [])]
    for old in then["sources"]:
        texts = [
            ", ".join(f"{field.replace('_', ' ')} {each.get(field)}" for field in fields)
            for each in (old, new.get(old["table"], {}))
        ]
        yield ManifestEntry(f"raw {old['table']}", *texts)


def _parts(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[ManifestEntry]:
    new = {part["path"]: part for part in now["parts"]}
    for old in then["parts"]:
        yield ManifestEntry(
            f"SHA-256 of {old['path']}",
            old["sha256"][:16],
            new.get(old["path"], {"sha256": "none"})["sha256"][:16],
        )
    for path in sorted(new.keys() - {part["path"] for part in then["parts"]}):
        yield ManifestEntry(f"SHA-256 of {path}", "none", new[path]["sha256"][:16])


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
