"""Build the documents in `_meta` of a snapshot: manifest.json and the SageMaker manifest files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feature_mart.core.manifest import Consumer
from feature_mart.exporter.plan import Plan, split_documents
from feature_mart.exporter.seals import SourceSeal
from feature_mart.exporter.source import RowSource
from feature_mart.exporter.uploads import StoredPart
from feature_mart.snapshot_files import instant_text
from feature_mart.storage import Store


@dataclass(frozen=True, slots=True)
class BuildContext:
    """Facts about the build and the export that go into manifest.json.

    Attributes:
        created_at: the time of the export, read from the clock by the caller.
        git_commit: the commit of the code; None outside a Git repository.
        allow_failed: True to export even if checks failed. The manifest records it with the number of failed checks.
        engine: name and version of the engine that built the mart; None if the engine that reads the rows built it.
        fencing: the number of the lease; 0 if there is no lease.
        published_late_rows: number of rows whose features were published after `available_at`; None if not computed.
    """

    warehouse_id: str
    as_of_at: datetime
    created_at: datetime
    business_timezone: str
    git_commit: str | None
    git_dirty: bool
    dbt_manifest_sha256: str
    rationale_sha256: str
    tests_passed: int
    tests_failed: int
    tests_warned: int
    sources: tuple[SourceSeal, ...] = ()
    allow_failed: bool = False
    engine: str | None = None
    fencing: int = 0
    published_late_rows: int | None = None


def manifest_document(
    plan: Plan,
    source: RowSource,
    consumer: Consumer,
    context: BuildContext,
    parts: Sequence[StoredPart],
) -> dict[str, Any]:
    """Return the content of manifest.json."""
    return {
        "schema": 1,
        "id": plan.id,
        "consumer": consumer.name,
        "warehouse_id": context.warehouse_id,
        "engine": _engine(source, context),
        "created_at": instant_text(context.created_at),
        "as_of_at": instant_text(context.as_of_at),
        "git": {"commit": context.git_commit, "dirty": context.git_dirty},
        "dbt_manifest_sha256": context.dbt_manifest_sha256,
        "rationale_sha256": context.rationale_sha256,
        "sources": [seal.document() for seal in context.sources],
        "columns": plan.layout.schema_document()["columns"],
        "splits": split_documents(plan.windows, plan.measures),
        "embargo_days": consumer.embargo_days,
        "excluded": plan.survey.excluded,
        "purged": {w.name: m.purged for w, m in zip(plan.windows, plan.measures, strict=True)},
        "published_late_rows": context.published_late_rows,
        "parts": [
            {"path": part.path, "rows": part.rows, "bytes": part.bytes, "sha256": part.sha256}
            for part in parts
        ],
        "tests": {
            "passed": context.tests_passed,
            "failed": context.tests_failed,
            "warned": context.tests_warned,
        },
        "allow_failed": context.allow_failed,
        "warnings": [
            {"kind": each.kind, "split": each.split, "what": each.what, "remedy": each.remedy}
            for each in plan.shortcomings
        ],
    }


def parts_list(store: Store, prefix: str, split: str, parts: Sequence[StoredPart]) -> bytes:
    """Return a SageMaker manifest file (S3DataType ManifestFile) of a split's data parts, as JSON."""
    folder = f"data/{split}/"
    names = [part.path.removeprefix(folder) for part in parts if part.path.startswith(folder)]
    listed = [{"prefix": f"{store.address(f'{prefix}/data/{split}')}/"}, *names]
    return (json.dumps(listed, indent=2, ensure_ascii=False) + "\n").encode()


def _engine(source: RowSource, context: BuildContext) -> dict[str, str]:
    if context.engine is None:
        return {"name": source.engine.name, "version": source.engine.version}
    name, _, version = context.engine.partition(" ")
    return {"name": name.lower(), "version": version or "unknown"}
