"""Encode, read and summarize the project's files of measurements: ablations of feature groups, and candidates."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from feature_mart.core.errors import UsageError
from feature_mart.snapshot_files import check_document, decode_document, encode_document

Document = Mapping[str, Any]
"""The content of a file docs/evidence/<consumer>.<warehouse>.json."""

#: The number of earlier scores to keep: a year of monthly measurements.
_MOST_EARLIER = 12
#: Metrics for which a smaller value is better.
_ERRORS = frozenset({"mae", "rmse", "logloss", "ape_mean", "ape_median"})
_JINJA_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_SQL_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def read_evidence(project: Path) -> tuple[Document, ...]:
    """Return the documents in docs/evidence, sorted by file name.

    Raises:
        TerminalError: a file violates its schema.
    """
    folder = project / "docs" / "evidence"
    return tuple(
        decode_document(path.read_bytes(), "evidence", path.relative_to(project).as_posix())
        for path in sorted(folder.glob("*.json"))
    )


def evidence_path(project: Path, consumer: str, warehouse: str) -> Path:
    """Return the path of the evidence of a consumer on a warehouse."""
    return project / "docs" / "evidence" / f"{consumer}.{warehouse}.json"


def rejected_path(project: Path, candidate: str, consumer: str, warehouse: str) -> Path:
    """Return the path of a candidate's measurement with a consumer on a warehouse."""
    return project / "docs" / "evidence" / "rejected" / f"{candidate}.{consumer}.{warehouse}.json"


def check_seeds(path: Path, schema: str, seeds: int) -> None:
    """Check that a measurement with ``seeds`` seeds may overwrite a file, before the measurement, which takes minutes.

    Raises:
        UsageError: the file was measured with more seeds.
        TerminalError: the file violates its schema.
    """
    if not path.is_file():
        return
    there = decode_document(path.read_bytes(), schema, str(path))["seeds"]
    if there > seeds:
        raise UsageError(
            f"{path} was measured with {there} seeds, and --seeds is {seeds}: nothing was measured. Give --seeds "
            f"{there} or more, or --replace to overwrite the file with fewer."
        )


def effects_of(column: str, documents: Sequence[Document]) -> Iterator[tuple[str, str]]:
    """Yield pairs of a title (warehouse, consumer) and a sentence about the effect of a column's feature group."""
    for document in documents:
        for group in document["groups"]:
            if column in group["features"]:
                yield (
                    f"{document['warehouse_id']}, {document['consumer']}",
                    _effect(document, group),
                )


def measurements_of(document: Document) -> tuple[Document, ...]:
    """Return the scores of the model with all features: the earlier ones, oldest first, then the document's own.

    Each score has the keys snapshot, as_of_at, commit, metric, seeds and all.
    """
    own = {key: document[key] for key in ("snapshot", "as_of_at", "commit", "metric", "seeds")}
    own["all"] = {split: document["all"][split] for split in ("validation", "test")}
    return (*document.get("earlier", ()), own)


def with_earlier(document: Document, former: Document | None) -> dict[str, Any]:
    """Return ``document`` with the scores of the replaced document ``former`` under ``earlier``, for the site's trend.

    ``former`` is None if no document is replaced. For a snapshot that was measured several times, only the newest score
    is kept.
    """
    kept = measurements_of(former) if former is not None else ()
    earlier = [each for each in kept if each["snapshot"] != document["snapshot"]][-_MOST_EARLIER:]
    whole = {key: value for key, value in document.items() if key != "earlier"}
    return whole | ({"earlier": earlier} if earlier else {})


def trend_of(document: Document) -> str:
    """Describe the change of the validation score since the previous measurement, and list the scores, oldest first.

    Only scores by the metric of ``document`` are used. Return "first measurement" if there is no earlier score, or if
    the newest score has no value.
    """
    before = [each for each in measurements_of(document) if each["metric"] == document["metric"]]
    *earlier, last = [each["all"]["validation"] for each in before]
    known = [each for each in earlier if each["mean"] is not None]
    if not known or last["mean"] is None:
        return "first measurement"
    change = last["mean"] - known[-1]["mean"]
    spread = max(last["spread"] or 0, known[-1]["spread"] or 0)
    if abs(change) <= spread:
        word = "the same within the spread"
    else:
        word = "better" if (change < 0) == (document["metric"] in _ERRORS) else "worse"
    means = " → ".join(f"{each['mean']:.4f}" for each in (*known, last))
    return f"{signed(change)}, {word} ({means})"


def score(of: Mapping[str, float | None]) -> str:
    """Format a score as mean ± spread, or as "no value" if nothing could be measured."""
    if of["mean"] is None or of["spread"] is None:
        return "no value"
    return f"{of['mean']:.4f} ± {of['spread']:.4f}"


def signed(value: float | None) -> str:
    """Format a difference of two scores with its sign, or as "no value" for None."""
    return "no value" if value is None else f"{value:+.4f}"


def _effect(document: Document, group: Mapping[str, Any]) -> str:
    if group["is_empty"]:
        return f"none: each feature of the group {group['name']} is constant or NULL in train"
    return (
        f"the feature group {group['name']} adds {signed(group['adds']['validation'])} {document['metric']} on "
        f"validation; all features reach {score(document['all']['validation'])}, and the group alone reaches "
        f"{score(group['alone']['validation'])} ({document['seeds']} seeds, snapshot {document['snapshot']})"
    )


def encoded(document: Mapping[str, Any], schema: str) -> bytes:
    """Return a document as the bytes of its file.

    Raises:
        TerminalError: the document violates its schema.
    """
    check_document(document, schema, f"The new {schema}.json")
    return encode_document(document)


def sql_sha256(sql: str) -> str:
    """Return the SHA-256 of SQL without comments and layout, to find candidates that changed after a measurement."""
    plain = _SQL_COMMENT.sub(" ", _JINJA_COMMENT.sub(" ", sql))
    return hashlib.sha256(" ".join(plain.split()).encode()).hexdigest()
